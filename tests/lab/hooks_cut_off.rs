//! Hooks that are running when the service is killed: they are found again, and never run twice at
//! the same time.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::git::Repository;
use crate::http;
use crate::patience::Patience;
use crate::process::wait_until;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

const NOTES: &str = "/run/lab/hook-notes";
/// Notes its start and its end, and waits until it is let go. Its notes are in a file beside it.
const SLOW: &str = "#!/bin/sh\n. ./note.sh\nnote s\nwhile [ ! -e /notes/go ]; do sleep 0.05; done\nnote e\n";

/// The same, with constant output: an engine that has nobody left to pass that on to reports that
/// the hook has ended with exit code 126, while it still runs.
const TALKING: &str = "#!/bin/sh\n. ./note.sh\nnote s\nwhile [ ! -e /notes/go ]; do echo .; sleep 0.05; done\n\
                       note e\necho all is well\n";

/// The service with the tier `one`, whose hook of this kind is slow, and which depends on `base`.
async fn set_up(lab: &Lab, environment: &[(&str, &str)], kind: &str) -> Service {
    set_up_with(lab, environment, kind, "slow.sh").await
}

async fn set_up_with(lab: &Lab, environment: &[(&str, &str)], kind: &str, hook: &str) -> Service {
    let repository = Repository::new(&format!("slow-{kind}"));
    repository.write("scale_hooks/slow.sh", SLOW);
    repository.write("tier_hooks/slow.sh", SLOW);
    repository.write("scale_hooks/talk.sh", TALKING);
    let note = "note() { echo \"$1\" >>/notes/log; }\n";
    repository.write("scale_hooks/note.sh", note);
    repository.write("tier_hooks/note.sh", note);
    repository.commit("Take a while");
    std::fs::create_dir_all(NOTES).unwrap();
    let service = Service::start_with(environment);
    let one = json!({"volumes": [format!("{NOTES}:/notes")], "depends_on": ["base"], kind: hook, "stop_grace_s": 0});
    let tiers = json!({"base": with(idle(), json!({"stop_grace_s": 0})), "one": with(idle(), one)});
    let mut topology = on_hosts(lab.hosts(1), tiers);
    topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
    service.put_topology(&topology).await;
    service
}

