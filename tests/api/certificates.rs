//! Certificates for tests of TLS, made by openssl.

use std::path::Path;
use std::process::Command;

/// Runs openssl in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// An authority with a certificate for 127.0.0.1: `NAME-ca.pem`, `NAME.pem`, `NAME.key`.
pub fn make(folder: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -days 2 -subj /CN={name}-ca -keyout {name}-ca.key -out {name}-ca.pem"),
    );
    openssl(
        folder,
        &format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"),
    );
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {name}-ca.pem -CAkey {name}-ca.key -CAcreateserial -days 2 -extfile names \
             -out {name}.pem"
        ),
    );
}
