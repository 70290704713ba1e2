//! Nodes, as far as no engine is needed; tests/lab/nodes.rs has the rest.

use serde_json::json;

use crate::bad_input::topology;
use crate::server::Server;

#[tokio::test]
async fn there_is_no_node_before_the_first_topology() {
    let server = Server::start();
    let answer = server.get("/api/nodes").await;
    assert_eq!((answer.status, &answer.body["nodes"]), (200, &json!([])));
    let answer = server.get("/api/nodes/vm1").await;
    assert_eq!((answer.status, &answer.body["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_silent_and_keeps_its_labels() {
    let server = Server::start();
    let mut document = topology();
    document["infrastructure"]["cloud_driver"]["hosts"]["vm1"]["labels"] = json!({ "zone": "a", "slots": 4 });
    let answer = server.put("/api/topology", &document).await;
    assert_eq!((answer.status, &answer.body["warnings"]), (200, &json!([])));
    let node = server.get("/api/nodes/vm1").await;
    assert_eq!(node.status, 200, "{}", node.body);
    let node = node.body;
    assert_eq!(node["source"], "hosts");
    assert_eq!(node["standing"], "silent");
    assert!(
        node["reason"].as_str().unwrap().contains("does not answer"),
        "{node}"
    );
    assert_eq!(node["labels"], json!({ "zone": "a", "slots": "4" }));
    assert_eq!(node["used"], json!(null));
    let near = server.get("/api/nodes/vm11").await;
    assert!(
        near.body["error"]
            .as_str()
            .unwrap()
            .contains("did you mean 'vm1'?"),
        "{}",
        near.body
    );
}

#[tokio::test]
async fn nodes_come_as_a_table_too() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let answer = reqwest::get(format!("{}/api/nodes?format=csv", server.base()))
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let text = answer.text().await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("id,source,standing,reason,since,"), "{text}");
    assert!(lines[1].starts_with("vm1,hosts,silent,"), "{text}");
    for query in ["format=xml", "limit=0", "standing=dead", "after=vm1&after=vm2"] {
        let answer = server.get(&format!("/api/nodes?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn nodes_come_in_pages_by_name() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let names = |body: &serde_json::Value| {
        let nodes = body["nodes"].as_array().unwrap().iter();
        nodes
            .map(|node| node["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = server.get("/api/nodes?limit=1").await.body;
    assert_eq!(
        (names(&first), &first["next"]),
        (vec!["vm1".to_owned()], &json!("vm1"))
    );
    let rest = server.get("/api/nodes?limit=1&after=vm1").await.body;
    assert_eq!(
        (names(&rest), &rest["next"]),
        (vec!["vm2".to_owned()], &json!(null))
    );
    let ready = server.get("/api/nodes?standing=ready").await.body;
    assert_eq!(names(&ready), [""; 0]);
    let silent = server.get("/api/nodes?standing=silent").await.body;
    assert_eq!(names(&silent), ["vm1", "vm2"]);
}

#[tokio::test]
async fn what_waits_is_taken_back_by_its_author_or_by_a_newer_wish() {
    let server = Server::start();
    // Where something runs that has to go elsewhere, and no engine answers, an intent waits.
    server.put("/api/topology", &topology()).await;
    let drain = json!({ "kind": "drain", "node": "vm1" });
    let drained = server.post("/api/intents", &drain).await.body;
    let path = format!("/api/intents/{}", drained["id"].as_str().unwrap());
    loop {
        // Nothing is on it, so it is done soon.
        if server.get(&path).await.body["state"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let answer = server.delete(&path).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (409, &json!("too_late")),
        "{}",
        answer.body
    );
    let unknown = "/api/intents/01a1fc6c-c051-7783-a1ac-3b147b0973c0";
    assert_eq!(server.delete(unknown).await.status, 404);
    assert_eq!(server.delete("/api/intents/nothing").await.status, 404);
}

#[tokio::test]
async fn mistakes_in_expressions_are_told_with_path_and_place() {
    let server = Server::start();
    let mut document = topology();
    let tier = &mut document["apps"][0]["tiers"]["db"];
    tier["requires"] = json!("node.mem_units >= 4 && node.lables.zone == 'a'");
    tier["prefers"] = json!("node.mem_units > 4");
    tier["spread"] = json!("node.labels.zone");
    let answer = server.put("/api/topology", &document).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    let told = answer.body["details"].to_string();
    for wanted in [
        "apps[0].tiers.db.requires",
        "column 28: a node has no lables",
        "apps[0].tiers.db.prefers",
        "should give a number",
        "the name of a label, such as \\\"zone\\\"",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[tokio::test]
async fn a_cordon_is_an_intent_that_is_done_at_once_and_outlives_a_kill() {
    let server = Server::start();
    let wanted = json!({ "kind": "cordon", "node": "vm1" });
    assert_eq!(server.post("/api/intents", &wanted).await.status, 409);
    server.put("/api/topology", &topology()).await;
    let answer = server.post("/api/intents", &wanted).await;
    assert_eq!(
        (answer.status, &answer.body["state"]),
        (202, &json!("done")),
        "{}",
        answer.body
    );
    let id = answer.body["id"].as_str().unwrap().to_owned();
    let server = server.kill_and_restart();
    let kept = server.get(&format!("/api/intents/{id}")).await.body;
    assert_eq!((&kept["kind"], &kept["node"]), (&json!("cordon"), &json!("vm1")));
    // A plan goes to the other host, although this one comes first.
    let plan = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1 } });
    let shown = server.put("/api/translate", &plan).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert!(shown.body["allocation"].get("vm1").is_none(), "{}", shown.body);
    let lifted = json!({ "kind": "uncordon", "node": "vm1" });
    assert_eq!(server.post("/api/intents", &lifted).await.body["state"], "done");
    let shown = server.put("/api/translate", &plan).await;
    assert!(shown.body["allocation"].get("vm1").is_some(), "{}", shown.body);
    let listed = server.get("/api/intents?limit=1").await.body;
    assert_eq!(listed["intents"][0]["kind"], "uncordon");
    assert_eq!(listed["next"], listed["intents"][0]["id"]);
    let rest = server
        .get(&format!(
            "/api/intents?state=done&before={}",
            listed["next"].as_str().unwrap()
        ))
        .await
        .body;
    assert_eq!(
        (rest["intents"].as_array().unwrap().len(), &rest["next"]),
        (1, &json!(null))
    );
}

#[tokio::test]
async fn intents_that_make_no_sense_are_refused_at_once() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    for (wanted, status, words) in [
        (json!([]), 400, "should be an object"),
        (
            json!({ "kind": "drian", "node": "vm1" }),
            400,
            "kind should be one of cordon, uncordon, drain, migrate",
        ),
        (
            json!({ "kind": "drain" }),
            400,
            "node is missing: a drain names a node",
        ),
        (
            json!({ "kind": "drain", "node": 5 }),
            400,
            "node should be a string",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_db", "to": 5 }),
            400,
            "to is 5: it should be a list of nodes",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_db", "to": ["vm1", 5] }),
            400,
            "to has something in it that is no node's name",
        ),
        (
            json!({ "kind": "migrate", "to": ["vm1"] }),
            400,
            "tier is missing: a migrate names a tier",
        ),
        (
            json!({ "kind": "drain", "node": "vm1", "nodes": 3 }),
            400,
            "nodes",
        ),
        (
            json!({ "kind": "drain", "node": "vm11" }),
            404,
            "did you mean 'vm1'?",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_db" }),
            400,
            "to is missing: it should be a list of nodes",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_bd", "to": ["vm1"] }),
            404,
            "did you mean rubis_db?",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_db", "to": [] }),
            400,
            "names no node",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_db", "to": vec!["vm1"; 1001] }),
            400,
            "to names 1001 nodes",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_db", "to": ["vm1", "vm22"] }),
            404,
            "there is no node 'vm22'",
        ),
        (
            json!({ "kind": "migrate", "tier": "rubis_db", "to": "node.idd == ''" }),
            400,
            "a node has no idd",
        ),
    ] {
        let answer = server.post("/api/intents", &wanted).await;
        assert_eq!(answer.status, status, "{wanted}: {}", answer.body);
        assert!(
            answer.body["error"].as_str().unwrap().contains(words),
            "{wanted}: {}",
            answer.body
        );
    }
    // What can't be done is taken, and its record says why not.
    let taken = server
        .post(
            "/api/intents",
            &json!({ "kind": "migrate", "tier": "rubis_db", "to": ["vm1"] }),
        )
        .await;
    assert_eq!(taken.status, 202);
    let id = taken.body["id"].as_str().unwrap().to_owned();
    loop {
        let now = server.get(&format!("/api/intents/{id}")).await.body;
        if now["state"] == "refused" {
            assert_eq!(now["reasons"], json!(["rubis_db runs nowhere"]));
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn candidates_need_a_question() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    for (question, status) in [
        (json!({}), 400),
        (json!({ "teir": "rubis_db" }), 400),
        (json!({ "tier": "rubis_db", "cpu_cores": -1 }), 400),
        (json!({ "requires": "node." }), 400),
        (json!({ "tier": "nothing" }), 404),
        (json!({ "tier": "rubis_db", "cpu_cores": 1.5 }), 400),
        (json!({ "tier": "rubis_db", "exclude": ["vm11"] }), 404),
    ] {
        let answer = server.post("/api/candidates", &question).await;
        assert_eq!(answer.status, status, "{question}: {}", answer.body);
    }
    let answer = server
        .post(
            "/api/candidates",
            &json!({ "tier": "rubis_db", "exclude": ["vm2"] }),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["candidates"], json!([]));
    let rejected = answer.body["rejected"].to_string();
    assert!(
        rejected.contains("it is silent: it does not answer"),
        "{rejected}"
    );
    assert!(rejected.contains("it is excluded"), "{rejected}");
}
