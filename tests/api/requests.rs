//! Requests that are sent again, and answers that come at once.

use reqwest::header::HeaderMap;
use serde_json::json;

use crate::bad_input::topology;
use crate::server::Server;

pub fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_request_under_the_same_key_is_carried_out_once() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let key = headers(&[("idempotency-key", "today-1")]);
    let first = server.put_with("/api/execute", &json!({}), key.clone()).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let server = server.kill_and_restart();
    let again = server.put_with("/api/execute", &json!({}), key.clone()).await;
    assert_eq!(
        (again.status, &again.body["execution"]),
        (200, &first.body["execution"])
    );
    assert_eq!(again.body["outcome"], "succeeded");
    let other = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1 } });
    let reused = server.put_with("/api/execute", &other, key).await;
    assert_eq!(
        (reused.status, &reused.body["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    let fresh = server
        .put_with(
            "/api/execute",
            &json!({}),
            headers(&[("idempotency-key", "today-2")]),
        )
        .await;
    assert_ne!(fresh.body["execution"], first.body["execution"]);
    let bad = server
        .put_with("/api/execute", &json!({}), headers(&[("idempotency-key", "")]))
        .await;
    assert_eq!((bad.status, &bad.body["code"]), (400, &json!("request_invalid")));
}

#[tokio::test]
async fn the_same_request_at_the_same_instant_is_one_execution_also_when_nothing_changes() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let key = || headers(&[("idempotency-key", "at-once")]);
    let plan = json!({});
    let ask = || server.put_with("/api/execute", &plan, key());
    let answers = futures_util::future::join_all((0..10).map(|_| ask())).await;
    for answer in &answers {
        assert_eq!(
            (answer.status, &answer.body["execution"]),
            (200, &answers[0].body["execution"]),
            "{answers:#?}"
        );
    }
    let history = server.get("/api/executions").await;
    assert_eq!(history.body["executions"].as_array().unwrap().len(), 1);
    for query in ["?on_failure=stop", "?on_shortage=fail", "?plan_id=3f2a"] {
        let other = server
            .put_with(&format!("/api/execute{query}"), &plan, key())
            .await;
        assert_eq!(
            (other.status, &other.body["code"]),
            (422, &json!("idempotency_key_reused")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_key_is_free_again_when_nothing_was_begun() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let key = || headers(&[("idempotency-key", "again")]);
    let wrong = json!({ "nobody": { "cpu_cores": 1, "mem_units": 1 } });
    assert_eq!(server.put_with("/api/execute", &wrong, key()).await.status, 422);
    assert_eq!(
        server.put_with("/api/execute", &json!({}), key()).await.status,
        200
    );
}

#[tokio::test]
async fn the_plan_that_holds_is_told() {
    let server = Server::start();
    let none = server.get("/api/plan").await;
    assert_eq!((none.status, &none.body["state"]), (200, &json!("none")));
    assert_eq!(none.body["plan"], json!(null));
    server.put("/api/topology", &topology()).await;
    let execution = server.put("/api/execute", &json!({})).await.body["execution"].clone();
    let server = server.kill_and_restart();
    let holds = server.get("/api/plan").await.body;
    assert_eq!(
        (&holds["state"], &holds["plan"], &holds["by"], &holds["execution"]),
        (&json!("reached"), &json!({}), &json!("anonymous"), &execution),
    );
    assert!(holds["since"].is_string(), "{holds}");
}

#[tokio::test]
async fn a_client_that_prefers_it_is_answered_at_once_with_a_location() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let asynchronous = headers(&[("prefer", "wait=5, respond-async")]);
    let answer = server.put_with("/api/execute", &json!({}), asynchronous).await;
    assert_eq!(
        (answer.status, &answer.headers["preference-applied"]),
        (202, &"respond-async".parse().unwrap())
    );
    let location = answer.headers["location"].to_str().unwrap();
    assert_eq!(server.get(location).await.body["id"], answer.body["execution"]);
    assert_eq!(server.get(location).await.status, 200);
}

#[tokio::test]
async fn an_unknown_policy_is_told() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let answer = server.put("/api/execute?on_failure=hope", &json!({})).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!("request_invalid"))
    );
    let answer = server.put("/api/execute?on_shortage=hope", &json!({})).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let said = answer.body["error"].as_str().unwrap();
    assert!(said.contains("fail or replan"), "{said}");
    let answer = server.put("/api/execute?on_failure=rollback", &json!({})).await;
    assert_eq!(answer.status, 200);
}