fn log() -> String {
    let log = std::fs::read_to_string(Path::new(NOTES).join("log")).unwrap_or_default();
    log.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn let_go(go: bool) {
    let file = Path::new(NOTES).join("go");
    if go {
        std::fs::write(file, "").unwrap();
    } else {
        let _ = std::fs::remove_file(file);
        let _ = std::fs::remove_file(Path::new(NOTES).join("log"));
    }
}

/// Begins to carry out a plan of that size; returns the path of its record once the hook runs.
async fn begin(service: &Service, mem: u32) -> String {
    begin_plan(service, &plan(&[("base", 1.0, mem), ("one", 1.0, mem)])).await
}

/// The same, for any plan.
async fn begin_plan(service: &Service, plan: &Value) -> String {
    let request = http::client()
        .put(service.api.url("/api/execute"))
        .header("prefer", "respond-async")
        .body(plan.to_string());
    let begun: Value = request.send().await.unwrap().json().await.unwrap();
    let tell = || format!("the hook is not run: {begun}\n{}", service.daemon.log_end());
    wait_until(tell, || log() == "s");
    format!("/api/executions/{}", begun["execution"].as_str().unwrap())
}

async fn ended(service: &Service, path: &str) -> Value {
    let mut patience = Patience::every(Duration::from_millis(50));
    loop {
        let record = service.api.get(path).await.expect(200);
        if !["running", "held"].iter().any(|state| record["state"] == *state) {
            return record;
        }
        patience
            .wait(|| format!("{record:#}\n{}", service.daemon.log_end()))
            .await;
    }
}

/// Kills the service and starts it again, until the execution is taken up and the action goes on.
async fn kill_and_start_again(service: &mut Service, path: &str, times: u64) {
    service.kill();
    service.start_again();
    let mut patience = Patience::every(Duration::from_millis(50));
    loop {
        let record = service.api.get(path).await.expect(200);
        let attempts = record["stages"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|stage| stage.as_array().unwrap());
        let running = attempts
            .filter(|action| action["state"] == "running")
            .map(|action| &action["attempts"]);
        if record["resumed"] == times && running.clone().any(|attempts| *attempts == times + 1) {
            break;
        }
        patience
            .wait(|| format!("{record:#}\n{}", service.daemon.log_end()))
            .await;
    }
    // Time enough to begin, if it did not wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[test]
fn a_hook_that_runs_while_the_service_is_killed_runs_once() {
    in_lab!(1, async |lab| {
        for (mem, kind) in (1..).zip(["on_node_scale", "on_dependency_scale"]) {
            let_go(false);
            let mut service = set_up(lab, &[], kind).await;
            let path = begin(&service, mem).await;
            kill_and_start_again(&mut service, &path, 1).await;
            kill_and_start_again(&mut service, &path, 2).await;
            assert_eq!(log(), "s", "{kind}");
            let_go(true);
            let record = ended(&service, &path).await;
            assert_eq!(record["state"], "succeeded", "{record:#}");
            assert_eq!(log(), "s e", "{kind}");
            service.terminate();
        }
    });
}

#[test]
fn a_hook_that_talks_to_a_service_that_was_killed_is_waited_for_and_run_again() {
    in_lab!(1, async |lab| {
        let_go(false);
        let mut service = set_up_with(lab, &[], "on_node_scale", "talk.sh").await;
        let path = begin(&service, 1).await;
        kill_and_start_again(&mut service, &path, 1).await;
        assert_eq!(log(), "s");
        let_go(true);
        let record = ended(&service, &path).await;
        assert_eq!(record["state"], "succeeded", "{record:#}");
        assert!(record.to_string().contains("all is well"), "{record:#}");
        assert!(!record.to_string().contains("Exec command"), "{record:#}");
        assert_eq!(log(), "s e s e");
    });
}

#[test]
fn a_stop_hook_that_runs_while_the_service_is_killed_runs_once_and_is_waited_for() {
    in_lab!(1, async |lab| {
        let_go(false);
        let mut service = set_up(lab, &[], "on_node_stop").await;
        service.execute(&plan(&[("base", 1.0, 1), ("one", 1.0, 1)])).await;
        let path = begin_plan(&service, &plan(&[("base", 1.0, 1)])).await;
        kill_and_start_again(&mut service, &path, 1).await;
        assert_eq!(log(), "s");
        assert!(lab.vms[0].containers().contains(&"rubis_one".to_owned()));
        let_go(true);
        let record = ended(&service, &path).await;
        assert_eq!(record["state"], "succeeded", "{record:#}");
        assert_eq!(log(), "s e");
        assert_eq!(lab.vms[0].containers(), ["rubis_base"]);
    });
}

#[test]
fn a_hook_that_was_cut_off_is_ended_before_its_execution_is_given_up() {
    in_lab!(1, async |lab| {
        let_go(false);
        let environment = [("MAPEK_ON_RESTART", "hold"), ("MAPEK_HOOK_DEADLINE_S", "3")];
        let mut service = set_up(lab, &environment, "on_node_scale").await;
        let path = begin(&service, 1).await;
        service.kill();
        service.start_again();
        let cancel = service.api.url(&format!("{path}/cancel"));
        let answer = http::client().post(cancel).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202, "{answer:?}");
        let record = ended(&service, &path).await;
        assert_eq!(record["state"], "cancelled", "{record:#}");
        assert!(record.to_string().contains("its hook was killed"), "{record:#}");
        let top = lab.vms[0].docker(&["top", "rubis_one"]);
        assert!(!top.contains("slow.sh"), "{top}");
        assert_eq!(log(), "s");

        // The next one runs it again.
        let_go(true);
        service.execute(&plan(&[("base", 1.0, 1), ("one", 1.0, 2)])).await;
        assert_eq!(log(), "s s e");
    });
}
