//! Containers find their dependencies where those are, after every execution.

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::images::BUSYBOX;
use crate::nodes::{end, intent};
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// A database on one VM that says where it is, and those that use it.
fn tiers() -> Value {
    let serve = "mkdir -p /www; hostname >/www/index.html; exec busybox httpd -f -p 80 -h /www";
    json!({
        "db": {"docker_image": BUSYBOX, "command": ["sh", "-c", serve], "ports": ["8082:80"], "max_node": 1,
            "stop_grace_s": 0, "probe": {"http": {"port": 80}, "interval_s": 1}},
        "web": with(idle(), json!({"depends_on": ["db"], "min_node": 2, "stop_grace_s": 0})),
        "lone": with(idle(), json!({"stop_grace_s": 0})),
    })
}

/// These tiers on VMs that have room for all of them, and for successors.
fn on(hosts: Value, tiers: Value) -> Value {
    let mut topology = on_hosts(hosts, tiers);
    topology["infrastructure"]["cpu_mode"] = json!("quota");
    topology
}

/// The same with the database on one VM only.
fn with_db_on(vm: &str) -> Value {
    let mut tiers = tiers();
    tiers["db"]["requires"] = json!(format!("node.id == '{vm}'"));
    tiers
}

fn small() -> Value {
    plan(&[("db", 0.25, 1), ("web", 0.5, 2), ("lone", 0.25, 1)])
}

/// Every container of web asks the database under its name, and gets the answer of the one that there is.
async fn all_find_it(lab: &Lab, service: &Service) -> String {
    let places = service.vms_of("rubis_db").await;
    assert_eq!(places.len(), 1, "{places:?}");
    let there = lab.vm(&places[0]);
    let users = service.vms_of("rubis_web").await;
    assert_eq!(users.len(), 2, "{users:?}");
    for user in users {
        let vm = lab.vm(&user);
        let found = vm.inspect("rubis_web").unwrap()["HostConfig"]["ExtraHosts"].clone();
        assert_eq!(found, json!([format!("db:{}", there.ip)]), "on {user}");
        let answer = vm.docker(&["exec", "rubis_web", "wget", "-q", "-O-", "http://db:8082/"]);
        assert_eq!(answer.trim(), there.hostname("rubis_db"), "on {user}");
    }
    let stages = service.translate(&small()).await;
    assert_eq!(stages, Vec::<Vec<String>>::new());
    places[0].clone()
}

/// The engine's id of the container that has nothing to do with the database.
async fn lone(lab: &Lab, service: &Service) -> Value {
    let vms = service.vms_of("rubis_lone").await;
    lab.vm(&vms[0]).inspect("rubis_lone").unwrap()["Id"].clone()
}

#[test]
fn a_dependency_that_moves_is_found_by_those_that_use_it() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        service.put_topology(&on(lab.hosts(3), tiers())).await;
        service.execute(&small()).await;
        let at = all_find_it(lab, &service).await;
        let untouched = lone(lab, &service).await;

        // Migrated.
        let other = lab
            .vms
            .iter()
            .map(|vm| vm.name.as_str())
            .find(|name| *name != at)
            .unwrap();
        let wanted = json!({"kind": "migrate", "tier": "rubis_db", "to": [other]});
        let done = end(&service, &intent(&service, wanted).await).await;
        assert_eq!(done["state"], "done", "{done:#}");
        assert_eq!(all_find_it(lab, &service).await, other);

        // By a plan.
        let third = lab
            .vms
            .iter()
            .map(|vm| vm.name.as_str())
            .find(|name| *name != at && *name != other)
            .unwrap();
        service.put_topology(&on(lab.hosts(3), with_db_on(third))).await;
        let stages = service.translate(&small()).await;
        let position = |beginning: &str| {
            let at = stages
                .iter()
                .position(|stage| stage.iter().any(|text| text.starts_with(beginning)));
            at.unwrap_or_else(|| panic!("no {beginning} in {stages:#?}"))
        };
        let (come, told, gone) = (
            position("create container 'rubis_db'"),
            position("replace container 'rubis_web'"),
            position("delete container 'rubis_db'"),
        );
        assert!(come < told && told < gone, "{stages:#?}");
        service.execute(&small()).await;
        assert_eq!(all_find_it(lab, &service).await, third);
        assert_eq!(lone(lab, &service).await, untouched);

        // What was made when it was elsewhere is told, and put right by the next plan.
        let user = service.vms_of("rubis_web").await[0].clone();
        let mut elsewhere = lab.hosts(3);
        elsewhere[third]["ip"] = json!("10.77.1.250");
        service.put_topology(&on(elsewhere, with_db_on(third))).await;
        let seen = service.api.get("/api/inspect").await.expect(200);
        let difference = &seen[user.as_str()]["rubis_web"]["differences"][0];
        assert_eq!(difference["kind"], "stale_address", "{seen:#}");
        assert_eq!(
            (&difference["dependency"], &difference["should"]),
            (&json!("db"), &json!("10.77.1.250"))
        );
        let stages = service.translate(&small()).await;
        let replaced = stages
            .iter()
            .flatten()
            .filter(|text| text.starts_with("replace container 'rubis_web'"));
        assert_eq!(replaced.count(), 2, "{stages:#?}");
    });
}

#[test]
fn what_is_outdated_stays_as_it_is_while_another_tier_is_moved() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        service.put_topology(&on(lab.hosts(3), tiers())).await;
        service.execute(&small()).await;
        let at = all_find_it(lab, &service).await;
        // A new version that does not even start, and that nobody has asked to be rolled out.
        let mut bad = tiers();
        bad["lone"]["entrypoint_params"] = json!("/nothing");
        bad["web"]["environment"] = json!({"LEVEL": "2"});
        service.put_topology(&on(lab.hosts(3), bad)).await;
        let other = lab
            .vms
            .iter()
            .map(|vm| vm.name.as_str())
            .find(|name| *name != at)
            .unwrap();
        let wanted = json!({"kind": "migrate", "tier": "rubis_db", "to": [other]});
        let done = end(&service, &intent(&service, wanted).await).await;
        assert_eq!(done["state"], "done", "{done:#}");
        assert_eq!(service.vms_of("rubis_db").await, [other]);
        for user in service.vms_of("rubis_web").await {
            let seen = lab.vm(&user).inspect("rubis_web").unwrap();
            assert!(!seen["Config"]["Env"].to_string().contains("LEVEL"), "{seen:#}");
            let there = format!("db:{}", lab.vm(other).ip);
            assert_eq!(seen["HostConfig"]["ExtraHosts"], json!([there]));
        }
        // A plan rolls it out, as it always did.
        let stages = service.translate(&small()).await;
        let replaced = stages.iter().flatten().filter(|text| text.starts_with("replace"));
        assert_eq!(replaced.count(), 3, "{stages:#?}");
    });
}
