//! Requests to other hosts' names are refused: a browser that was made to believe that such a name
//! is at our address treats the page there as one of ours.

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::openapi::description;
use crate::requests::headers;
use crate::server::{Server, program};

/// The answer to a request that is sent exactly as given.
async fn said(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8(said).unwrap()
}

async fn status(server: &Server, request: &str) -> u16 {
    let said = said(server, request).await;
    let status = said.split(' ').nth(1).map(str::parse);
    status.unwrap_or_else(|| panic!("{request:?}: {said:?}")).unwrap()
}

#[tokio::test]
async fn every_path_is_closed_to_other_hosts_names() {
    let server = Server::start_with(&["--cors-origin", "https://planner.test"]);
    let mut tried = 0;
    let mut operations: Vec<(String, String)> = ["/", "/ui/app.js", "/docs", "/docs/", "/nowhere"]
        .iter()
        .map(|path| ("GET".to_owned(), (*path).to_owned()))
        .collect();
    for (path, methods) in description()["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        operations.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    for (method, path) in operations {
        let path = path.replace(['{', '}'], "");
        for method in [method.as_str(), "HEAD", "OPTIONS"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: evil.test:8000\r\n\r\n");
            assert_eq!(status(&server, &request).await, 421, "{method} {path}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
    // What a browser asks before a page of an allowed origin may send something.
    let preflight = "OPTIONS /api/topology HTTP/1.1\r\nHost: evil.test\r\nOrigin: https://planner.test\r\n\
                     Access-Control-Request-Method: PUT\r\n\r\n";
    assert_eq!(status(&server, preflight).await, 421);
}

#[tokio::test]
async fn the_answer_says_what_to_do_in_the_shape_of_all_errors() {
    let server = Server::start();
    let other = headers(&[("host", "evil.test:8000")]);
    let (status, _, text) = server.raw(Method::GET, "/api/topology", other).await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, body["code"].as_str()), (421, Some("host_unknown")));
    let error = body["error"].as_str().unwrap();
    assert!(
        error.contains("\"evil.test:8000\"") && error.contains("--allowed-hosts"),
        "{error}"
    );
    assert!(body["details"].is_array() && body["time"].is_string(), "{body}");
    server.logged("evil.test:8000", 1).await;
}

#[tokio::test]
async fn our_own_names_are_answered_however_they_are_written() {
    let server = Server::start_with(&["--allowed-hosts", "Mapek.example.org,192.0.2.7"]);
    let with = |host: &str| format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for own in [
        "localhost",
        "LocalHost:1",
        "localhost.:8000",
        "127.0.0.1",
        "127.0.0.1:9999",
        "[::1]:8000",
        "mapek.EXAMPLE.org:443",
        "mapek.example.org.",
        "192.0.2.7",
    ] {
        assert_eq!(status(&server, &with(own)).await, 200, "{own}");
    }
    for other in [
        "evil.test",
        "x.mapek.example.org",
        "192.0.2.8",
        "[2001:db8::1]",
        "localhost:x",
        "a@localhost",
    ] {
        assert_eq!(status(&server, &with(other)).await, 421, "{other}");
    }
}

#[tokio::test]
async fn an_http_1_0_probe_is_answered_and_a_second_host_is_refused() {
    let server = Server::start();
    for (request, answer) in [
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET /healthz HTTP/1.0\r\nHost: evil.test\r\n\r\n", 421),
        ("GET /healthz HTTP/1.1\r\nX: y\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 421),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n",
            400,
        ),
        (
            "GET http://localhost:1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            200,
        ),
        (
            "GET http://evil.test/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            421,
        ),
        (
            "GET http://localhost/healthz HTTP/1.1\r\nHost: evil.test\r\n\r\n",
            421,
        ),
    ] {
        assert_eq!(status(&server, request).await, answer, "{request:?}");
    }
}

/// A Kubernetes probe asks for the pod's address, which the service does not know: it listens on
/// all.
#[tokio::test]
async fn the_address_that_was_dialled_is_ours() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in_with(data, &["--listen", "0.0.0.0:0", "--insecure"]);
    let port = server.address().rsplit_once(':').unwrap().1.to_owned();
    let ask = async |dialled: &str, host: &str| {
        let mut stream = TcpStream::connect(format!("{dialled}:{port}")).await.unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    assert_eq!(ask("127.0.0.1", "127.0.0.1").await, 200);
    assert_eq!(ask("127.0.0.1", "0.0.0.0").await, 200);
    // An address of this machine besides the loopback ones, if it has one.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_ok() {
        let own = socket.local_addr().unwrap().ip().to_string();
        assert_eq!(ask(&own, &own).await, 200);
        assert_eq!(
            ask("127.0.0.1", &own).await,
            if own.starts_with("127.") { 200 } else { 421 }
        );
    }
}

#[test]
fn an_invalid_name_is_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let output = program()
        .args([
            "--listen",
            "127.0.0.1:0",
            "--allowed-hosts",
            "http://mapek.test/",
            "--data-dir",
        ])
        .arg(data.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("--allowed-hosts") && text.contains("http://mapek.test/"),
        "{text}"
    );
}
