//! Certificates, keys and an SSH server, made for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run;

/// The folder of root's keys in the sandbox.
const SSH: &str = "/run/lab/home/.ssh";
/// The key with which the lab's SSH servers identify themselves.
const HOST_KEY: &str = "/run/lab/hostkey";

/// A certificate authority.
pub fn authority(name: &str) -> PathBuf {
    let at = |end: &str| format!("/run/lab/{name}.{end}");
    run(openssl(&[
        "req",
        "-x509",
        "-nodes",
        "-days",
        "2",
        "-subj",
        &format!("/CN={name}"),
    ])
    .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
    .args(["-keyout", &at("key"), "-out", &at("pem")]));
    PathBuf::from(at("pem"))
}

/// A certificate for `name` with this extension, signed by `authority`.
pub fn signed(authority: &str, name: &str, extension: &str) -> (PathBuf, PathBuf) {
    let at = |name: &str, end: &str| format!("/run/lab/{name}.{end}");
    run(openssl(&["req", "-nodes", "-subj", &format!("/CN={name}")])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-keyout", &at(name, "key"), "-out", &at(name, "csr")]));
    std::fs::write(at(name, "ext"), extension).unwrap();
    run(openssl(&["x509", "-req", "-days", "2", "-CAcreateserial"])
        .args([
            "-in",
            &at(name, "csr"),
            "-out",
            &at(name, "pem"),
            "-extfile",
            &at(name, "ext"),
        ])
        .args(["-CA", &at(authority, "pem"), "-CAkey", &at(authority, "key")]));
    (PathBuf::from(at(name, "pem")), PathBuf::from(at(name, "key")))
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

/// Lets root log in with a key of its own, in the lab's home folder, on servers that have the lab's
/// host key.
pub fn root_may_log_in() {
    // ssh and its server ask the system, not the environment, where root's home is. Nothing of
    // the machine's own root may be read or written.
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let accounts: String = accounts
        .lines()
        .map(|line| {
            if line.starts_with("root:") {
                "root:x:0:0:root:/run/lab/home:/bin/sh\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    std::fs::write("/run/lab/passwd", accounts).unwrap();
    run(Command::new("mount").args(["--bind", "/run/lab/passwd", "/etc/passwd"]));

    let ssh = Path::new(SSH);
    run(Command::new("mkdir").args(["-m", "700"]).arg(ssh));
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(ssh.join("id_ed25519")));
    std::fs::copy(ssh.join("id_ed25519.pub"), ssh.join("authorized_keys")).unwrap();
    run(Command::new("dropbearkey").args(["-t", "ed25519", "-f", HOST_KEY]));
}

/// Makes every server at these addresses (a pattern) trusted if it has the lab's host key.
pub fn trust_hosts(pattern: &str) {
    let told = run(Command::new("dropbearkey").args(["-y", "-f", HOST_KEY]));
    let key = told.lines().find(|line| line.starts_with("ssh-ed25519"));
    let line = format!("{pattern} {}\n", key.expect("a public key"));
    std::fs::write(Path::new(SSH).join("known_hosts"), line).unwrap();
}

/// An SSH server at this address and port: the arguments of `dropbear`.
pub fn ssh_server(command: &mut Command, address: &str, port: u16) {
    command
        .args(["-F", "-E", "-s", "-m", "-r", HOST_KEY])
        .args(["-P", &format!("/run/lab/dropbear-{address}.pid")])
        .args(["-p", &format!("{address}:{port}")]);
}
