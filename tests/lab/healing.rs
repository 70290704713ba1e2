//! What `self_heal` does about containers that stay unhealthy, and about engines that are lost.

use std::time::Duration;

use serde_json::{Value, json};

use crate::drift::{events, look_on};
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

async fn until(service: &Service, what: &str, mut there: impl AsyncFnMut() -> bool) {
    let mut patience = Patience::every(Duration::from_millis(100));
    while !there().await {
        let plan = service.api.get("/api/plan").await.expect(200);
        patience
            .wait(|| format!("{what}; {plan:#}\n{}", service.daemon.log_end()))
            .await;
    }
}

async fn newest(service: &Service) -> Value {
    let id = service.executions().await["executions"][0]["id"].clone();
    let path = format!("/api/executions/{}", id.as_str().unwrap());
    service.api.get(&path).await.expect(200)
}

async fn count(service: &Service) -> usize {
    service.executions().await["executions"].as_array().unwrap().len()
}

/// The texts of an execution's actions, stage by stage.
fn texts(execution: &Value) -> Vec<Vec<String>> {
    let stages = execution["stages"].as_array().unwrap().iter();
    let text = |action: &Value| action["text"].as_str().unwrap().to_owned();
    stages
        .map(|stage| stage.as_array().unwrap().iter().map(text).collect())
        .collect()
}

#[test]
fn an_unhealthy_container_is_restarted_and_one_that_stays_so_not_for_ever() {
    in_lab!(1, async |lab| {
        let (service, vm) = (
            Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1")]),
            &lab.vms[0],
        );
        let sick = json!({
            "name": "Sick", "docker_image": crate::images::BUSYBOX, "stop_grace_s": 0,
            "healthcheck": {"test": ["test", "-e", "/tmp/well"], "interval_s": 1, "retries": 2},
            // A start makes it healthy again, unless it is broken for good.
            "command": ["sh", "-c", "rm -f /tmp/well; test -e /tmp/ill || touch /tmp/well; sleep 100000"],
        });
        let mut topology = on_hosts(lab.hosts(1), json!({"sick": sick}));
        topology["infrastructure"]["self_heal"] = json!({"grace_s": 1, "backoff_max_s": 2});
        service.put_topology(&topology).await;
        service.execute(&plan(&[("sick", 1.0, 1)])).await;
        let reached = service.api.get("/api/plan").await.expect(200);
        let health = || vm.inspect("rubis_sick").unwrap()["State"]["Health"]["Status"].clone();
        let before = vm.inspect("rubis_sick").unwrap();

        vm.docker(&["exec", "rubis_sick", "rm", "/tmp/well"]);
        until(&service, "it is not restarted", async || {
            newest(&service).await["state"] == "succeeded" && count(&service).await == 2
        })
        .await;
        let repair = newest(&service).await;
        let reasons = repair["reconcile"]["reasons"].to_string();
        assert!(
            reasons.contains("rubis_sick on vm 'vm1' is unhealthy"),
            "{repair:#}"
        );
        assert_eq!(repair["requested_by"], "mapek");
        assert_eq!(health(), "healthy");
        let after = vm.inspect("rubis_sick").unwrap();
        assert_eq!(before["Id"], after["Id"], "it is the same container");
        assert_ne!(before["State"]["StartedAt"], after["State"]["StartedAt"]);

        // A start does not help any more. It is tried, with growing pauses, and then the container
        // is left as it is.
        vm.docker(&["exec", "rubis_sick", "sh", "-c", "touch /tmp/ill; rm /tmp/well"]);
        until(&service, "nobody says that it does not help", async || {
            events(&service, "reconcile_refused").await > 0
        })
        .await;
        let tried = count(&service).await;
        assert!((3..=5).contains(&tried), "{tried}");
        assert_eq!(newest(&service).await["state"], "failed");
        look_on(&service, 6).await;
        assert_eq!(count(&service).await, tried);
        assert_eq!(events(&service, "reconcile_refused").await, 1);
        assert_eq!(vm.inspect("rubis_sick").unwrap()["State"]["Running"], true);
        let seen = service.api.get("/api/plan").await.expect(200);
        assert_eq!(
            (&seen["state"], &seen["execution"]),
            (&json!("drifted"), &reached["execution"])
        );

        // Somebody repairs it.
        vm.docker(&["exec", "rubis_sick", "sh", "-c", "rm /tmp/ill; touch /tmp/well"]);
        until(&service, "it is not well", async || {
            service.api.get("/api/plan").await.expect(200)["state"] == "reached"
        })
        .await;
        assert_eq!(count(&service).await, tried);
    });
}

