//! Nodes that register themselves, as far as no engine is needed; the rest is in tests/lab/agents.rs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::events;
use crate::patience::patiently;
use crate::server::Server;

pub fn registering() -> Value {
    json!({ "infrastructure": { "cloud_driver": { "nodes": {} }, "cpu_cores": 2, "mem_units": 4,
        "self_heal": { "lost_after_s": 4 } }, "apps": [] })
}

fn node(number: usize) -> Value {
    json!({ "epoch": 7, "endpoint": format!("tcp://127.9.{}.{}:1", number / 250, number % 250 + 1), "refresh_s": 1,
        "labels": { "zone": "a" }, "capabilities": { "arch": "arm64", "cores": 4, "memory_mb": 8000 },
        "health": { "load_1m": 0.5 } })
}

/// Everything that has happened so far, oldest first.
async fn told(server: &Server) -> Vec<Value> {
    let newest = events::newest(server).await;
    let stream = server.stream("/api/events", Some(0)).await;
    let mut told = events::first(stream, usize::try_from(newest).unwrap()).await;
    told.retain(|(number, _, _)| *number <= newest);
    told.into_iter().map(|(_, _, data)| data).collect()
}

/// How nodes have turned so far: name and standing, in order.
async fn turns(server: &Server) -> Vec<(String, String)> {
    let told = told(server).await;
    let turned = told.iter().filter(|event| event["event"] == "nodes_turned");
    let nodes = turned.flat_map(|event| event["nodes"].as_array().unwrap());
    nodes
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            (text("node"), text("standing"))
        })
        .collect()
}

pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    patiently(what, look).await
}

#[tokio::test]
async fn a_node_registers_refreshes_is_restarted_and_leaves() {
    let server = Server::start();
    server.put("/api/topology", &registering()).await;
    let answer = server.put("/api/nodes/edge-1", &node(1)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut body = answer.body;
    body.as_object_mut().unwrap().remove("time");
    assert_eq!(
        body,
        json!({ "id": "edge-1", "epoch": 7, "refresh_s": 1, "lost_after_s": 4, "standing": "ready", "reason": null })
    );
    let short = server.put("/api/nodes/edge-1", &json!({ "epoch": 7 })).await;
    assert_eq!(short.status, 200, "{}", short.body);
    let shown = server.get("/api/nodes/edge-1").await.body;
    assert_eq!(shown["source"], "nodes");
    assert_eq!(shown["epoch"], 7);
    assert_eq!(
        (&shown["cpu_cores"], &shown["mem_units"]),
        (&json!(4), &json!(15))
    );
    assert_eq!(
        (&shown["labels"]["zone"], &shown["capabilities"]["arch"]),
        (&json!("a"), &json!("arm64"))
    );
    assert_eq!(
        shown["health"],
        json!({}),
        "the newest refresh says nothing of it"
    );

    // A later start of the agent; the one before it has nothing to say any more.
    let mut restarted = node(1);
    restarted["epoch"] = json!(8);
    assert_eq!(server.put("/api/nodes/edge-1", &restarted).await.status, 200);
    let stale = server.put("/api/nodes/edge-1", &json!({ "epoch": 7 })).await;
    assert_eq!((stale.status, &stale.body["code"]), (409, &json!("epoch_stale")));
    assert_eq!(stale.body["details"], json!([{ "epoch": 8 }]));
    let stale = server.send(Method::DELETE, "/api/nodes/edge-1?epoch=7", "").await;
    assert_eq!((stale.status, &stale.body["code"]), (409, &json!("epoch_stale")));

    let gone = server.send(Method::DELETE, "/api/nodes/edge-1?epoch=8", "").await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert_eq!(server.get("/api/nodes").await.body["nodes"], json!([]));
    let again = server.send(Method::DELETE, "/api/nodes/edge-1", "").await;
    assert_eq!(again.status, 404);
    let unknown = server.put("/api/nodes/edge-1", &json!({ "epoch": 8 })).await;
    assert_eq!(
        (unknown.status, &unknown.body["code"]),
        (404, &json!("not_found"))
    );
}

#[tokio::test]
async fn what_a_node_says_is_checked_as_a_whole() {
    let server = Server::start();
    server.put("/api/topology", &registering()).await;
    let wrong = json!({ "epoch": "x", "endpoint": "http://", "ip": "here", "refresh_s": 0, "helth": {} });
    let answer = server.put("/api/nodes/edge-1", &wrong).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (422, &json!("node_invalid"))
    );
    let details = answer.body["details"].as_array().unwrap();
    let paths: BTreeSet<&str> = details.iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["endpoint", "epoch", "helth", "ip", "refresh_s"].into());
    assert!(
        answer.body["error"]
            .as_str()
            .unwrap()
            .contains("did you mean health?")
    );
    let answer = server.put("/api/nodes/new_vm0", &node(1)).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    for endpoint in ["tcp://me:hunter2@10.0.0.1:2375", "ssh://-oProxyCommand=x"] {
        let mut wrong = node(1);
        wrong["endpoint"] = json!(endpoint);
        let answer = server.put("/api/nodes/edge-1", &wrong).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(!answer.body.to_string().contains("hunter2"), "{}", answer.body);
    }
    assert_eq!(server.put("/api/nodes/edge-1", &node(1)).await.status, 200);
    let shared = server.put("/api/nodes/edge-2", &node(1)).await;
    assert_eq!(
        (shared.status, &shared.body["code"]),
        (409, &json!("engine_shared"))
    );
    let query = server.send(Method::DELETE, "/api/nodes/edge-1?epoch=x", "").await;
    assert_eq!(query.status, 400);
}

