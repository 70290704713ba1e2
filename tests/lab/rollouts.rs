//! A changed tier is rolled out: under traffic, with bad successors, and over kills.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::http::get;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, three_tiers, with};
use crate::traffic::Traffic;

/// The three-tier app with one field of its app server changed.
fn changed(lab: &Lab, field: &str, value: Value) -> Value {
    let mut tiers = three_tiers();
    tiers["app_server"][field] = value;
    on_hosts(lab.hosts(3), tiers)
}

/// An app server on each of three VMs.
fn large() -> Value {
    plan(&[("loadbalancer", 1.0, 1), ("app_server", 3.0, 9), ("db", 1.0, 1)])
}

async fn balancer(lab: &Lab, service: &Service) -> String {
    let vms = service.vms_of("rubis_loadbalancer").await;
    format!("http://{}:8080/", lab.vm(&vms[0]).ip)
}

/// The engine's ids of a container on the VMs that have it.
fn ids(lab: &Lab, container: &str) -> BTreeMap<String, String> {
    let found = lab.vms.iter().filter_map(|vm| {
        let seen = vm.inspect(container)?;
        assert_eq!(seen["State"]["Running"], true, "{container} on {}", vm.name);
        Some((vm.name.clone(), seen["Id"].as_str().unwrap().to_owned()))
    });
    found.collect()
}

/// The kinds of all differences that inspect tells.
async fn differences(service: &Service) -> Vec<String> {
    let seen = service.api.get("/api/inspect").await.expect(200);
    let mut kinds = Vec::new();
    for vm in seen.as_object().unwrap().values().filter_map(Value::as_object) {
        for (name, container) in vm {
            for one in container["differences"].as_array().unwrap() {
                kinds.push(format!("{name} {}", one["kind"].as_str().unwrap()));
            }
        }
    }
    kinds
}

#[test]
fn a_changed_environment_is_rolled_out_under_traffic() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        service.put_topology(&on_hosts(lab.hosts(3), three_tiers())).await;
        service.execute(&large()).await;
        let before = ids(lab, "rubis_app_server");
        assert_eq!(before.len(), 3);

        let environment = json!({"DATA_TIER": "db:8082", "LEVEL": "2"});
        service
            .put_topology(&changed(lab, "environment", environment))
            .await;
        assert_eq!(differences(&service).await, ["rubis_app_server outdated"; 3]);
        let stages = service.translate(&large()).await;
        let replaced: Vec<&String> = stages
            .iter()
            .flatten()
            .filter(|text| text.starts_with("replace"))
            .collect();
        assert_eq!(replaced.len(), 3, "{stages:#?}");
        assert!(
            stages
                .iter()
                .all(|stage| stage.iter().filter(|text| text.starts_with("replace")).count() < 2)
        );

        let traffic = Traffic::to(&balancer(lab, &service).await);
        service.execute(&large()).await;
        let report = traffic.stop().await;
        assert!(
            report.failures.is_empty() && report.answered() > 20,
            "{report:#?}"
        );
        let after = ids(lab, "rubis_app_server");
        assert!(
            before.keys().eq(after.keys()) && before.values().all(|id| !after.values().any(|now| now == id))
        );
        for vm in &lab.vms {
            let seen = vm.inspect("rubis_app_server").unwrap();
            assert!(
                seen["Config"]["Env"]
                    .as_array()
                    .unwrap()
                    .contains(&json!("LEVEL=2")),
                "{seen:#}"
            );
            assert!(
                !vm.containers().iter().any(|name| name.ends_with(".next")),
                "{:?}",
                vm.containers()
            );
        }
        assert_eq!(differences(&service).await, Vec::<String>::new());
        assert_eq!(service.translate(&large()).await, Vec::<Vec<String>>::new());

        // What the topology said before is a revision like any other.
        service.put_topology(&on_hosts(lab.hosts(3), three_tiers())).await;
        let traffic = Traffic::to(&balancer(lab, &service).await);
        service.execute(&large()).await;
        let report = traffic.stop().await;
        assert!(report.failures.is_empty(), "{report:#?}");
        assert_eq!(differences(&service).await, Vec::<String>::new());
    });
}

