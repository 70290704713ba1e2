//! The service is killed (-9) at every single record of an execution, and finishes it when it is
//! started again: with the same result as without the kill, nothing done twice, nothing left over.

use std::time::Duration;

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::git::Repository;
use crate::http;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// Notes that a hook was run, in its own container.
const NOTE: &str = "#!/bin/sh\necho \"$0 $MAPEK_CPU_CORES $MAPEK_MEM_UNITS\" >>/tmp/hooks\n";

/// A tier whose containers stop at once.
fn brief(fields: Value) -> Value {
    with(with(idle(), json!({"stop_grace_s": 0})), fields)
}

async fn prepare(lab: &Lab, service: &Service) {
    let repository = Repository::new("hooks");
    repository.write("scale_hooks/note.sh", NOTE);
    repository.write("tier_hooks/note.sh", NOTE);
    repository.commit("Note");
    let tiers = json!({
        "web": brief(json!({"max_node": 1, "depends_on": ["app"], "on_dependency_scale": "note.sh"})),
        "app": brief(json!({"on_node_scale": "note.sh"})),
        "old": brief(json!({"max_node": 1})),
    });
    let mut topology = on_hosts(lab.hosts(2), tiers);
    topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
    service.put_topology(&topology).await;
}

/// One VM.
fn small() -> Value {
    plan(&[("web", 1.0, 1), ("app", 1.0, 1)])
}

/// Two VMs: one more is made, a container is created, one is resized, hooks are run. The way back
/// deletes what this one creates.
fn large() -> Value {
    plan(&[("web", 1.0, 2), ("app", 2.0, 3), ("old", 1.0, 1)])
}

/// What the engines have, and what the service says about it.
#[derive(Debug, PartialEq)]
struct World {
    allocation: Value,
    containers: Vec<Vec<String>>,
    limits: Vec<String>,
}

async fn look(lab: &Lab, service: &Service) -> World {
    let seen = service.api.get("/api/inspect").await.expect(200);
    for vm in seen.as_object().unwrap().values().filter_map(Value::as_object) {
        for (name, container) in vm {
            assert_eq!(container["drift"], json!([]), "{name}: {seen:#}");
        }
    }
    let containers: Vec<Vec<String>> = lab.vms.iter().map(crate::daemons::Vm::containers).collect();
    let mut limits = Vec::new();
    for (vm, names) in lab.vms.iter().zip(&containers) {
        let mut pinned = Vec::new();
        for name in names {
            let seen = vm.inspect(name).unwrap();
            assert_eq!(seen["State"]["Running"], true, "{name}");
            let cores = seen["HostConfig"]["CpusetCpus"].as_str().unwrap().to_owned();
            limits.push(format!(
                "{name} {} {}",
                cores.split(',').count(),
                seen["HostConfig"]["Memory"]
            ));
            pinned.extend(cores.split(',').map(str::to_owned));
        }
        let count = pinned.len();
        pinned.sort();
        pinned.dedup();
        assert_eq!(pinned.len(), count, "no core is in two containers");
    }
    World {
        allocation: service.allocation().await,
        containers,
        limits,
    }
}

/// How many times each container's hooks were run.
fn notes(lab: &Lab) -> Vec<(String, usize)> {
    let mut notes = Vec::new();
    for vm in &lab.vms {
        for name in vm.containers() {
            let said = vm.try_docker(&["exec", &name, "cat", "/tmp/hooks"]);
            notes.push((
                format!("{name} {}", vm.name),
                String::from_utf8_lossy(&said.stdout).lines().count(),
            ));
        }
    }
    notes
}

/// Sends a plan to a service that may be killed by it. Returns whether it lived.
async fn survives(service: &mut Service, plan: &Value) -> bool {
    let url = service.api.url("/api/execute");
    let answer = http::client().put(url).body(plan.to_string()).send().await;
    if let Ok(answer) = answer {
        assert_eq!(answer.status().as_u16(), 200, "{:?}", answer.text().await);
        return true;
    }
    let mut patience = Patience::every(Duration::from_millis(10));
    while service.daemon.ended().is_none() {
        patience
            .wait(|| "the connection was cut, and the service lives".to_owned())
            .await;
    }
    false
}

