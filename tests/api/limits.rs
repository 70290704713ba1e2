//! Limits on what one client may ask for.

use reqwest::Method;
use serde_json::json;

use crate::auth::{READER, WRITER, tokens};
use crate::bad_input::topology;
use crate::requests::headers;
use crate::server::Server;

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_again_and_others_are_not() {
    let server = Server::start_with(&["--tokens", &tokens(), "--rate-limit", "3"]);
    let ask = async |token: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        let fields = headers(&[("authorization", bearer.as_str())]);
        server.raw_with(Method::POST, path, fields, "{}".to_owned()).await
    };
    for path in ["/api/translate", "/api/solve", "/api/execute"] {
        assert_ne!(ask(WRITER, path).await.0, 429, "{path}");
    }
    for path in ["/api/translate", "/api/solve", "/api/execute"] {
        let (status, got, body) = ask(WRITER, path).await;
        assert_eq!(status, 429, "{path}: {body}");
        let seconds: u64 = got["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=20).contains(&seconds), "{seconds}");
        assert!(
            body.contains("\"rate_limited\"") && body.contains("--rate-limit"),
            "{body}"
        );
    }
    assert_ne!(ask(READER, "/api/translate").await.0, 429, "another client");
    // Cheap calls are not counted.
    let bearer = format!("Bearer {WRITER}");
    for _ in 0..10 {
        let fields = headers(&[("authorization", bearer.as_str())]);
        assert_eq!(server.raw(Method::GET, "/api/allocation", fields).await.0, 200);
    }
}

#[tokio::test]
async fn a_what_if_is_searched_for_no_longer_than_the_operator_allows() {
    let server = Server::start_with(&["--max-what-if-ms", "50"]);
    let question = |more: serde_json::Value| {
        let mut question = json!({ "topology": topology(), "plan": {} });
        question
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        question
    };
    for more in [json!({ "deadline_ms": 51 }), json!({ "exact": true }), json!({})] {
        let answer = server.post("/api/solve", &question(more.clone())).await;
        let warnings = answer.body["warnings"].to_string();
        assert!(
            answer.status == 200 && warnings.contains("--max-what-if-ms"),
            "{more}: {}",
            answer.body
        );
    }
    let answer = server
        .post("/api/solve", &question(json!({ "deadline_ms": 50 })))
        .await;
    assert!(
        !answer.body["warnings"].to_string().contains("--max-what-if-ms"),
        "{}",
        answer.body
    );
}
