//! What-ifs: no engine, host or cloud need exist.

use serde_json::{Value, json};

use crate::cli::run;
use crate::server::{Server, program};

fn question() -> Value {
    json!({
        "topology": {
            "infrastructure": { "cloud_driver": { "autoscaling_groupname": "what-if" }, "cpu_cores": 2, "mem_units": 8 },
            "apps": [{ "name": "a", "tiers": {
                "x": { "docker_image": "i" }, "y": { "docker_image": "i" }, "z": { "docker_image": "i" }
            } }]
        },
        "allocation": {},
        "plan": { "a": {
            "x": { "cpu_cores": 1, "mem_units": 5 },
            "y": { "cpu_cores": 1, "mem_units": 5 },
            "z": { "cpu_cores": 1, "mem_units": 5 }
        } }
    })
}

/// The predecessor offered its solver only as many VMs as the summed volume needs: two here.
fn check(body: &Value) {
    assert_eq!(body["allocation"].as_object().unwrap().len(), 3, "{body}");
    assert_eq!(
        (&body["objective"], &body["bound"], &body["gap"]),
        (&json!(72), &json!(72), &json!(0.0))
    );
    assert_eq!(body["proven_optimal"], json!(true));
    assert!(body["solve_ms"].is_number());
    assert_eq!(
        body["actions"][0],
        json!([
            "create vm 'new_vm0'",
            "create vm 'new_vm1'",
            "create vm 'new_vm2'"
        ])
    );
    assert_eq!(body["stages"][0][0]["kind"], "create_vm");
}

#[tokio::test]
async fn three_tiers_that_do_not_fit_pairwise_get_three_vms() {
    let server = Server::start();
    let answer = server.post("/api/solve", &question()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    check(&answer.body);
    assert!(server.holds_nothing().await, "no state was made");
}

#[test]
fn the_command_line_gives_the_same_answer_without_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("question.json");
    std::fs::write(&file, question().to_string()).unwrap();
    let asked = |arguments: &[&str], input: &str| run(program().arg("solve").args(arguments), input);
    for said in [
        asked(&[file.to_str().unwrap()], ""),
        asked(&[], &question().to_string()),
    ] {
        assert_eq!(said.code, Some(0), "{}", said.err);
        check(&said.json());
    }
}

#[test]
fn the_command_line_fails_with_the_reason_when_there_is_no_solution() {
    let mut question = question();
    question["topology"]["infrastructure"]["max_vms"] = json!(2);
    let said = run(program().args(["solve", "-"]), &question.to_string());
    assert_eq!(said.code, Some(3));
    let answer = said.json();
    assert_eq!(answer["code"], "infeasible");
    assert!(
        answer["details"]
            .as_array()
            .unwrap()
            .iter()
            .any(|detail| detail["repair"].is_string()),
        "{answer}"
    );
    assert!(!said.err.is_empty());
}

#[tokio::test]
async fn the_answer_tells_how_it_was_found_where_that_is_asked_for() {
    let server = Server::start();
    let mut question = question();
    let answer = server.post("/api/solve", &question).await;
    assert!(answer.body.get("trace").is_none());
    assert_eq!(answer.body["ended_by"], "proof");
    let by = answer.body["proved_by"].clone();
    question["trace"] = json!(true);
    let answer = server.post("/api/solve", &question).await;
    let steps = answer.body["trace"].as_array().unwrap().clone();
    let last = |what: &str| steps.iter().rev().find(|step| step[what].is_number()).unwrap();
    assert_eq!(last("objective")["objective"], answer.body["objective"]);
    assert_eq!(last("bound")["bound"], answer.body["bound"]);
    assert_eq!(last("bound")["by"], by);
    question["trace"] = json!("yes");
    let answer = server.post("/api/solve", &question).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!("request_invalid"))
    );
}

/// A VM kept with nothing on it costs what a VM in use does.
#[tokio::test]
async fn vms_that_have_to_be_kept_count_in_objective_and_bound() {
    let server = Server::start();
    let mut question = question();
    question["topology"]["infrastructure"]["min_vms"] = json!(5);
    let answer = server.post("/api/solve", &question).await;
    assert_eq!(
        answer.body["allocation"].as_object().unwrap().len(),
        5,
        "{}",
        answer.body
    );
    assert_eq!(
        (&answer.body["objective"], &answer.body["bound"]),
        (&json!(112), &json!(112))
    );
    // One of those that are idle already is kept, at the price of using it.
    question["allocation"] = json!({ "i-1": { "cpu_cores": 2, "mem_units": 8, "used": {} },
        "i-2": { "cpu_cores": 2, "mem_units": 8, "used": {} } });
    question["topology"]["infrastructure"]["min_vms"] = json!(2);
    question["plan"] = json!({ "a": { "x": { "cpu_cores": 1, "mem_units": 5 } } });
    let answer = server.post("/api/solve", &question).await;
    assert_eq!(
        answer.body["allocation"].as_object().unwrap().len(),
        2,
        "{}",
        answer.body
    );
    assert_eq!(answer.body["objective"], json!(11 + 11 + 4));
    assert_eq!(answer.body["bound"], json!(11 + 11 + 4));
}

/// More VMs than can be planned for is not the same as no placement.
#[tokio::test]
async fn a_plan_for_more_vms_than_can_be_planned_for_is_too_large() {
    let server = Server::start();
    let mut question = question();
    question["plan"]["a"]["x"] = json!({ "cpu_cores": 900_000, "mem_units": 900_000 });
    let answer = server.post("/api/solve", &question).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (413, &json!("plan_too_large")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn gpus_and_disk_are_placed_and_told_where_there_are_any() {
    let server = Server::start();
    let mut body = question();
    body["topology"]["infrastructure"] = json!({ "cloud_driver": { "autoscaling_groupname": "what-if" },
        "shapes": [{ "name": "plain", "cpu_cores": 4, "mem_units": 16 },
            { "name": "gpu", "cpu_cores": 4, "mem_units": 16, "disk_gb": 100, "gpus": 2, "price": 3 }] });
    body["plan"]["a"]["x"] = json!({ "cpu_cores": 2, "mem_units": 5, "gpus": 3, "disk_gb": 150 });
    let answer = server.post("/api/solve", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Two VMs with GPUs, which have room for all: 3 · 20 each, and x in two containers.
    assert_eq!(answer.body["objective"], json!(120 + 4 * 4), "{}", answer.body);
    assert_eq!(answer.body["proven_optimal"], json!(true));
    let vms = answer.body["allocation"].as_object().unwrap();
    let of = |tier: &str, what: &str| -> i64 {
        let held = vms.values().filter_map(|vm| vm["used"][tier][what].as_i64());
        held.sum()
    };
    assert_eq!((of("a_x", "gpus"), of("a_x", "disk_gb")), (3, 150));
    let plain = vms.values().find_map(|vm| vm["used"]["a_y"].as_object()).unwrap();
    assert!(
        !plain.contains_key("gpus") && !plain.contains_key("disk_gb"),
        "{plain:?}"
    );
    let actions = answer.body["actions"].to_string();
    assert!(actions.contains(" and gpus="), "{actions}");

    body["topology"]["infrastructure"]["max_vms"] = json!(1);
    let answer = server.post("/api/solve", &body).await;
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("infeasible")));
    let reasons = answer.body["error"].as_str().unwrap();
    assert!(reasons.contains("the plan needs 3 GPUs in all"), "{reasons}");
    assert!(reasons.contains("150 GB of disk"), "{reasons}");
}
