//! What-ifs: no engine, host or cloud need exist.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

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
    assert_eq!(
        server
            .get("/api/allocation")
            .await
            .body
            .as_object()
            .unwrap()
            .len(),
        1,
        "no state was made"
    );
}

#[test]
fn the_command_line_gives_the_same_answer_without_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("question.json");
    std::fs::write(&file, question().to_string()).unwrap();
    let output = program().arg("solve").arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    check(&serde_json::from_slice(&output.stdout).unwrap());

    let mut child = program()
        .arg("solve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(question().to_string().as_bytes())
        .unwrap();
    check(&serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap());
}

#[test]
fn the_command_line_fails_with_the_reason_when_there_is_no_solution() {
    let mut question = question();
    question["topology"]["infrastructure"]["max_vms"] = json!(2);
    let mut child = program()
        .args(["solve", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(question.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["code"], "infeasible");
    assert!(
        answer["details"]
            .as_array()
            .unwrap()
            .iter()
            .any(|detail| detail["repair"].is_string()),
        "{answer}"
    );
    assert!(!output.stderr.is_empty());
}