#[test]
fn a_bad_successor_is_undone_without_a_failed_request() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        service.put_topology(&on_hosts(lab.hosts(3), three_tiers())).await;
        service.execute(&large()).await;
        let before = ids(lab, "rubis_app_server");
        let url = balancer(lab, &service).await;
        for (field, value, code, said) in [
            // It does not start.
            ("command", json!(["/nothing"]), "engine_refused", "entrypoint"),
            // It starts and dies.
            (
                "command",
                json!(["sh", "-c", "echo so long; exit 3"]),
                "container_unhealthy",
                "so long",
            ),
            // It never becomes healthy.
            (
                "healthcheck",
                json!({"test": ["false"], "interval_s": 1, "retries": 1}),
                "container_unhealthy",
                "health check",
            ),
            // It can't be pulled.
            (
                "docker_image",
                json!("127.0.0.1:5999/none:1"),
                "image_unavailable",
                "127.0.0.1:5999/none:1",
            ),
        ] {
            service.put_topology(&changed(lab, field, value.clone())).await;
            let traffic = Traffic::to(&url);
            let url = service.api.url("/api/execute?on_failure=rollback");
            let answer = crate::http::client()
                .put(url)
                .body(large().to_string())
                .send()
                .await
                .unwrap();
            let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let report = traffic.stop().await;
            assert!(
                report.failures.is_empty(),
                "{field} {value}: {report:#?}\n{body:#}"
            );
            let error = body["error"].as_str().unwrap();
            assert!(
                body["code"] == code && error.contains(said),
                "{field} {value}: {body:#}"
            );
            assert_eq!(ids(lab, "rubis_app_server"), before, "{field} {value}");
            for vm in &lab.vms {
                assert!(
                    !vm.containers().iter().any(|name| name.ends_with(".next")),
                    "{:?}",
                    vm.containers()
                );
            }
            let executions = service.executions().await;
            assert_eq!(
                executions["executions"][0]["state"], "rolled_back",
                "{executions:#}"
            );
        }
        assert_eq!(get(&url).await.0, 200);
    });
}

/// A tier that has room for its successor, and one whose port is in the way.
fn pair(lab: &Lab, level: &str) -> Value {
    let tier = |fields: Value| {
        with(
            with(
                idle(),
                json!({"stop_grace_s": 0, "environment": {"LEVEL": level}}),
            ),
            fields,
        )
    };
    let tiers = json!({ "free": tier(json!({})), "bound": tier(json!({"ports": ["8090:80"], "depends_on": ["free"]})) });
    on_hosts(lab.hosts(1), tiers)
}

/// The same pair, where the second tier never comes up: what was rolled out of the first is undone.
fn bad_pair(lab: &Lab, level: &str) -> Value {
    let mut topology = pair(lab, level);
    topology["apps"][0]["tiers"]["bound"]["command"] = json!(["sh", "-c", "echo no; exit 7"]);
    topology
}

/// The engine's ids of both containers, which run as they did at that level.
fn as_at(vm: &crate::daemons::Vm, level: &str, what: &str) -> BTreeMap<String, String> {
    assert_eq!(vm.containers(), ["rubis_bound", "rubis_free"], "{what}");
    let seen = ["rubis_bound", "rubis_free"].map(|name| {
        let seen = vm.inspect(name).unwrap();
        let variable = json!(format!("LEVEL={level}"));
        assert!(
            seen["Config"]["Env"].as_array().unwrap().contains(&variable),
            "{what}: {seen:#}"
        );
        assert_eq!(seen["State"]["Running"], true, "{what}: {name}");
        (name.to_owned(), seen["Id"].as_str().unwrap().to_owned())
    });
    seen.into()
}

