//! TLS, as curl sees it.

use std::path::Path;
use std::process::Command;

use crate::certificates::make;
use crate::server::Server;

/// Whether curl, with these options, is let in.
fn curl(folder: &Path, server: &Server, options: &str) -> bool {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            "--max-time",
            "20",
        ])
        .args(options.split_whitespace())
        .arg(format!("{}/healthz", server.base()))
        .current_dir(folder)
        .output()
        .unwrap();
    output.status.success()
}

#[tokio::test]
async fn certificates_are_checked_by_both_sides_and_replaced_while_the_service_runs() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["one", "two", "client"] {
        make(at, name);
    }
    let copy = |name: &str| {
        for kind in ["pem", "key"] {
            std::fs::copy(
                at.join(format!("{name}.{kind}")),
                at.join(format!("server.{kind}")),
            )
            .unwrap();
        }
    };
    let path = |name: &str| at.join(name).to_str().unwrap().to_owned();
    copy("one");
    let files = [
        "--tls-cert",
        &path("server.pem"),
        "--tls-key",
        &path("server.key"),
    ];
    let server = Server::start_with(&files);
    assert!(server.base().starts_with("https://"), "{}", server.base());
    assert!(curl(at, &server, "--cacert one-ca.pem"));
    assert!(!curl(at, &server, "--cacert two-ca.pem"));
    copy("two");
    server.signal("-HUP");
    server.logged("certificates read again", 1).await;
    assert!(curl(at, &server, "--cacert two-ca.pem"));
    assert!(!curl(at, &server, "--cacert one-ca.pem"));
    std::fs::write(at.join("server.pem"), "nonsense").unwrap();
    server.signal("-HUP");
    server.logged("the certificates stay as they were", 1).await;
    assert!(curl(at, &server, "--cacert two-ca.pem"));

    copy("one");
    let server = Server::start_with(&[&files[..], &["--tls-client-ca", &path("client-ca.pem")]].concat());
    assert!(!curl(at, &server, "--cacert one-ca.pem"));
    assert!(!curl(
        at,
        &server,
        "--cacert one-ca.pem --cert two.pem --key two.key"
    ));
    assert!(curl(
        at,
        &server,
        "--cacert one-ca.pem --cert client.pem --key client.key"
    ));
}

#[test]
fn files_that_can_not_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let start = |arguments: &[&str]| {
        let mut command = crate::server::program();
        command
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path());
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start(&["--tls-cert", "/nonexistent/cert.pem"]);
    assert!(said.contains("both --tls-cert and --tls-key"), "{said}");
    let said = start(&[
        "--tls-cert",
        "/nonexistent/cert.pem",
        "--tls-key",
        "/nonexistent/key.pem",
    ]);
    assert!(
        said.contains("the service's certificate: can't read the certificates in /nonexistent/cert.pem"),
        "{said}"
    );
    let said = start(&["--tls-client-ca", "/nonexistent/ca.pem"]);
    assert!(said.contains("--tls-client-ca alone does nothing"), "{said}");
}
