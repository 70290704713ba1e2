//! What is stored, and how the service ends.

use serde_json::{Value, json};

use crate::bad_input::topology;
use crate::server::{Server, program};

fn without_time(mut body: Value) -> Value {
    body.as_object_mut().unwrap().remove("time");
    body
}

#[tokio::test]
async fn the_topology_outlives_a_kill() {
    let server = Server::start();
    assert_eq!(
        server.put("/api/topology", &topology()).await.body["generation"],
        1
    );
    let mut other = topology();
    other["infrastructure"]["max_vms"] = json!(7);
    assert_eq!(server.put("/api/topology", &other).await.body["generation"], 2);
    let server = server.kill_and_restart();
    assert_eq!(without_time(server.get("/api/topology").await.body), other);
    assert_eq!(
        server.put("/api/topology", &topology()).await.body["generation"],
        3
    );
}

#[tokio::test]
async fn a_topology_that_is_put_again_as_it_is_changes_nothing_and_breaks_no_seal() {
    let server = Server::start();
    let mut document = topology();
    document["apps"][0]["tiers"]["db"]["environment"] = json!({ "PASSWORD": "hunter2" });
    let first = server.put("/api/topology", &document).await;
    let shown = server.put("/api/translate", &json!({})).await;
    let sealed = format!("/api/execute?plan_id={}", shown.body["plan_id"].as_str().unwrap());
    // As it was written, as it is read, with its secrets left out, and after a restart.
    let read = without_time(server.get("/api/topology").await.body);
    let server = server.kill_and_restart();
    for again in [&document, &read] {
        let answer = server.put("/api/topology", again).await;
        assert_eq!((answer.status, &answer.body["generation"]), (200, &json!(1)));
        assert_eq!(answer.headers["etag"], first.headers["etag"]);
        assert_eq!(answer.body["warnings"], first.body["warnings"]);
    }
    assert_eq!(server.put(&sealed, &json!({})).await.status, 200);
    document["apps"][0]["tiers"]["db"]["environment"]["PASSWORD"] = json!("hunter3");
    assert_eq!(server.put("/api/topology", &document).await.body["generation"], 2);
    let moved = server.put(&sealed, &json!({})).await;
    assert_eq!((moved.status, &moved.body["code"]), (409, &json!("plan_moved")));
}

#[tokio::test]
async fn a_failed_execution_that_never_began_leaves_no_trace() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let plan = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1 } });
    assert_eq!(server.put("/api/execute", &plan).await.status, 502);
    let server = server.kill_and_restart();
    assert_eq!(without_time(server.get("/api/allocation").await.body), json!({}));
    assert_eq!(server.get("/api/executions").await.body["executions"], json!([]));
}

#[tokio::test]
async fn translate_warns_of_engines_that_do_not_answer() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let plan = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1 } });
    let answer = server.put("/api/translate", &plan).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let warnings = answer.body["warnings"].to_string();
    assert!(
        warnings.contains("execute would not get far now") && warnings.contains("vm1"),
        "{warnings}"
    );
}

#[tokio::test]
async fn secrets_in_urls_are_not_given_back() {
    let server = Server::start();
    let mut document = topology();
    document["infrastructure"]["hooks_git_repo"] = json!("http://me:hunter2@127.0.0.1:1/hooks.git");
    assert_eq!(server.put("/api/topology", &document).await.status, 200);
    let body = server.get("/api/topology").await.body;
    assert_eq!(
        body["infrastructure"]["hooks_git_repo"],
        "http://***@127.0.0.1:1/hooks.git"
    );
}

#[tokio::test]
async fn sigterm_ends_the_service_well_and_soon() {
    let mut server = Server::start();
    assert_eq!(server.get("/healthz").await.status, 200);
    assert!(server.terminate());
}

#[tokio::test]
async fn a_second_service_on_the_same_data_refuses_to_start() {
    let server = Server::start();
    let output = program()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(server.data.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("in use by another mapek"), "{said}");
}

#[tokio::test]
async fn as_many_vms_are_kept_as_the_topology_says_even_idle() {
    let server = Server::start();
    let mut document = topology();
    document["infrastructure"]["min_vms"] = json!(2);
    server.put("/api/topology", &document).await;
    let answer = server.put("/api/translate", &json!({})).await;
    assert_eq!(
        answer.body["actions"],
        json!([["create vm 'vm1'", "create vm 'vm2'"]]),
        "{}",
        answer.body
    );

    let vm = |used: Value| json!({ "ip": "127.0.0.1", "cpu_cores": 2, "mem_units": 8, "used": used });
    let held = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1 } });
    let question = json!({
        "topology": document,
        "allocation": { "vm1": vm(held), "vm2": vm(json!({})) },
        "plan": {}
    });
    let answer = server.post("/api/solve", &question).await;
    assert_eq!(
        answer.body["actions"],
        json!([["delete container 'rubis_db' from vm 'vm1'"]]),
        "{}",
        answer.body
    );
    assert_eq!(answer.body["allocation"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn no_more_vms_are_used_than_the_topology_says() {
    let server = Server::start();
    let mut document = topology();
    document["infrastructure"]["max_vms"] = json!(1);
    server.put("/api/topology", &document).await;
    let plan = json!({ "rubis_web": { "cpu_cores": 3, "mem_units": 3 } });
    let answer = server.put("/api/translate", &plan).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (422, &json!("infeasible")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_topology_that_is_read_and_put_back_with_the_time_of_the_answer_stays_as_it_was() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    let shown = server.get("/api/topology").await.body;
    assert!(shown["time"].is_string());
    let put = server.put("/api/topology", &shown).await;
    assert_eq!(
        (put.status, &put.body["warnings"]),
        (200, &json!([])),
        "{}",
        put.body
    );
    let text = server.text("/api/topology").await;
    assert_eq!(text.matches("\"time\"").count(), 1, "{text}");
    assert_eq!(without_time(server.get("/api/topology").await.body), topology());
}

#[tokio::test]
async fn the_journal_of_a_service_that_has_stopped_is_whole_in_its_one_file() {
    // More than once: it depends on which part closes it last.
    for _ in 0..3 {
        let mut server = Server::start();
        server.put("/api/topology", &topology()).await;
        assert!(server.terminate());
        let folder = server.data.path();
        let beside = std::fs::metadata(folder.join("journal.sqlite-wal"));
        assert_eq!(beside.map_or(0, |wal| wal.len()), 0);
    }
}
