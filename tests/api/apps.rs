//! Apps as requests, and what is set by hand, as far as no engine is needed; the rest is in tests/lab/apps.rs.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::server::Server;

fn blog() -> Value {
    json!({
        "tiers": { "site": { "docker_image": "nginx", "environment": { "KEY": "geheim" } } },
        "plan": { "site": { "cpu_cores": 1, "mem_units": 1 } }
    })
}

/// Waits until an app has come to a state.
async fn comes_to(server: &Server, app: &str, state: &str) -> Value {
    loop {
        let now = server.get(&format!("/api/apps/{app}")).await.body;
        if now["state"] == state {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_request_for_an_app_outlives_a_kill_and_is_no_part_of_the_topology() {
    let server = Server::start();
    assert_eq!(
        server.put("/api/apps/blog", &blog()).await.status,
        409,
        "no topology yet"
    );
    server.put("/api/topology", &topology()).await;
    let taken = server.put("/api/apps/blog", &blog()).await;
    assert_eq!(
        (taken.status, &taken.body["state"]),
        (202, &json!("new")),
        "{}",
        taken.body
    );
    assert!(taken.body["times"]["new"].is_string(), "{}", taken.body);
    // No engine answers, so it waits.
    let waits = comes_to(&server, "blog", "dispatched").await;
    assert_eq!(waits["id"], taken.body["id"]);
    assert_eq!(waits["tiers"]["site"]["environment"], json!({ "KEY": "***" }));
    let intent = format!("/api/intents/{}", taken.body["id"].as_str().unwrap());
    assert_eq!(server.get(&intent).await.body["kind"], "deploy_app");
    let server = server.kill_and_restart();
    assert_eq!(
        comes_to(&server, "blog", "dispatched").await["id"],
        taken.body["id"]
    );
    assert_eq!(
        server.get("/api/apps").await.body["apps"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let shown = server.get("/api/topology").await.body;
    assert_eq!(shown["apps"].as_array().unwrap().len(), 1, "{shown}");
    assert!(!shown.to_string().contains("geheim"));
    // A newer request takes its place, and one that never ran is removed at once.
    // It is read and put back, secrets and all.
    let read = json!({ "tiers": waits["tiers"], "plan": waits["plan"] });
    let newer = server.put("/api/apps/blog", &read).await;
    assert_eq!(newer.status, 202, "{}", newer.body);
    let newer = newer.body;
    assert_eq!(server.get(&intent).await.body["state"], "cancelled");
    assert_ne!(newer["id"], taken.body["id"]);
    let removed = server.delete("/api/apps/blog").await;
    assert_eq!(
        (removed.status, &removed.body["wants"]),
        (202, &json!("remove")),
        "{}",
        removed.body
    );
    comes_to(&server, "blog", "removed").await;
    assert_eq!(server.delete("/api/apps/blog").await.status, 404);
}

#[tokio::test]
async fn names_are_those_of_the_topology_or_of_requests() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let own = json!({ "tiers": { "db": { "docker_image": "mysql" } }, "plan": {} });
    for answer in [
        server.put("/api/apps/rubis", &own).await,
        server.delete("/api/apps/rubis").await,
    ] {
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (409, &json!("in_use")),
            "{}",
            answer.body
        );
    }
    let path = "/api/apps/nothing";
    assert_eq!(server.get(path).await.status, 404);
    assert_eq!(server.delete(path).await.status, 404);
    let mut marked = topology();
    marked["requested_apps"] = json!(["rubis"]);
    let refused = server.put("/api/topology", &marked).await;
    assert_eq!(
        (refused.status, &refused.body["details"][0]["path"]),
        (422, &json!("requested_apps"))
    );
}

#[tokio::test]
async fn all_problems_of_an_app_are_told_at_once() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let bad = json!({
        "tiers": { "site": { "ports": ["x"] } },
        "plan": { "site": { "cpu_cores": -1, "mem_units": 1 } }
    });
    let refused = server.put("/api/apps/blog", &bad).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (422, &json!("app_invalid")),
        "{}",
        refused.body
    );
    let told = refused.body["details"].to_string();
    for place in [
        "tiers.site.docker_image",
        "tiers.site.ports[0]",
        "plan.site.cpu_cores",
    ] {
        assert!(told.contains(place), "{place}: {told}");
    }
    assert_eq!(server.get("/api/apps/blog").await.status, 404);
}

#[tokio::test]
async fn a_compose_stack_is_taken_and_what_has_no_counterpart_is_named() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let stack = json!({ "services": { "site": { "image": "nginx", "privileged": true, "cpus": 1, "mem_limit": "64m" } } });
    let taken = server.put("/api/apps/blog", &stack).await;
    assert_eq!(taken.status, 202, "{}", taken.body);
    assert_eq!(taken.body["tiers"]["site"], json!({ "docker_image": "nginx" }));
    assert_eq!(taken.body["plan"]["site"]["cpu_cores"], 1);
    assert!(
        taken.body["warnings"]
            .to_string()
            .contains("services.site.privileged"),
        "{}",
        taken.body
    );
    let refused = server
        .put(
            "/api/apps/shop",
            &json!({ "services": { "site": { "build": "." } } }),
        )
        .await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (422, &json!("app_invalid"))
    );
}

