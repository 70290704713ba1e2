//! Tags: a document that a client has is not sent again, and one that it has not seen is not
//! overwritten.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::requests::headers;
use crate::server::Server;

#[tokio::test]
async fn a_topology_or_allocation_that_the_client_has_is_not_sent_again() {
    let server = Server::start();
    let put = server.put("/api/topology", &topology()).await;
    for path in ["/api/topology", "/api/allocation"] {
        let first = server.get(path).await;
        let tag = first.headers["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
        for seen in [&tag, &format!("\"x\", {tag}"), "*", tag.trim_start_matches("W/")] {
            let (status, headers, body) = server
                .raw(Method::GET, path, headers(&[("if-none-match", seen)]))
                .await;
            assert_eq!((status, body.as_str()), (304, ""), "{path} {seen}");
            assert_eq!(headers["etag"].to_str().unwrap(), tag);
        }
        let (status, _, body) = server
            .raw(Method::GET, path, headers(&[("if-none-match", "W/\"x\"")]))
            .await;
        assert_eq!((status, body.contains("\"time\":\"")), (200, true), "{body}");
    }
    let tag = put.headers["etag"].clone();
    assert_eq!(server.get("/api/topology").await.headers["etag"], tag);
    // The tag depends on the content, so it survives a restart.
    let server = server.kill_and_restart();
    assert_eq!(server.get("/api/topology").await.headers["etag"], tag);
    let mut other = topology();
    other["infrastructure"]["max_vms"] = json!(2);
    assert_ne!(server.put("/api/topology", &other).await.headers["etag"], tag);
}

#[tokio::test]
async fn a_topology_is_not_overwritten_unseen() {
    let server = Server::start();
    let any = headers(&[("if-match", "*")]);
    let none = server.put_with("/api/topology", &topology(), any.clone()).await;
    assert_eq!(
        (none.status, &none.body["code"]),
        (412, &json!("precondition_failed"))
    );
    let empty = server.get("/api/topology").await.headers["etag"].clone();
    let first = headers(&[("if-match", empty.to_str().unwrap())]);
    assert_eq!(
        server
            .put_with("/api/topology", &topology(), first.clone())
            .await
            .status,
        200
    );
    let late = server.put_with("/api/topology", &topology(), first).await;
    assert_eq!(
        (late.status, &late.body["code"]),
        (412, &json!("precondition_failed"))
    );
    assert_eq!(late.body["details"][0]["generation"], 1);
    assert_eq!(
        server.put_with("/api/topology", &topology(), any).await.body["generation"],
        1
    );
}

#[tokio::test]
async fn a_sealed_plan_can_be_named_in_the_query_or_in_if_match() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let shown = server.put("/api/translate", &json!({})).await;
    let id = shown.body["plan_id"].as_str().unwrap();
    let tag = shown.headers["etag"].to_str().unwrap();
    assert_eq!(tag, format!("\"{id}\""));
    for (path, condition) in [
        (format!("/api/execute?plan_id={id}"), None),
        ("/api/execute".to_owned(), Some(tag)),
        (format!("/api/execute?plan_id={id}"), Some(tag)),
    ] {
        let fields: Vec<_> = condition.map(|tag| ("if-match", tag)).into_iter().collect();
        let answer = server.put_with(&path, &json!({}), headers(&fields)).await;
        assert_eq!(answer.status, 200, "{path} {condition:?}: {}", answer.body);
    }
    let unknown = server.put("/api/execute?plan_id=0", &json!({})).await;
    assert_eq!(
        (unknown.status, &unknown.body["code"]),
        (409, &json!("plan_unknown"))
    );
    for (path, tag) in [
        (format!("/api/execute?plan_id={id}"), "\"other\""),
        ("/api/execute".to_owned(), "*"),
        ("/api/execute".to_owned(), "\"a\", \"b\""),
        ("/api/execute?plan_id=".to_owned(), "\"\""),
    ] {
        let answer = server
            .put_with(&path, &json!({}), headers(&[("if-match", tag)]))
            .await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("request_invalid")),
            "{path} {tag}"
        );
    }
    // Without a plan there is nothing to do, unless it was sealed.
    let nothing = server.send(Method::PUT, "/api/execute", "").await;
    assert_eq!(
        (nothing.status, &nothing.body["code"]),
        (400, &json!("json_unreadable"))
    );
    let sealed = server
        .send(Method::PUT, &format!("/api/execute?plan_id={id}"), "")
        .await;
    assert_eq!(sealed.status, 200, "{}", sealed.body);
    let mut other = topology();
    other["remark"] = json!("another one");
    server.put("/api/topology", &other).await;
    let moved = server
        .send(Method::PUT, &format!("/api/execute?plan_id={id}"), "")
        .await;
    assert_eq!((moved.status, &moved.body["code"]), (409, &json!("plan_moved")));
    assert_eq!(
        moved.body["details"],
        json!([{ "what": "topology", "was": 1, "is": 2 }])
    );
}

#[tokio::test]
async fn a_sealed_execution_is_repeated_by_its_key_only_with_the_same_plan_id() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let id = server.put("/api/translate", &json!({})).await.body["plan_id"].clone();
    let path = format!("/api/execute?plan_id={}", id.as_str().unwrap());
    let key = headers(&[("idempotency-key", "k")]);
    let first = server.put_with(&path, &Value::Null, key.clone()).await;
    assert_eq!(first.status, 422, "null is no plan: {}", first.body);
    let first = server.put_with(&path, &json!({}), key.clone()).await;
    let again = server.put_with(&path, &json!({}), key.clone()).await;
    assert_eq!(
        (again.status, &again.body["execution"]),
        (200, &first.body["execution"])
    );
    let other = server.put_with("/api/execute", &json!({}), key).await;
    assert_eq!(
        (other.status, &other.body["code"]),
        (422, &json!("idempotency_key_reused"))
    );
}
