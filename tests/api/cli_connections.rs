//! The command line's connections: nobody there, tokens, TLS.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use crate::cli::{client, run};

/// What a client says in one request, answered with `answer`: no service of ours repeats what it
/// was sent.
fn listener(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> = lines
            .by_ref()
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
            .collect();
        stream.write_all(answer.as_bytes()).unwrap();
        head.join("\n")
    });
    (address, heard)
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
const DENIED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 28\r\nconnection: close\r\n\r\n{\"error\":\"who are you?\"}    ";

#[test]
fn a_service_that_is_not_there_is_told_with_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let said = run(&mut client(&free, &["allocation"]), "");
    assert_eq!(said.code, Some(6));
    assert!(
        said.err.contains(&free) && said.err.contains("--server"),
        "{}",
        said.err
    );
    let said = run(&mut client(&free, &["-o", "json", "events"]), "");
    assert_eq!(said.code, Some(6));
    assert!(said.json()["error"].as_str().unwrap().contains(&free));
}

#[test]
fn the_token_comes_from_the_environment_a_flag_or_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2\n").unwrap();
    let file = file.to_str().unwrap();
    for (variable, arguments) in [
        (Some("hunter2"), &["allocation"][..]),
        (None, &["allocation", "--token", "hunter2"]),
        (None, &["--token-from", file, "allocation"]),
        (Some("another"), &["allocation", "--token", "hunter2"]),
    ] {
        let (address, heard) = listener(EMPTY);
        let mut command = client(&address, arguments);
        command.envs(variable.map(|token| ("MAPEK_TOKEN", token)));
        let said = run(&mut command, "");
        assert_eq!(said.code, Some(0), "{}", said.err);
        let head = heard.join().unwrap();
        assert!(head.contains("authorization: Bearer hunter2"), "{head}");
        assert!(!format!("{}{}", said.out, said.err).contains("hunter2"));
    }
    let said = run(
        &mut client("127.0.0.1:1", &["allocation", "--token", "two\nlines"]),
        "",
    );
    assert_eq!(said.code, Some(2));
    assert!(!said.err.contains("two"), "{}", said.err);
}

#[test]
fn a_service_that_wants_another_token_is_told_from_one_that_refuses() {
    let (address, heard) = listener(DENIED);
    let said = run(&mut client(&address, &["allocation", "--token", "hunter2"]), "");
    assert_eq!(said.code, Some(7));
    assert!(
        said.err.contains("who are you?") && said.err.contains("MAPEK_TOKEN"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("hunter2"));
    heard.join().unwrap();
}

#[test]
fn what_is_no_mapek_is_told() {
    let (address, heard) =
        listener("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>");
    let said = run(&mut client(&address, &["allocation"]), "");
    assert_eq!(said.code, Some(8));
    assert!(said.err.contains("is that a mapek?"), "{}", said.err);
    heard.join().unwrap();
}

/// OpenSSL's own test server, which serves the files of a folder.
struct TlsServer(Child);

impl TlsServer {
    fn start(folder: &Path, arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-WWW",
                "-cert",
                "server.pem",
                "-key",
                "server.key",
            ])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("openssl listens").unwrap();
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        (Self(child), format!("https://{address}"))
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate that signs itself, for 127.0.0.1.
fn certificate(folder: &Path, name: &str) {
    let status = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=mapek test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args([
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "extendedKeyUsage=serverAuth,clientAuth",
        ])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn over_tls_only_the_given_authority_is_trusted_and_a_certificate_is_shown_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["server", "mine", "stranger"] {
        certificate(at, name);
    }
    std::fs::create_dir(at.join("api")).unwrap();
    std::fs::write(
        at.join("api/allocation"),
        r#"{"vm9": {"ip": null, "cpu_cores": 2, "mem_units": 4, "used": {}}}"#,
    )
    .unwrap();
    let path = |name: &str| at.join(name).to_str().unwrap().to_owned();
    let ask = |url: &str, arguments: &[&str]| {
        let said = run(client(url, &["allocation"]).args(arguments), "");
        (said.code, said.out, said.err)
    };

    let (_server, url) = TlsServer::start(at, &[]);
    let (code, out, err) = ask(&url, &["--ca-cert", &path("server.pem")]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("vm9"), "{out}");
    let (code, _, err) = ask(&url, &["--ca-cert", &path("stranger.pem")]);
    assert_eq!(code, Some(6), "{err}");
    assert_eq!(
        ask(&url, &[]).0,
        Some(6),
        "the system's authorities have not signed it"
    );
    let (code, _, err) = ask(&url, &["--ca-cert", &path("server.key")]);
    assert_eq!(code, Some(1));
    assert!(err.contains("there is none in it"), "{err}");

    let (_server, url) = TlsServer::start(
        at,
        &["-Verify", "1", "-verify_return_error", "-CAfile", "mine.pem"],
    );
    let trust = path("server.pem");
    let (code, _, err) = ask(&url, &["--ca-cert", &trust]);
    assert_eq!(code, Some(6), "{err}");
    let mine = [
        "--ca-cert",
        &trust,
        "--client-cert",
        &path("mine.pem"),
        "--client-key",
        &path("mine.key"),
    ];
    let (code, out, err) = ask(&url, &mine);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("vm9"), "{out}");
}