#[tokio::test]
async fn machines_of_another_source_do_not_register() {
    let server = Server::start();
    // Before there is a topology nobody knows.
    assert_eq!(server.put("/api/nodes/edge-1", &node(1)).await.status, 200);
    server.put("/api/topology", &crate::bad_input::topology()).await;
    let answer = server.put("/api/nodes/edge-1", &json!({ "epoch": 7 })).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (409, &json!("nodes_not_taken"))
    );
    server.put("/api/topology", &registering()).await;
    let shown = server.get("/api/nodes").await.body;
    assert_eq!(shown["nodes"][0]["id"], "edge-1", "{shown}");
}

#[tokio::test]
async fn registrations_and_cordons_outlive_a_kill_and_a_new_registration() {
    let server = Server::start();
    server.put("/api/topology", &registering()).await;
    for number in 1..=3 {
        server
            .put(&format!("/api/nodes/edge-{number}"), &node(number))
            .await;
    }
    let cordon = json!({ "kind": "cordon", "node": "edge-2" });
    assert_eq!(server.post("/api/intents", &cordon).await.status, 202);
    server.send(Method::DELETE, "/api/nodes/edge-3", "").await;
    let server = server.kill_and_restart();
    // The short form is enough: it is known.
    let answer = server.put("/api/nodes/edge-1", &json!({ "epoch": 7 })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    server.send(Method::DELETE, "/api/nodes/edge-2", "").await;
    let mut restarted = node(2);
    restarted["epoch"] = json!(9);
    let again = server.put("/api/nodes/edge-2", &restarted).await;
    assert_eq!(again.body["standing"], "cordoned", "{}", again.body);
    let shown = server.get("/api/nodes").await.body;
    let known: Vec<(&str, u64)> = shown["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node["epoch"].as_u64().unwrap()))
        .collect();
    assert_eq!(known, [("edge-1", 7), ("edge-2", 9)]);
    let listed = server.text("/api/nodes?format=csv").await;
    assert!(listed.contains("edge-2,nodes,"), "{listed}");
}

#[tokio::test]
async fn a_token_of_a_node_speaks_for_that_node_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(
        &file,
        "edge-1 node a-token-of-edge-1\nops write a-token-that-writes\nsee read a-token-that-reads\n",
    )
    .unwrap();
    let server = Server::start_with(&["--tokens-file", file.to_str().unwrap()]);
    let with = |token: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {token}")).unwrap(),
        );
        headers
    };
    let (edge, ops, see) = ("a-token-of-edge-1", "a-token-that-writes", "a-token-that-reads");
    server.put_with("/api/topology", &registering(), with(ops)).await;
    let mut outside = node(1);
    outside["endpoint"] = json!("tcp://10.0.0.7:2375");
    let put = async |token: &str, id: &str, said: &Value| {
        let answer = server
            .put_with(&format!("/api/nodes/{id}"), said, with(token))
            .await;
        (
            answer.status,
            answer.body["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(put(edge, "edge-1", &outside).await.0, 200);
    let (status, why) = put(edge, "edge-2", &outside).await;
    assert_eq!(status, 403);
    assert!(
        why.contains("has the role node for 'edge-1', and this needs write, or node for 'edge-2'"),
        "{why}"
    );
    assert_eq!(put(see, "edge-1", &outside).await.0, 403);
    // It may not have the service dial what is on the service's own machine.
    for here in [
        "unix:///var/run/docker.sock",
        "tcp://127.0.0.1:2375",
        "http://localhost:1",
        "tcp://LOCALHOST.:1",
        "tcp://[::1]:1",
        "tcp://127.1:2375",
        "tcp://2130706433:2375",
        "tcp://169.254.169.254:80",
        "tcp://[fe80::1]:2375",
    ] {
        let mut said = outside.clone();
        said["endpoint"] = json!(here);
        assert_eq!(put(edge, "edge-1", &said).await.0, 422, "{here}");
    }
    let mut said = outside.clone();
    said["ip"] = json!("127.0.0.1");
    assert_eq!(put(edge, "edge-1", &said).await.0, 422);
    let mut said = outside.clone();
    said["endpoint"] = json!("unix:///var/run/docker.sock");
    assert_eq!(put(ops, "edge-1", &said).await.0, 200);
    for (method, path) in [
        (Method::GET, "/api/nodes"),
        (Method::GET, "/api/nodes/edge-1"),
        (Method::GET, "/api/topology"),
        (Method::GET, "/api/events"),
        (Method::GET, "/metrics"),
        (Method::PUT, "/api/execute"),
        (Method::POST, "/api/intents"),
        (Method::DELETE, "/api/allocation/edge-1"),
        (Method::DELETE, "/api/nodes/edge-2"),
    ] {
        let status = server.status(method.clone(), path, with(edge)).await;
        assert_eq!(status, 403, "{method} {path}");
    }
    assert_eq!(
        server
            .status(Method::DELETE, "/api/nodes/edge-1", with(edge))
            .await,
        200
    );
}

#[tokio::test]
async fn of_two_hundred_nodes_the_one_that_falls_silent_is_noticed_and_no_other() {
    let server = Server::start();
    server.put("/api/topology", &registering()).await;
    let client = reqwest::Client::new();
    let (stop, base) = (Arc::new(AtomicBool::new(false)), server.base().to_owned());
    let agents: Vec<_> = (0..200)
        .map(|number| {
            let (client, stop, base) = (client.clone(), stop.clone(), base.clone());
            tokio::spawn(async move {
                let url = format!("{base}/api/nodes/edge-{number}");
                let mut said = node(number);
                // It refreshes far more often as it has to: this is about who stops, not about a busy machine.
                said["refresh_s"] = json!(15);
                while !stop.load(Ordering::Relaxed) {
                    let sent = client.put(&url).body(said.to_string()).send().await;
                    if number == 17 {
                        return;
                    }
                    if sent.is_ok_and(|answer| answer.status() == 200) {
                        said = json!({ "epoch": 7, "health": { "load_1m": 1 } });
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            })
        })
        .collect();
    until("it is not noticed", async || {
        let turns = turns(&server).await;
        turns.iter().any(|(_, standing)| standing == "lost").then_some(())
    })
    .await;
    let of = |node: &str, standing: &str| (node.to_owned(), standing.to_owned());
    assert_eq!(
        turns(&server).await,
        [of("edge-17", "silent"), of("edge-17", "lost")]
    );
    let metrics = server.text("/metrics").await;
    assert!(
        metrics.contains("mapek_nodes{standing=\"lost\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("mapek_nodes{standing=\"ready\"} 199\n"),
        "{metrics}"
    );

    // All others fall silent at once: that is us.
    stop.store(true, Ordering::Relaxed);
    for agent in agents {
        agent.await.unwrap();
    }
    until("nobody says that we are cut off", async || {
        told(&server)
            .await
            .into_iter()
            .find(|event| event["event"] == "cut_off")
    })
    .await;
    let cut_off = server.text("/metrics").await;
    assert!(cut_off.contains("mapek_cut_off 1\n"), "{cut_off}");
    let lost = turns(&server)
        .await
        .into_iter()
        .filter(|(_, standing)| standing == "lost");
    assert_eq!(lost.count(), 1);
    let ready = server.get("/readyz").await.body;
    assert!(ready.to_string().contains("max_lost_share"), "{ready}");
}