#[test]
fn what_was_on_a_lost_engine_is_placed_elsewhere_and_removed_there_when_it_comes_back() {
    in_lab!(2, async |lab| {
        let service = Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1"), ("MAPEK_ENGINE_TIMEOUT_S", "2")]);
        let tier = || with(idle(), json!({"stop_grace_s": 0}));
        let web = with(tier(), json!({"depends_on": ["db"]}));
        let db = with(tier(), json!({"max_node": 1}));
        let mut topology = on_hosts(lab.hosts(2), json!({"db": db, "web": web}));
        topology["infrastructure"]["self_heal"] =
            json!({"grace_s": 1, "backoff_max_s": 2, "lost_after_s": 3});
        service.put_topology(&topology).await;
        service.execute(&plan(&[("db", 1.0, 1), ("web", 1.0, 1)])).await;
        let used = service.vms_of("rubis_db").await.remove(0);
        assert_eq!(service.vms_of("rubis_web").await, std::slice::from_ref(&used));
        let other = lab.vms.iter().find(|vm| vm.name != used).unwrap().name.clone();

        lab.vm(&used).unplug();
        let on = async |vm: &str| {
            let (db, web) = (
                service.vms_of("rubis_db").await,
                service.vms_of("rubis_web").await,
            );
            db == [vm] && web == [vm] && service.api.get("/api/plan").await.expect(200)["state"] == "reached"
        };
        until(&service, "it is not placed anew", async || on(&other).await).await;
        let moved = newest(&service).await;
        assert!(
            moved["reconcile"]["reasons"].to_string().contains("is lost"),
            "{moved:#}"
        );
        let stages = texts(&moved);
        let stage_of = |what: &str| {
            let found = stages
                .iter()
                .position(|stage| stage.iter().any(|text| text.starts_with(what)));
            found.unwrap_or_else(|| panic!("no {what} in {stages:?}"))
        };
        assert!(
            stage_of("create container 'rubis_db'") < stage_of("create container 'rubis_web'"),
            "{stages:?}"
        );
        assert_eq!(events(&service, "vm_given_up").await, 1);
        assert_eq!(count(&service).await, 2);

        // It comes back with what it ran, which nobody wants any more.
        let kept = lab.vm(&other).inspect("rubis_db").unwrap()["Id"].clone();
        lab.vm(&used).plug_in();
        until(&service, "what is too much is not removed", async || {
            lab.vm(&used).containers().is_empty() && on(&other).await
        })
        .await;
        assert_eq!(lab.vm(&other).inspect("rubis_db").unwrap()["Id"], kept);
        let swept = texts(&newest(&service).await);
        let only =
            |text: &String| text.starts_with("delete container") && text.ends_with(&format!("'{used}'"));
        assert!(swept.iter().flatten().all(only), "{swept:?}");
        assert_eq!(count(&service).await, 3);

        // If both are away, there is no room anywhere: nothing is given up in vain.
        for vm in [&used, &other] {
            lab.vm(vm).unplug();
        }
        until(&service, "nobody says that there is no room", async || {
            events(&service, "reconcile_refused").await > 0
        })
        .await;
        look_on(&service, 4).await;
        assert_eq!(events(&service, "vm_given_up").await, 1);
        assert_eq!(events(&service, "reconcile_refused").await, 1);
        assert_eq!(count(&service).await, 3);
        for vm in [&used, &other] {
            lab.vm(vm).plug_in();
        }
        until(&service, "it is not well again", async || on(&other).await).await;
        assert_eq!(count(&service).await, 3);
    });
}

#[test]
fn what_a_vm_that_was_given_up_still_runs_is_removed_before_the_vm_is_used() {
    in_lab!(2, async |lab| {
        let service = Service::start_with(&[("MAPEK_ENGINE_TIMEOUT_S", "2")]);
        let tier = || with(idle(), json!({"stop_grace_s": 0}));
        let topology = on_hosts(lab.hosts(2), json!({"one": tier(), "two": tier()}));
        service.put_topology(&topology).await;
        let one = plan(&[("one", 2.0, 2)]);
        service.execute(&one).await;
        let used = service.vms_of("rubis_one").await.remove(0);
        lab.vm(&used).unplug();
        service
            .api
            .delete(&format!("/api/allocation/{used}"))
            .await
            .expect(200);
        service.execute(&one).await;
        let other = service.vms_of("rubis_one").await.remove(0);
        assert_ne!(used, other);
        lab.vm(&used).plug_in();

        // All of its room is free, although it is full of what nobody wants.
        let both = plan(&[("one", 2.0, 2), ("two", 2.0, 2)]);
        let shown = service.translate(&both).await;
        let gone = format!("delete container 'rubis_one' from vm '{used}'");
        assert_eq!(shown[0], [gone], "{shown:?}");
        service.execute(&both).await;
        assert_eq!(service.vms_of("rubis_one").await, [other]);
        assert_eq!(lab.vm(&used).containers(), ["rubis_two"]);
    });
}
