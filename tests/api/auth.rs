//! Who is let in, and what is recorded about them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::patience::patiently;
use crate::requests::headers;
use crate::server::{Server, program};

pub const READER: &str = "a-token-that-reads";
pub const WRITER: &str = "a-token-that-writes";

pub fn tokens() -> String {
    format!("monitor:read:{READER},planner:write:{WRITER}")
}

async fn ask(server: &Server, method: Method, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let token = token.map(|token| format!("Bearer {token}"));
    let fields: Vec<_> = token
        .iter()
        .map(|token| ("authorization", token.as_str()))
        .collect();
    let (status, _, text) = server
        .raw_with(method, path, headers(&fields), body.to_string())
        .await;
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn nobody_listens_to_the_world_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let start = |arguments: &[&str]| {
        let mut command = program();
        command
            .args(["--listen", "0.0.0.0:0", "--data-dir"])
            .arg(folder.path())
            .args(arguments);
        command
    };
    let output = start(&[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("--tokens-file") && said.contains("--insecure"),
        "{said}"
    );
    let empty = folder.path().join("tokens");
    std::fs::write(&empty, "# none yet\n").unwrap();
    let output = start(&["--tokens-file", empty.to_str().unwrap(), "--insecure"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("has no token in it"), "{said}");
    let output = start(&["--tokens", "me:root:0123456789abcdef"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("role of me should be read, write, node:ID, or write:") && !said.contains("0123456789"),
        "{said}"
    );
}

#[tokio::test]
async fn a_client_that_is_refused_is_told_what_to_do() {
    let server = Server::start_with(&["--tokens", &tokens()]);
    for (fields, status, challenge, words) in [
        (
            vec![],
            401,
            "Bearer realm=\"mapek\"",
            "Authorization: Bearer TOKEN",
        ),
        (
            vec![("authorization", "Basic bWU6c2VjcmV0")],
            401,
            "Bearer realm=\"mapek\"",
            "something else",
        ),
        (
            vec![("authorization", "Bearer a-token-that-reads.")],
            401,
            "Bearer realm=\"mapek\", error=\"invalid_token\"",
            "does not know this token",
        ),
        (
            vec![("authorization", "bearer a-token-that-reads")],
            403,
            "Bearer realm=\"mapek\", error=\"insufficient_scope\", scope=\"write\"",
            "role read, and this needs write",
        ),
    ] {
        let (answered, got, body) = server.raw(Method::PUT, "/api/topology", headers(&fields)).await;
        assert_eq!(
            (answered, got["www-authenticate"].to_str().unwrap()),
            (status, challenge),
            "{body}"
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["error"].as_str().unwrap().contains(words), "{body}");
        assert!(body["time"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn every_change_is_on_record_with_who_made_it_and_no_token_is_logged() {
    let server = Server::start_with(&["--tokens", &tokens(), "--log", "trace"]);
    let put =
        async |path: &str, token, body: &Value| ask(&server, Method::PUT, path, Some(token), body).await;
    assert_eq!(put("/api/topology", WRITER, &topology()).await.0, 200);
    assert_eq!(put("/api/translate", READER, &json!({})).await.0, 200);
    assert_eq!(put("/api/execute", READER, &json!({})).await.0, 403);
    let (status, body) = put("/api/execute", WRITER, &json!({})).await;
    assert_eq!(status, 200, "{body}");
    let (_, list) = ask(
        &server,
        Method::GET,
        "/api/executions",
        Some(READER),
        &Value::Null,
    )
    .await;
    assert_eq!(list["executions"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["executions"][0]["requested_by"], "planner");
    let path = format!("/api/executions/{}", body["execution"].as_str().unwrap());
    let (_, one) = ask(&server, Method::GET, &path, Some(READER), &Value::Null).await;
    assert_eq!(
        (&one["requested_by"], &one["address"]),
        (&json!("planner"), &json!("127.0.0.1"))
    );
    let id = one["request_id"].as_str().unwrap();
    server.logged(&format!("id=\"{id}\""), 1).await;

    let bearer = format!("Bearer {READER}");
    let fields = headers(&[("authorization", &bearer), ("last-event-id", "0")]);
    let events = server.events(fields, 2).await;
    for (kind, event) in events.iter().take(2) {
        assert_eq!(
            (&event["by"], &event["address"]),
            (&json!("planner"), &json!("127.0.0.1")),
            "{kind}"
        );
        assert!(event["request_id"].is_string(), "{kind}");
    }
    // A wrong token is a secret, too: it may be right elsewhere.
    ask(
        &server,
        Method::GET,
        "/api/topology",
        Some("a-token-of-another-service"),
        &Value::Null,
    )
    .await;
    let log = server.log();
    for token in [READER, WRITER, "a-token-of-another-service"] {
        assert!(!log.contains(token), "{token} is in the log");
    }
}

#[tokio::test]
async fn a_request_keeps_the_id_that_it_came_with() {
    let server = Server::start();
    let (_, got, _) = server
        .raw(Method::GET, "/healthz", headers(&[("x-request-id", "trace-1")]))
        .await;
    assert_eq!(got["x-request-id"], "trace-1");
    let (_, got, _) = server
        .raw(Method::GET, "/nowhere", headers(&[("x-request-id", "two words")]))
        .await;
    assert_eq!(got["x-request-id"].len(), 36);
}

#[tokio::test]
async fn tokens_are_replaced_while_the_service_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "one read 0123456789abcdef\n").unwrap();
    let server = Server::start_with(&["--tokens-file", file.to_str().unwrap()]);
    let status = async |token| {
        ask(&server, Method::GET, "/api/topology", Some(token), &Value::Null)
            .await
            .0
    };
    assert_eq!(
        (status("0123456789abcdef").await, status("fedcba9876543210").await),
        (200, 401)
    );
    std::fs::write(&file, "two read fedcba9876543210\n").unwrap();
    server.signal("-HUP");
    server.logged("tokens read again", 1).await;
    assert_eq!(
        (status("0123456789abcdef").await, status("fedcba9876543210").await),
        (401, 200)
    );
    // A file that can't be used, or would open the service to everyone, changes nothing.
    std::fs::write(&file, "two read\n").unwrap();
    server.signal("-HUP");
    server.logged("the tokens stay as they were", 1).await;
    std::fs::write(&file, "").unwrap();
    server.signal("-HUP");
    server.logged("the tokens stay as they were", 2).await;
    assert_eq!(
        (status("0123456789abcdef").await, status("fedcba9876543210").await),
        (401, 200)
    );
}

#[tokio::test]
async fn web_pages_of_others_change_nothing_unless_they_are_allowed() {
    let server = Server::start_with(&["--cors-origin", "https://planner.test"]);
    let put = async |origin: &str| {
        let fields = headers(&[("origin", origin), ("content-type", "text/plain")]);
        let (status, got, _) = server
            .raw_with(Method::PUT, "/api/topology", fields, topology().to_string())
            .await;
        (status, got.get("access-control-allow-origin").cloned())
    };
    assert_eq!(put("https://evil.test").await.0, 403);
    assert_eq!(
        put("https://planner.test").await,
        (200, Some("https://planner.test".parse().unwrap()))
    );
    let ask = [
        ("origin", "https://planner.test"),
        ("access-control-request-method", "PUT"),
    ];
    let (status, got, _) = server.raw(Method::OPTIONS, "/api/topology", headers(&ask)).await;
    assert_eq!(
        (status, got["access-control-allow-origin"].to_str().unwrap()),
        (200, "https://planner.test")
    );
    // Off by default.
    let server = Server::start();
    let (status, got, _) = server.raw(Method::GET, "/api/topology", headers(&ask)).await;
    assert_eq!((status, got.get("access-control-allow-origin")), (200, None));
}

/// Reads a stream until it ends.
async fn to_its_end(mut stream: reqwest::Response) -> String {
    let mut text = String::new();
    let read = async {
        while let Some(chunk) = stream.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    patiently("the stream does not end", read).await;
    text
}

#[tokio::test]
async fn the_streams_of_a_revoked_token_end_and_those_of_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let (one, other) = ("one read 0123456789abcdef\n", "two write fedcba9876543210\n");
    std::fs::write(&file, format!("{one}{other}")).unwrap();
    let server = Server::start_with(&["--tokens-file", file.to_str().unwrap()]);
    let open = async |token: &str| {
        let client = reqwest::Client::new();
        let asked = client
            .get(format!("{}/api/events", server.base()))
            .bearer_auth(token);
        let mut stream = asked.send().await.unwrap();
        assert_eq!(stream.status().as_u16(), 200);
        assert!(
            stream.chunk().await.unwrap().is_some(),
            "the number to begin with"
        );
        stream
    };
    let (revoked, mut kept) = (open("0123456789abcdef").await, open("fedcba9876543210").await);
    std::fs::write(&file, other).unwrap();
    server.signal("-HUP");
    to_its_end(revoked).await;
    let body = topology();
    assert_eq!(
        ask(
            &server,
            Method::PUT,
            "/api/topology",
            Some("fedcba9876543210"),
            &body
        )
        .await
        .0,
        200
    );
    let next = patiently("no event comes", kept.chunk()).await;
    let next = String::from_utf8(next.unwrap().unwrap().to_vec()).unwrap();
    assert!(next.contains("topology_put"), "{next}");
}

#[tokio::test]
async fn an_expired_token_is_refused_and_its_stream_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let write = |left: u64| {
        let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(left);
        let old = "old read 0123456789abcdef 2020-01-01T00:00:00Z";
        std::fs::write(&file, format!("{old}\nsoon read fedcba9876543210 {soon}\n")).unwrap();
        soon
    };
    let mut left = 6;
    let mut soon = write(left);
    let server = Server::start_with(&["--tokens-file", file.to_str().unwrap()]);
    let (status, body) = ask(
        &server,
        Method::GET,
        "/api/topology",
        Some("0123456789abcdef"),
        &Value::Null,
    )
    .await;
    assert_eq!((status, &body["code"]), (401, &json!("unauthorized")));
    assert!(
        body["error"].as_str().unwrap().contains("expired at 2020-01-01"),
        "{body}"
    );
    let client = reqwest::Client::new();
    let stream = loop {
        let asked = client
            .get(format!("{}/api/events", server.base()))
            .bearer_auth("fedcba9876543210");
        let stream = asked.send().await.unwrap();
        // A slow machine may be late even for the first request: then the token lasts longer.
        if stream.status().as_u16() != 401 || jiff::Timestamp::now() < soon {
            break stream;
        }
        left *= 2;
        soon = write(left);
        server.signal("-HUP");
    };
    assert_eq!(stream.status().as_u16(), 200);
    to_its_end(stream).await;
    assert!(jiff::Timestamp::now() >= soon);
    let (status, _) = ask(
        &server,
        Method::GET,
        "/api/topology",
        Some("fedcba9876543210"),
        &Value::Null,
    )
    .await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_use_everything_that_is_described() {
    let server = Server::start_with(&["--cors-origin", "https://planner.test"]);
    let description = crate::openapi::description();
    let mut tried = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let names = parameters
                .filter(|one| one["in"] == "header")
                .map(|one| one["name"].as_str().unwrap().to_lowercase());
            let mut names: Vec<String> = names.collect();
            names.extend(["authorization", "content-type", "x-request-id"].map(str::to_owned));
            let (method, names) = (method.to_uppercase(), names.join(", "));
            let ask = headers(&[
                ("origin", "https://planner.test"),
                ("access-control-request-method", &method),
                ("access-control-request-headers", &names),
            ]);
            let path = path.replace(['{', '}'], "");
            let (status, got, body) = server.raw(Method::OPTIONS, &path, ask).await;
            assert_eq!(status, 200, "{method} {path} with {names}: {body}");
            assert_eq!(got["access-control-allow-origin"], "https://planner.test");
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
    let from = headers(&[("origin", "https://planner.test")]);
    let (_, got, _) = server.raw(Method::GET, "/api/topology", from).await;
    let seen = got["access-control-expose-headers"]
        .to_str()
        .unwrap()
        .to_lowercase();
    for name in [
        "etag",
        "location",
        "retry-after",
        "x-request-id",
        "www-authenticate",
        "preference-applied",
        "allow",
    ] {
        assert!(
            seen.split(',').any(|one| one.trim() == name),
            "{name} is not in {seen}"
        );
    }
}