/// Waits until no execution runs; returns how the newest ended.
async fn ended(service: &Service) -> String {
    let mut patience = Patience::every(Duration::from_millis(20));
    loop {
        let executions = service.executions().await;
        let state = executions["executions"][0]["state"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        if state != "running" {
            return state;
        }
        patience
            .wait(|| format!("{executions:#}\n{}", service.daemon.log_end()))
            .await;
    }
}

/// Kills at each record in turn, on the way to the large plan and on the way back.
async fn at_every_record(lab: &Lab, moment: &str) {
    let mut service = Service::start();
    prepare(lab, &service).await;
    service.execute(&small()).await;
    let at_small = look(lab, &service).await;
    let before = notes(lab);
    service.execute(&large()).await;
    let at_large = look(lab, &service).await;
    // What an undisturbed run adds to the notes; those of containers that it creates begin empty.
    let once = notes(lab);
    service.execute(&small()).await;
    assert_eq!(
        look(lab, &service).await,
        at_small,
        "the way back leads to where it began"
    );
    assert!(
        once.iter().any(|(_, count)| *count > 0) && once != before,
        "hooks are noted: {once:?}"
    );

    let mut rows = 0;
    for record in 1.. {
        let mut lived = true;
        for (target, wanted, there) in [(large(), &at_large, "large"), (small(), &at_small, "small")] {
            let row = format!("killed {moment} record {record} on the way to the {there} plan");
            let noted = notes(lab);
            assert!(service.terminate().success(), "{row}");
            service.start_again_with(&[("MAPEK_TEST_KILL", &format!("{moment}:{record}"))]);
            if survives(&mut service, &target).await {
                assert_eq!(&look(lab, &service).await, wanted, "{row}");
                continue;
            }
            (lived, rows) = (false, rows + 1);
            service.start_again();
            let state = ended(&service).await;
            assert_eq!(state, "succeeded", "{row}\n{}", service.daemon.log_end());
            if (moment, record) == ("before", 1) {
                // Nothing was recorded, so nothing may have been done.
                let untouched = if there == "large" { &at_small } else { &at_large };
                assert_eq!(&look(lab, &service).await, untouched, "{row}");
                service.execute(&target).await;
            }
            assert_eq!(&look(lab, &service).await, wanted, "{row}");
            if there == "large" {
                hooks_ran_as_they_should(&row, &noted, &once, &before, &notes(lab));
            }
        }
        if lived {
            break;
        }
    }
    assert!(rows > 20, "{rows} rows: the plans have more records than that");
}

/// Each hook of an undisturbed run was run, and at most the one in flight twice.
fn hooks_ran_as_they_should(
    row: &str,
    noted: &[(String, usize)],
    once: &[(String, usize)],
    before: &[(String, usize)],
    now: &[(String, usize)],
) {
    let of = |notes: &[(String, usize)], name: &str| {
        notes
            .iter()
            .find(|(other, _)| other == name)
            .map_or(0, |(_, count)| *count)
    };
    let mut repeated = 0;
    for (name, _) in once {
        let expected = of(once, name) - of(before, name);
        let ran = of(now, name) - of(noted, name);
        assert!(ran >= expected, "{row}: {name} ran {ran} hooks of {expected}");
        repeated += ran - expected;
    }
    assert!(repeated <= 1, "{row}: {repeated} hooks were run twice");
}

#[test]
fn killed_after_any_record_it_ends_as_if_it_had_not_been() {
    in_lab!(2, async |lab| at_every_record(lab, "after").await);
}

#[test]
fn killed_between_any_effect_and_its_record_it_ends_as_if_it_had_not_been() {
    in_lab!(2, async |lab| at_every_record(lab, "before").await);
}

#[test]
fn after_a_kill_it_rolls_back_or_waits_where_it_is_told_to() {
    in_lab!(2, async |lab| {
        let mut service = Service::start();
        prepare(lab, &service).await;
        service.execute(&small()).await;
        let at_small = look(lab, &service).await;
        for record in [1, 2, 5, 8, 11] {
            let row = format!("killed after record {record}");
            let killer = [("MAPEK_TEST_KILL", format!("after:{record}"))];
            let killer = killer.each_ref().map(|(name, value)| (*name, value.as_str()));

            service.terminate();
            service.start_again_with(&killer);
            assert!(!survives(&mut service, &large()).await, "{row}");
            service.start_again_with(&[("MAPEK_ON_RESTART", "rollback")]);
            assert_eq!(
                ended(&service).await,
                "rolled_back",
                "{row}\n{}",
                service.daemon.log_end()
            );
            assert_eq!(look(lab, &service).await, at_small, "{row}");

            service.terminate();
            service.start_again_with(&killer);
            assert!(!survives(&mut service, &large()).await, "{row}");
            service.start_again_with(&[("MAPEK_ON_RESTART", "hold")]);
            let held = service.executions().await["executions"][0].clone();
            assert_eq!(held["state"], "held", "{row}");
            let other = service.try_execute(&small()).await.expect(409);
            assert_eq!(
                (&other["code"], &other["details"][0]["execution"]),
                (&json!("execution_running"), &held["id"])
            );
            let take_up = |what: &str| {
                service.api.url(&format!(
                    "/api/executions/{}/{what}",
                    held["id"].as_str().unwrap()
                ))
            };
            let (what, state) = if record % 2 == 1 {
                ("resume", "succeeded")
            } else {
                ("cancel", "cancelled")
            };
            let answer = http::client().post(take_up(what)).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 202, "{row}: {what}");
            assert_eq!(
                ended(&service).await,
                state,
                "{row}: {what}\n{}",
                service.daemon.log_end()
            );
            look(lab, &service).await;

            service.execute(&small()).await;
            assert_eq!(look(lab, &service).await, at_small, "{row}");
        }
    });
}
