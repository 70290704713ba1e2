//! What somebody asked of an execution still holds, whatever happens to the service after the
//! answer.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::crash_truth::actions;
use crate::daemons::{Lab, Vm};
use crate::git::Repository;
use crate::http;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// Notes that it has begun, and ends when it is told to.
const WAIT: &str = "#!/bin/sh\ntouch /tmp/begun\nuntil [ -e /tmp/go ]; do sleep 0.1; done\n";

async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    let mut patience = Patience::every(Duration::from_millis(50));
    while !there().await {
        patience.wait(|| what.to_owned()).await;
    }
}

/// A tier with a hook that waits until it is told to end, and another tier that is made after it.
async fn put_topology(lab: &Lab, service: &Service) -> Repository {
    let repository = Repository::new("hooks");
    repository.write("scale_hooks/wait.sh", WAIT);
    repository.write("tier_hooks/wait.sh", WAIT);
    repository.commit("Wait");
    let fast = json!({"stop_grace_s": 0});
    let one = with(with(idle(), fast.clone()), json!({"on_node_scale": "wait.sh"}));
    let two = json!({"depends_on": ["one"], "on_dependency_scale": "wait.sh"});
    let two = with(with(idle(), fast), two);
    let mut topology = on_hosts(lab.hosts(1), json!({"one": one, "two": two}));
    topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
    service.put_topology(&topology).await;
    repository
}

fn both() -> Value {
    plan(&[("one", 1.0, 1), ("two", 1.0, 1)])
}

/// Begins to carry the plan out, and returns when the first hook is running.
async fn begin(service: &Service, vm: &Vm) -> String {
    let url = service.api.url("/api/execute");
    let request = http::client().put(url).header("prefer", "respond-async");
    let answer = request.body(both().to_string()).send().await.unwrap();
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    until("the hook is never begun", async || {
        let look = ["exec", "rubis_one", "test", "-e", "/tmp/begun"];
        vm.try_docker(&look).status.success()
    })
    .await;
    body["execution"].as_str().unwrap().to_owned()
}

