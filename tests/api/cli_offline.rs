//! Commands that need no service: `validate` and `doctor`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Said, plan, run, topology};
use crate::server::{Server, program};

fn said(arguments: &[&str], input: &str) -> Said {
    run(program().args(arguments), input)
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap()
}

#[test]
fn what_is_valid_is_said_to_be_and_a_plan_is_checked_against_its_topology() {
    let folder = tempfile::tempdir().unwrap();
    let topology_file = file(folder.path(), "t.json", &pretty(&topology()));
    let plan_file = file(folder.path(), "p.json", &pretty(&plan()));
    let question = json!({ "topology": topology(), "plan": plan(), "exact": true });
    let question = file(folder.path(), "q.json", &pretty(&question));
    let told = said(&["validate", &topology_file, &plan_file, &question], "").expect(0);
    for (name, kind) in [
        (&topology_file, "topology"),
        (&plan_file, "plan"),
        (&question, "what-if"),
    ] {
        assert!(
            told.out.contains(&format!("{name}: a valid {kind}")),
            "{}",
            told.out
        );
    }
    // The synonym in the topology is a warning, with its line.
    assert!(
        told.out.contains("t.json:") && told.out.contains("warning: apps[0].tiers.web.max_nodes"),
        "{}",
        told.out
    );

    // Without a topology, a plan may name anything; with one, however it is given, it may not.
    let stray = file(
        folder.path(),
        "s.json",
        "{\n  \"shop\": {\n    \"cache\": {\"cpu_cores\": 1, \"mem_units\": 1}\n  }\n}",
    );
    let alone = said(&["validate", &stray], "").expect(0);
    assert!(
        alone.out.contains("only the amounts were checked"),
        "{}",
        alone.out
    );
    for arguments in [
        &["validate", &topology_file, &stray][..],
        &["validate", "--topology", &topology_file, &stray],
    ] {
        let told = said(arguments, "").expect(1);
        assert!(
            told.out.contains(&format!("{stray}:3:5: error: shop.cache: ")),
            "{}",
            told.out
        );
    }
}

#[test]
fn every_problem_is_told_at_once_with_its_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{
  "infrastructure": {"cpu_cores": 0,
    "mem_units": "many"},
  "apps": [
    {"name": "a", "tiers": {
      "b": {"ports": ["99999:80"], "ports": ["99999:80"]}
    }}
  ]
}"#;
    let bad = file(folder.path(), "bad.json", text);
    let told = said(&["validate", &bad], "").expect(1);
    for place in [
        "2:22: error: infrastructure.cpu_cores:",
        "3:5: error: infrastructure.mem_units:",
        "6:7: error: apps[0].tiers.b.docker_image: is missing",
        "6:46: error: apps[0].tiers.b.ports[0]:",
        "6:36: error: apps[0].tiers.b.ports: is given more than once",
    ] {
        assert!(
            told.out.contains(&format!("{bad}:{place}")),
            "{place} is not in\n{}",
            told.out
        );
    }
    assert!(told.err.contains("1 of 1 file not valid"), "{}", told.err);

    let report = said(&["validate", "-o", "json", &bad], "").expect(1).json();
    assert_eq!(
        (&report["valid"], &report["files"][0]["kind"]),
        (&json!(false), &json!("topology"))
    );
    let first = &report["files"][0]["problems"][0];
    assert_eq!(
        (&first["path"], &first["line"], &first["column"]),
        (&json!("infrastructure.cpu_cores"), &json!(2), &json!(22))
    );

    // A file that is not JSON has a place, too.
    let told = said(&["validate", "-"], "{\n  \"apps\": [}\n").expect(1);
    assert!(
        told.out
            .contains("standard input:2:12: error: is not JSON: expected value"),
        "{}",
        told.out
    );
    let told = said(&["validate", "-"], "[]").expect(1);
    assert!(
        told.out.contains("should be an object, is a list"),
        "{}",
        told.out
    );
    // `--as` can say what it is.
    said(
        &["validate", "--as", "plan", "-"],
        "{\"apps\": {\"b\": {\"cpu_cores\": 1, \"mem_units\": 1}}}",
    )
    .expect(0);
    said(&["validate", "/nonexistent.json"], "").expect(1);
    said(&["validate"], "").expect(2);
    said(&["validate", "--server", "http://127.0.0.1:1", "-"], "{}").expect(2);
}

#[test]
fn what_the_service_refuses_is_refused_offline_with_the_same_problems() {
    let mut bad = topology();
    bad["infrastructure"]["cpu_cores"] = json!(0);
    bad["apps"][0]["tiers"]["db"]["depends_on"] = json!(["web"]);
    bad["apps"][0]["tiers"]["web"]["on_node_scale"] = json!("../x.sh");
    let report = said(&["validate", "-o", "json", "-"], &bad.to_string())
        .expect(1)
        .json();
    let here: Vec<(Value, Value)> = report["files"][0]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["path"].clone(), one["problem"].clone()))
        .collect();
    let server = Server::start();
    let answer = run(
        program().args(["topology", "put", "-", "-o", "json", "--server", server.base()]),
        &bad.to_string(),
    );
    let mut there: Vec<(Value, Value)> = answer.expect(3).json()["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["path"].clone(), one["problem"].clone()))
        .collect();
    assert!(here.len() >= 3, "{here:?}");
    // Offline they are in the order of the text.
    let by_path = |one: &(Value, Value)| one.0.to_string();
    let mut here = here;
    here.sort_by_key(by_path);
    there.sort_by_key(by_path);
    assert_eq!(here, there);
}

fn checks(said: &Said) -> Vec<(String, String)> {
    let report = said.json();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .map(|one| (text(one, "check"), text(one, "result")))
        .collect()
}

#[test]
fn the_doctor_names_what_is_missing_and_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let engine = "unix:///nonexistent/docker.sock";
    let arguments = [
        "doctor",
        "--docker-host",
        engine,
        "--data-dir",
        data,
        "--listen",
        &address,
    ];
    let told = said(&arguments, "").expect(1);
    for part in [
        "fail  engine",
        "install and start Docker",
        "ok    data directory",
        "fail  port",
        "another program listens",
        "ok    git",
    ] {
        assert!(told.out.contains(part), "{part} is not in\n{}", told.out);
    }
    assert!(told.err.contains("2 checks failed"), "{}", told.err);
    let json = said(&[&arguments[..], &["-o", "json"]].concat(), "").expect(1);
    assert!(
        checks(&json).contains(&("port".to_owned(), "fail".to_owned())),
        "{}",
        json.out
    );
    assert!(!Path::new(data).exists(), "it changes nothing");

    // A mapek that runs is not another program; and a configuration that can't be used is a
    // finding.
    let server = Server::start();
    let json = said(
        &[
            "doctor",
            "--listen",
            &server.address(),
            "--data-dir",
            data,
            "--docker-host",
            engine,
            "-o",
            "json",
        ],
        "",
    );
    assert!(
        checks(&json).contains(&("port".to_owned(), "ok".to_owned())),
        "{}",
        json.out
    );
    let told = said(&["doctor", "--listen", "0.0.0.0:0", "--data-dir", data], "").expect(1);
    assert!(
        told.out.contains("fail  configuration") && told.out.contains("--insecure"),
        "{}",
        told.out
    );
}
