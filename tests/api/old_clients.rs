//! What clients written for the predecessor send, and what they read.

use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::server::Server;

async fn ready() -> Server {
    let server = Server::start();
    assert_eq!(server.put("/api/topology", &topology()).await.status, 200);
    server
}

fn actions(body: &Value) -> Vec<Vec<&str>> {
    let stages = body["actions"].as_array().unwrap();
    stages
        .iter()
        .map(|stage| {
            stage
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text.as_str().unwrap())
                .collect()
        })
        .collect()
}

#[tokio::test]
async fn a_plan_is_translated_to_the_predecessors_texts_by_put_and_post() {
    let server = ready().await;
    let plan = json!({ "rubis": { "db": { "cpu_cores": 1, "mem_units": 1 }, "web": { "cpu_cores": 1.0, "mem_units": 6.0 } } });
    let flat = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1 }, "rubis_web": { "cpu_cores": 1, "mem_units": 6 } });
    let by_put = server.put("/api/translate", &plan).await;
    assert_eq!(
        actions(&by_put.body),
        [
            vec!["create vm 'vm1'"],
            vec!["create container 'rubis_db' on vm 'vm1' with cpu cores=1 and mem_units=1"],
            vec!["create container 'rubis_web' on vm 'vm1' with cpu cores=1 and mem_units=6"],
        ],
        "{}",
        by_put.body
    );
    for answer in [
        server.post("/api/translate", &plan).await,
        server.put("/api/translate", &flat).await,
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["actions"], by_put.body["actions"]);
    }
    let time = by_put.body["time"].as_str().unwrap();
    assert_eq!(
        time.split('.').nth(1).map(str::len),
        Some(2),
        "two decimals: {time}"
    );
}

#[tokio::test]
async fn any_content_type_will_do() {
    let server = ready().await;
    for body in ["{}", "\u{feff}{}", "  {}\n"] {
        let answer = server.send(reqwest::Method::PUT, "/api/translate", body).await;
        assert_eq!(
            (answer.status, &answer.body["actions"]),
            (200, &json!([])),
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn a_plan_that_changes_nothing_is_a_success_without_actions() {
    let server = ready().await;
    let answer = server.put("/api/translate", &json!({})).await;
    assert_eq!((answer.status, &answer.body["actions"]), (200, &json!([])));
    for answer in [
        server.put("/api/execute", &json!({})).await,
        server.post("/api/execute", &json!({})).await,
    ] {
        assert_eq!(
            (answer.status, &answer.body["outcome"]),
            (200, &json!("succeeded")),
            "{}",
            answer.body
        );
        let id = answer.body["execution"].as_str().unwrap();
        let record = server.get(&format!("/api/executions/{id}")).await;
        assert_eq!((record.status, &record.body["stages"]), (200, &json!([])));
    }
    assert_eq!(
        server.get("/api/inspect").await.body.as_object().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn the_blueprints_topology_is_taken_with_warnings() {
    let server = Server::start();
    let mut document = topology();
    document["apps"][0]["tiers"]["db"] = json!({ "docker_image": "mysql", "max_nodes": 1, "port_bindings": ["3306:3306"], "run_parameters": "-a b", "max_rt": 0.2 });
    let answer = server.put("/api/topology", &document).await;
    assert_eq!(
        (answer.status, &answer.body["generation"]),
        (200, &json!(1)),
        "{}",
        answer.body
    );
    let paths: Vec<&str> = answer.body["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["path"].as_str().unwrap())
        .collect();
    let field = |name: &str| format!("apps[0].tiers.db.{name}");
    let named = ["port_bindings", "run_parameters", "max_nodes", "max_rt"].map(field);
    assert_eq!(paths, named);
    let mut given_back = server.get("/api/topology").await.body;
    given_back.as_object_mut().unwrap().remove("time");
    assert_eq!(given_back, document, "given back as it was put");
}

#[tokio::test]
async fn an_auto_scaling_group_is_taken_as_it_is_and_its_credentials_are_missed_only_when_needed() {
    let server = Server::start();
    let mut document = topology();
    document["infrastructure"]["cloud_driver"] =
        json!({ "autoscaling_groupname": "g", "credentials": "/none" });
    assert_eq!(server.put("/api/topology", &document).await.status, 200);
    // Nothing may leave this machine: neither program nor test speaks to AWS.
    document["infrastructure"]["cloud_driver"]["endpoint_url"] = json!("http://127.0.0.1:9");
    assert_eq!(server.put("/api/topology", &document).await.status, 200);
    let answer = server.put("/api/translate", &json!({})).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (422, &json!("cloud_misconfigured"))
    );
    let said = answer.body["error"].as_str().unwrap();
    assert!(
        said.contains("/none") && said.contains("AWS_ACCESS_KEY_ID"),
        "{said}"
    );
}