#[tokio::test]
async fn what_is_set_by_hand_makes_sense_or_is_refused_at_once() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let set = |cores: Value, mem: Value| json!({ "vm": "vm1", "app": "rubis", "name": "db", "cpu_cores": cores, "mem_units": mem });
    for (path, body, status, words) in [
        ("/api/vm/capacity", json!({}), 400, "capacity is missing"),
        (
            "/api/vm/capacity",
            json!({ "capacity": -1 }),
            400,
            "whole number from 0",
        ),
        ("/api/vm/capacity", json!({ "capcity": 1 }), 400, "capacity"),
        (
            "/api/tier",
            json!({ "vm": 5 }),
            400,
            "vm should be a name, is 5; app is missing; name is missing",
        ),
        ("/api/tier", set(json!(1), json!(0)), 400, "some of both"),
        ("/api/tier", set(json!(1.5), json!(1)), 400, "whole number"),
        (
            "/api/tier",
            json!({ "vm": "vm1", "app": "rubis", "name": "bd", "cpu_cores": 1, "mem_units": 1 }),
            404,
            "rubis_db",
        ),
        (
            "/api/tier",
            json!({ "vm": "vm7", "app": "rubis", "name": "db", "cpu_cores": 1, "mem_units": 1 }),
            404,
            "vm7",
        ),
    ] {
        let answer = server.send(Method::PUT, path, body.to_string()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(
            answer.body["error"].as_str().unwrap().contains(words),
            "{body}: {}",
            answer.body
        );
    }
    // A container that is not there is not there.
    let removed = server.put("/api/tier", &set(json!(0), json!(0))).await;
    assert_eq!(
        (removed.status, &removed.body["state"]),
        (200, &json!("done")),
        "{}",
        removed.body
    );
}

#[tokio::test]
async fn an_alert_names_something_that_can_be_moved() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    for (alert, status, words) in [
        (json!({ "event": "overload" }), 400, "give tier or node"),
        (json!({ "tier": "rubis_db" }), 400, "event is missing"),
        (
            json!({ "tier": "rubis_db", "event": "overload", "cool_down_s": -1 }),
            400,
            "cool_down_s",
        ),
        (
            json!({ "teir": "rubis_db", "event": "overload" }),
            400,
            "did you mean tier?",
        ),
        (
            json!({ "tier": "rubis_db", "event": "overload" }),
            404,
            "rubis_db runs nowhere",
        ),
        (
            json!({ "node": "vm1", "event": "overload" }),
            404,
            "nothing on node 'vm1'",
        ),
    ] {
        let answer = server.post("/api/alerts", &alert).await;
        assert_eq!(answer.status, status, "{alert}: {}", answer.body);
        assert!(
            answer.body["error"].as_str().unwrap().contains(words),
            "{alert}: {}",
            answer.body
        );
    }
}
