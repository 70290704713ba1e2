//! Nothing that a client asks for is ignored: unknown and repeated names are refused, and the
//! nearest known name is given.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::openapi::description;
use crate::requests::headers;
use crate::server::Server;

/// Method, path, and the names of the query parameters in the description.
fn operations() -> Vec<(Method, String, Vec<String>)> {
    let mut found = Vec::new();
    for (path, operations) in description()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let names = parameters
                .filter(|one| one["in"] == "query")
                .map(|one| one["name"].as_str().unwrap().to_owned());
            let path = path.replace("{id}", "00000000-0000-0000-0000-000000000000");
            let path = path.replace(['{', '}'], "");
            found.push((method.to_uppercase().parse().unwrap(), path, names.collect()));
        }
    }
    for path in ["/", "/ui/app.js", "/docs", "/docs/"] {
        found.push((Method::GET, path.to_owned(), Vec::new()));
    }
    found
}

#[tokio::test]
async fn every_operation_refuses_query_parameters_that_it_does_not_describe_or_that_come_twice() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let mut with_parameters = 0;
    for (method, path, names) in operations() {
        let refused = async |query: &str, words: &[&str]| {
            let url = format!("{path}?{query}");
            let (status, _, text) = server.raw(method.clone(), &url, headers(&[])).await;
            let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{url}: {text}"));
            assert_eq!(
                (status, body["code"].as_str()),
                (400, Some("request_invalid")),
                "{method} {url}"
            );
            let error = body["error"].as_str().unwrap();
            assert!(words.iter().all(|word| error.contains(word)), "{url}: {error}");
            assert!(
                body["details"].is_array() && body["time"].is_string(),
                "{url}: {body}"
            );
        };
        refused("no_such=1", &["\"no_such\""]).await;
        refused("=1", &["\"\""]).await;
        refused("dry_run", &["\"dry_run\""]).await;
        refused("%64ry_run=true", &["\"dry_run\""]).await;
        for name in &names {
            with_parameters += 1;
            refused(&format!("{name}x=1"), &["did you mean", name]).await;
            refused(&format!("{name}=1&{name}=1"), &[name, "twice"]).await;
            refused(&format!("{}=1", name.to_uppercase()), &["did you mean", name]).await;
        }
    }
    assert!(with_parameters >= 4, "{with_parameters}");
    assert_eq!(server.get("/api/executions").await.body["executions"], json!([]));
    // HEAD accepts the same as GET.
    assert_eq!(server.head("/healthz?a=1").await.0, 400);
    // For an unknown path, the answer says so, whatever was asked.
    assert_eq!(server.get("/nowhere?a=1").await.status, 404);
}

#[tokio::test]
async fn a_misspelt_plan_id_executes_nothing() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let shown = server.put("/api/translate", &json!({})).await;
    let id = shown.body["plan_id"].as_str().unwrap();
    for query in [
        format!("planid={id}&dry_run=true"),
        format!("planid={id}"),
        format!("plan-id={id}"),
        format!("plan_id={id}&plan_id={id}"),
        format!("plan_id={id}&dry_run=true"),
    ] {
        let answer = server.put(&format!("/api/execute?{query}"), &json!({})).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
    let answer = server.put(&format!("/api/execute?planid={id}"), &json!({})).await;
    let error = answer.body["error"].as_str().unwrap();
    assert!(error.contains("did you mean plan_id?"), "{error}");
    assert_eq!(server.get("/api/executions").await.body["executions"], json!([]));
    let answer = server
        .put(&format!("/api/execute?plan_id={id}"), &json!({}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn calls_without_options_take_no_body() {
    let server = Server::start();
    let id = "00000000-0000-0000-0000-000000000000";
    for (method, path) in [
        (Method::POST, format!("/api/executions/{id}/cancel")),
        (Method::POST, format!("/api/executions/{id}/resume")),
        (Method::POST, format!("/api/executions/{id}/rollback")),
        (Method::DELETE, "/api/allocation/vm1".to_owned()),
    ] {
        for (body, status) in [
            ("", 404),
            ("{}", 404),
            ("{\"force\": true}", 400),
            ("[]", 400),
            ("x", 400),
        ] {
            let answer = server.send(method.clone(), &path, body).await;
            assert_eq!(answer.status, status, "{method} {path} {body:?}: {}", answer.body);
            assert!(status != 400 || answer.body["error"].is_string());
        }
    }
}

#[tokio::test]
async fn a_what_if_has_no_unknown_members() {
    let server = Server::start();
    let good = json!({ "topology": topology(), "plan": {} });
    assert_eq!(server.post("/api/solve", &good).await.status, 200);
    for (member, near) in [
        ("deadline", "deadline_ms"),
        ("exakt", "exact"),
        ("topologie", "topology"),
        ("x", "known are"),
    ] {
        let mut question = good.clone();
        question[member] = json!(1);
        let answer = server.post("/api/solve", &question).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("request_invalid")),
            "{member}"
        );
        let error = answer.body["error"].as_str().unwrap();
        assert!(error.contains(member) && error.contains(near), "{error}");
    }
}
