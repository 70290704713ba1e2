//! The command line's connections: no service, tokens, TLS.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::certificates::make;
use crate::cli::{client, run};
use crate::server::Server;

/// What a client sends in one request, which gets `answer`: the real service never repeats what it
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
fn a_token_that_leaves_the_machine_in_the_clear_is_warned_of() {
    let warned = |server: &str, arguments: &[&str]| {
        let said = run(&mut client(server, arguments), "");
        assert!(!said.err.contains("hunter2"), "{}", said.err);
        said.err.contains("without encryption")
    };
    // Names of no existing machine: nothing is sent anywhere.
    let token = ["allocation", "--token", "hunter2"];
    assert!(warned("http://mapek.invalid:1", &token));
    assert!(warned("mapek.invalid:1", &token));
    assert!(!warned("https://mapek.invalid:1", &token));
    assert!(!warned("http://127.0.0.1:1", &token));
    assert!(!warned("http://mapek.invalid:1", &["allocation"]));
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
fn an_answer_that_does_not_come_from_a_mapek_is_reported() {
    let (address, heard) =
        listener("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>");
    let said = run(&mut client(&address, &["allocation"]), "");
    assert_eq!(said.code, Some(8));
    assert!(said.err.contains("is that a mapek?"), "{}", said.err);
    heard.join().unwrap();
}

#[test]
fn over_tls_only_the_given_authority_is_trusted_and_a_certificate_is_shown_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in ["server", "mine", "stranger"] {
        make(at, name);
    }
    let path = |name: &str| at.join(name).to_str().unwrap().to_owned();
    let ask = |url: &str, arguments: &[&str]| run(client(url, &["allocation"]).args(arguments), "");
    let unreachable = |url: &str, arguments: &[&str], advice: &str| {
        let said = ask(url, arguments);
        assert_eq!(said.code, Some(6), "{}", said.err);
        assert!(
            said.err.contains(url) && said.err.contains(advice),
            "{}",
            said.err
        );
        assert!(!said.err.contains("is it running?"), "{}", said.err);
    };
    let (trust, other) = (path("server-ca.pem"), path("stranger-ca.pem"));
    let (own, key) = (path("server.pem"), path("server.key"));

    let files = ["--tls-cert", own.as_str(), "--tls-key", &key];
    let server = Server::start_with(&files);
    let url = server.base();
    let said = ask(url, &["--ca-cert", &trust]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("No VM is in use"), "{}", said.out);
    unreachable(url, &["--ca-cert", &other], "--ca-cert");
    // It is not signed by the system's authorities.
    unreachable(url, &[], "--ca-cert");
    let named = url.replace("127.0.0.1", "localhost");
    unreachable(&named, &["--ca-cert", &trust], "--server");
    let plain = url.replace("https://", "http://");
    unreachable(&plain, &[], "https://");
    let said = ask(url, &["--ca-cert", &key]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is no certificate in"), "{}", said.err);

    let authority = path("mine-ca.pem");
    let server = Server::start_with(&[&files[..], &["--tls-client-ca", &authority]].concat());
    let url = server.base();
    let with = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let arguments = [
            "--ca-cert",
            &trust,
            "--client-cert",
            &certificate,
            "--client-key",
            &key,
        ];
        arguments.map(str::to_owned)
    };
    unreachable(url, &["--ca-cert", &trust], "--client-cert");
    unreachable(
        url,
        &with("stranger").each_ref().map(String::as_str),
        "--client-cert",
    );
    let said = ask(url, &with("mine").each_ref().map(String::as_str));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("No VM is in use"), "{}", said.out);
}