#[test]
fn a_rollout_that_undoes_itself_and_is_killed_at_any_record_leaves_what_was() {
    in_lab!(1, async |lab| {
        let mut service = Service::start();
        let wanted = plan(&[("free", 1.0, 1), ("bound", 1.0, 1)]);
        service.put_topology(&pair(lab, "0")).await;
        service.execute(&wanted).await;
        let vm = &lab.vms[0];
        let bound = as_at(vm, "0", "at first")["rubis_bound"].clone();
        let (mut rows, mut arrived, mut undone) = (0, false, 0);
        for moment in ["before", "after"] {
            for record in 1.. {
                rows += 1;
                let what = format!("{moment} record {record}");
                service.put_topology(&bad_pair(lab, &rows.to_string())).await;
                service.terminate();
                service.start_again_with(&[("MAPEK_TEST_KILL", &format!("{moment}:{record}"))]);
                let url = service.api.url("/api/execute?on_failure=rollback");
                let request = crate::http::client().put(url).body(wanted.to_string());
                let answer = request.send().await;
                arrived = answer.is_ok();
                if !arrived {
                    let mut patience = crate::patience::Patience::every(std::time::Duration::from_millis(5));
                    while service.daemon.ended().is_none() {
                        patience.wait(|| format!("{what}: it lives on")).await;
                    }
                }
                service.kill();
                service.start_again();
                let mut patience = crate::patience::Patience::every(std::time::Duration::from_millis(20));
                while service.executions().await["executions"][0]["state"] == "running" {
                    patience
                        .wait(|| format!("{what}: it does not come to its end"))
                        .await;
                }
                // Before the first record nothing was begun, and what ended before is an earlier one.
                let newest = service.executions().await["executions"][0].clone();
                if (moment, record) != ("before", 1) {
                    assert_eq!(newest["state"], "rolled_back", "{what}: {newest:#}");
                    undone += 1;
                }
                let now = as_at(vm, "0", &what);
                // What did not make way is the very container that it was.
                assert_eq!(now["rubis_bound"], bound, "{what}");
                // What runs is what the topology before this one says.
                service.put_topology(&pair(lab, "0")).await;
                assert_eq!(differences(&service).await, Vec::<String>::new(), "{what}");
                assert_eq!(
                    service.translate(&wanted).await,
                    Vec::<Vec<String>>::new(),
                    "{what}"
                );
                if arrived {
                    break;
                }
            }
        }
        assert!(arrived && undone > 12, "{undone} of {rows}");
    });
}

#[test]
fn a_rollout_that_is_killed_at_any_record_comes_to_its_end() {
    in_lab!(1, async |lab| {
        let mut service = Service::start();
        let wanted = plan(&[("free", 1.0, 1), ("bound", 1.0, 1)]);
        service.put_topology(&pair(lab, "0")).await;
        service.execute(&wanted).await;
        let vm = &lab.vms[0];
        let (mut level, mut arrived) = (0, false);
        for moment in ["before", "after"] {
            for record in 1.. {
                level += 1;
                service.put_topology(&pair(lab, &level.to_string())).await;
                service.terminate();
                service.start_again_with(&[("MAPEK_TEST_KILL", &format!("{moment}:{record}"))]);
                let url = service.api.url("/api/execute");
                let answer = crate::http::client()
                    .put(url)
                    .body(wanted.to_string())
                    .send()
                    .await;
                arrived = answer.is_ok();
                if !arrived {
                    let mut patience = crate::patience::Patience::every(std::time::Duration::from_millis(5));
                    while service.daemon.ended().is_none() {
                        patience.wait(|| "it lives on".to_owned()).await;
                    }
                }
                service.kill();
                service.start_again();
                let mut patience = crate::patience::Patience::every(std::time::Duration::from_millis(20));
                while service.executions().await["executions"][0]["state"] == "running" {
                    patience.wait(|| "it does not come to its end".to_owned()).await;
                }
                let what = format!("{moment} record {record}");
                // Where it was not begun, it is now.
                service.execute(&wanted).await;
                assert_eq!(vm.containers(), ["rubis_bound", "rubis_free"], "{what}");
                for name in ["rubis_bound", "rubis_free"] {
                    let seen = vm.inspect(name).unwrap();
                    let variable = json!(format!("LEVEL={level}"));
                    assert!(
                        seen["Config"]["Env"].as_array().unwrap().contains(&variable),
                        "{what}: {seen:#}"
                    );
                    assert_eq!(seen["State"]["Running"], true, "{what}");
                }
                assert_eq!(differences(&service).await, Vec::<String>::new(), "{what}");
                if arrived {
                    break;
                }
            }
        }
        assert!(arrived && level > 8, "{level}");
    });
}
