//! The API's description: the committed one is current, complete, and readable without a network.

use serde_json::{Map, Value, json};

use crate::requests::headers;
use crate::server::{Server, program};
use reqwest::Method;

/// The committed description.
pub fn description() -> Value {
    serde_json::from_str(include_str!("../../openapi.json")).unwrap()
}

fn described(what: &str) -> String {
    String::from_utf8(program().args(["describe", what]).output().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn the_committed_description_is_that_of_the_code() {
    let remedy = "run make openapi and look at what changed";
    assert!(
        described("openapi") == include_str!("../../openapi.json"),
        "openapi.json: {remedy}"
    );
    assert!(
        described("errors") == include_str!("../../docs/errors.md"),
        "docs/errors.md: {remedy}"
    );
    let options = include_str!("../../docs/configuration.md");
    let (_, table) = options.split_once("<!-- options -->\n").unwrap();
    let (table, _) = table.split_once("<!-- end of options -->").unwrap();
    assert!(described("options") == table, "docs/configuration.md: {remedy}");
    let server = Server::start();
    assert_eq!(server.get("/openapi.json").await.body, description());
}

#[test]
fn every_schema_is_described_with_an_example() {
    let document = description();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name} has no description");
        let example = schema.get("example").or(schema.get("examples"));
        assert!(example.is_some(), "{name} has no example");
        let none = Map::new();
        for (field, of) in schema["properties"].as_object().unwrap_or(&none) {
            let told = of.get("description").or(of.pointer("/oneOf/0/description"));
            assert!(told.is_some() || of.get("$ref").is_some(), "{name}.{field}: {of}");
        }
    }
}

#[test]
fn every_operation_tells_its_errors_and_every_code_has_its_place() {
    let (document, mut seen) = (description(), std::collections::BTreeSet::new());
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(
                operation["summary"].is_string() && operation["operationId"].is_string(),
                "{method} {path}"
            );
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(
                    answer["description"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{path} {status}"
                );
                let examples = answer.pointer("/content/application~1json/examples");
                for (code, _) in examples.and_then(Value::as_object).into_iter().flatten() {
                    seen.insert(code.clone());
                }
            }
        }
    }
    // Answers that belong to no operation: an unknown path or method.
    seen.insert("method_not_allowed".to_owned());
    let listed: Vec<&str> = include_str!("../../docs/errors.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let mut once = listed.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), listed.len(), "each code once");
    assert_eq!(once, seen.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Every `$ref` in a schema.
fn references<'s>(schema: &'s Value, found: &mut Vec<&'s str>) {
    match schema {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn schemas_stand_alone_and_may_be_named_in_what_they_describe() {
    // Open to everyone: an editor has no token.
    let server = Server::start_with(&["--tokens", &crate::auth::tokens()]);
    for (name, field) in [("topology", "infrastructure"), ("plan", "$schema")] {
        let (status, got, text) = server
            .raw(Method::GET, &format!("/schemas/{name}.json"), headers(&[]))
            .await;
        assert_eq!(
            (status, got["content-type"].to_str().unwrap()),
            (200, "application/schema+json")
        );
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert!(
            schema["$id"].as_str().unwrap().ends_with(name) && schema["properties"][field].is_object(),
            "{text}"
        );
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.len() >= 2, "{text}");
        for place in found {
            assert!(
                schema.pointer(place.strip_prefix('#').unwrap()).is_some(),
                "{place} is not in {name}"
            );
        }
    }
    assert_eq!(server.get("/schemas/nothing.json").await.status, 404);
    let server = Server::start();
    let mut topology = crate::bad_input::topology();
    topology["$schema"] = json!(format!("{}/schemas/topology.json", server.base()));
    let answer = server.put("/api/topology", &topology).await;
    assert_eq!((answer.status, &answer.body["warnings"]), (200, &json!([])));
    let plan = json!({ "$schema": "plan.json", "rubis": { "db": { "cpu_cores": 1, "mem_units": 1 } } });
    assert_eq!(server.put("/api/translate", &plan).await.status, 200);
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    let server = Server::start_with(&["--tokens", &crate::auth::tokens()]);
    let get = async |path: &str| server.raw(Method::GET, path, headers(&[])).await;
    let (status, got, page) = get("/docs/").await;
    assert_eq!(
        (status, got["content-type"].to_str().unwrap()),
        (200, "text/html")
    );
    assert!(
        got["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'self'")
    );
    let mut files = 0;
    for link in page
        .split(['"', '\''])
        .filter(|text| text.ends_with(".js") || text.ends_with(".css"))
    {
        assert!(!link.contains("//"), "{link}");
        let (status, _, _) = get(&format!("/docs/{}", link.trim_start_matches("./"))).await;
        assert_eq!(status, 200, "{link}");
        files += 1;
    }
    assert!(files >= 3, "{page}");
    let (_, _, initializer) = get("/docs/swagger-initializer.js").await;
    assert!(
        initializer.contains("../openapi.json") && initializer.contains("\"validatorUrl\": \"none\""),
        "{initializer}"
    );
    assert_eq!(get("/docs/nothing.js").await.0, 404);
    let (status, _, text) = get("/openapi.json").await;
    assert_eq!(
        (
            status,
            serde_json::from_str::<Value>(&text).unwrap() == description()
        ),
        (200, true)
    );
}

#[tokio::test]
async fn readiness_names_the_part_that_is_not() {
    let server = Server::start_with(&["--tokens", &crate::auth::tokens()]);
    let ready = async |fields: &[(&'static str, &str)]| {
        let (status, _, text) = server.raw(Method::GET, "/readyz", headers(fields)).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, body) = ready(&[]).await;
    assert_eq!((status, &body["ready"]), (503, &json!(false)));
    assert_eq!(
        body["parts"]["topology"],
        json!({ "ready": false }),
        "why is not told to everyone"
    );
    let bearer = format!("Bearer {}", crate::auth::WRITER);
    let token = [("authorization", bearer.as_str())];
    let (_, body) = ready(&token).await;
    assert!(
        body["parts"]["topology"]["problem"]
            .as_str()
            .unwrap()
            .contains("/api/topology"),
        "{body}"
    );
    let topology = crate::bad_input::topology().to_string();
    server
        .raw_with(Method::PUT, "/api/topology", headers(&token), topology)
        .await;
    // The answer is at most a second old.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (status, body) = ready(&[]).await;
    assert_eq!((status, &body["ready"]), (200, &json!(true)), "{body}");
}