async fn post(service: &Service, id: &str, what: &str) -> (u16, Value) {
    let url = service.api.url(&format!("/api/executions/{id}/{what}"));
    let answer = http::client().post(url).send().await.unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

async fn details(service: &Service, id: &str) -> Value {
    service
        .api
        .get(&format!("/api/executions/{id}"))
        .await
        .expect(200)
}

/// The record once it has ended.
async fn ended(service: &Service, id: &str) -> Value {
    until("it does not end", async || {
        let state = details(service, id).await["state"].clone();
        state != "running" && state != "held"
    })
    .await;
    details(service, id).await
}

/// Tells the hooks of these containers to end.
fn let_go(vm: &Vm) {
    for container in ["rubis_one", "rubis_two"] {
        vm.try_docker(&["exec", container, "touch", "/tmp/go"]);
    }
}

fn begun(record: &Value) -> usize {
    actions(record).filter(|entry| entry["attempts"] != 0).count()
}

#[test]
fn a_cancel_that_was_answered_is_kept_over_a_kill_and_a_stop_however_the_service_is_started() {
    in_lab!(1, async |lab| {
        let (mut service, vm) = (Service::start(), &lab.vms[0]);
        let _repository = put_topology(lab, &service).await;
        for (end, start) in [
            ("kill", "resume"),
            ("kill", "hold"),
            ("kill", "rollback"),
            ("terminate", "resume"),
        ] {
            let id = begin(&service, vm).await;
            assert_eq!(post(&service, &id, "cancel").await.0, 202, "{end} {start}");
            let before = begun(&details(&service, &id).await);
            if end == "kill" {
                service.kill();
                let_go(vm);
            } else {
                // The running hook is told to end first.
                let_go(vm);
                service.terminate();
            }
            service.start_again_with(&[("MAPEK_ON_RESTART", start)]);
            let record = ended(&service, &id).await;
            assert_eq!(record["state"], "cancelled", "{end} {start}: {record:#}");
            assert_eq!(begun(&record), before, "{end} {start}: {record:#}");
            let all = actions(&record).count();
            assert!(before < all, "{end} {start}: there was nothing left to do");
            assert_eq!(post(&service, &id, "resume").await.0, 409);
            service.execute(&plan(&[])).await;
        }
    });
}

#[test]
fn of_many_who_take_an_execution_up_at_once_one_is_let() {
    in_lab!(1, async |lab| {
        let (mut service, vm) = (Service::start(), &lab.vms[0]);
        let _repository = put_topology(lab, &service).await;
        for (what, outcome) in [("resume", "succeeded"), ("rollback", "rolled_back")] {
            let id = begin(&service, vm).await;
            let before = crate::drift::events(&service, "held").await;
            for _ in 0..3 {
                service.kill();
                service.start_again_with(&[("MAPEK_ON_RESTART", "hold")]);
                until("it is not held", async || {
                    details(&service, &id).await["state"] == "held"
                })
                .await;
            }
            // That it waits is reported once, however often the service is started meanwhile.
            assert_eq!(crate::drift::events(&service, "held").await, before + 1);
            let answers = join_all((0..12).map(|_| post(&service, &id, what))).await;
            let taken = answers.iter().filter(|(status, _)| *status == 202).count();
            assert_eq!(taken, 1, "{what}: {answers:#?}");
            for (status, body) in answers.iter().filter(|(status, _)| *status != 202) {
                assert_eq!(
                    (*status, &body["code"]),
                    (409, &json!("execution_running")),
                    "{what}: {body:#}"
                );
            }
            // What was asked for outlives another kill, and is not asked for again.
            service.kill();
            let_go(vm);
            service.start_again_with(&[("MAPEK_ON_RESTART", "hold")]);
            until("it does not end", async || {
                let_go(vm);
                details(&service, &id).await["finished_at"] != json!(null)
            })
            .await;
            let record = details(&service, &id).await;
            assert_eq!(record["state"], outcome, "{what}: {record:#}");
            service.execute(&plan(&[])).await;
        }
    });
}

#[test]
fn what_can_not_be_reached_at_the_start_is_waited_for() {
    in_lab!(1, async |lab| {
        let (mut service, vm) = (Service::start(), &lab.vms[0]);
        let repository = put_topology(lab, &service).await;
        let id = begin(&service, vm).await;
        service.kill();
        let aside = format!("{}.aside", repository.path());
        std::fs::rename(repository.path(), &aside).unwrap();
        service.start_again();
        until("nobody says what it waits for", async || {
            let_go(vm);
            service.daemon.log().contains("it can't go on yet")
        })
        .await;
        assert_eq!(details(&service, &id).await["state"], "running");
        // Nobody asks for anything; the service is only there again.
        std::fs::rename(&aside, repository.path()).unwrap();
        until("it does not go on", async || {
            let_go(vm);
            details(&service, &id).await["state"] == "succeeded"
        })
        .await;
    });
}

#[test]
fn an_engine_that_is_away_at_the_start_is_waited_for_and_a_cancel_does_not_wait_for_hooks() {
    in_lab!(1, async |lab| {
        let (mut service, vm) = (
            Service::start_with(&[("MAPEK_ENGINE_TIMEOUT_S", "10")]),
            &lab.vms[0],
        );
        let repository = put_topology(lab, &service).await;
        let id = begin(&service, vm).await;
        service.kill();
        let_go(vm);
        vm.unplug();
        service.start_again();
        until("nobody says that it waits for the engine", async || {
            let log = service.daemon.log();
            log.contains("it can't go on yet") && log.contains("VM 'vm1'")
        })
        .await;
        assert_eq!(details(&service, &id).await["state"], "running");
        vm.plug_in();
        until("it does not go on", async || {
            let_go(vm);
            details(&service, &id).await["state"] == "succeeded"
        })
        .await;

        service.execute(&plan(&[])).await;
        let id = begin(&service, vm).await;
        service.kill();
        let_go(vm);
        let aside = format!("{}.aside", repository.path());
        std::fs::rename(repository.path(), &aside).unwrap();
        service.start_again();
        until("it is not waiting", async || {
            service.daemon.log().matches("it can't go on yet").count() > 1
        })
        .await;
        assert_eq!(post(&service, &id, "cancel").await.0, 202);
        assert_eq!(ended(&service, &id).await["state"], "cancelled");
    });
}

#[test]
fn the_same_request_at_the_same_instant_is_carried_out_once() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let tier = with(idle(), json!({"stop_grace_s": 0}));
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": tier})))
            .await;
        let ask = async |key: &str, query: &str, wanted: &Value| {
            let url = service.api.url(&format!("/api/execute{query}"));
            let request = http::client().put(url).header("idempotency-key", key);
            let answer = request.body(wanted.to_string()).send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            (status, body)
        };
        let one = plan(&[("one", 1.0, 1)]);
        for (key, wanted) in [("first", &one), ("unchanged", &one), ("gone", &plan(&[]))] {
            let answers = join_all((0..10).map(|_| ask(key, "", wanted))).await;
            let first = answers[0].1["execution"].clone();
            assert!(first.is_string(), "{answers:#?}");
            for (status, body) in &answers {
                assert_eq!(
                    (*status, &body["execution"]),
                    (200, &first),
                    "{key}: {answers:#?}"
                );
            }
        }
        assert_eq!(
            service.executions().await["executions"].as_array().unwrap().len(),
            3
        );
        for (query, wanted) in [("", plan(&[("one", 2.0, 1)])), ("?on_failure=rollback", one)] {
            let (status, body) = ask("first", query, &wanted).await;
            assert_eq!(
                (status, &body["code"]),
                (422, &json!("idempotency_key_reused")),
                "{body:#}"
            );
        }
    });
}
