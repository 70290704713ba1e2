//! Nodes, what tiers require of them, and intents, on real engines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// The lab's hosts, `vm1` in zone a, `vm2` in zone b, and so on.
fn zoned(mut hosts: Value) -> Value {
    for (host, zone) in hosts.as_object_mut().unwrap().values_mut().zip('a'..) {
        host["labels"] = json!({ "zone": zone.to_string() });
    }
    hosts
}

pub async fn intent(service: &Service, wanted: Value) -> Value {
    service.api.post("/api/intents", &wanted).await.expect(202)
}

/// Waits until an intent is over.
pub async fn end(service: &Service, intent: &Value) -> Value {
    let path = format!("/api/intents/{}", intent["id"].as_str().unwrap());
    let mut patience = Patience::every(Duration::from_millis(100));
    loop {
        let now = service.api.get(&path).await.expect(200);
        if ["done", "refused", "failed", "cancelled"].contains(&now["state"].as_str().unwrap()) {
            return now;
        }
        patience.wait(|| format!("it does not end: {now}")).await;
    }
}

async fn standing(service: &Service, node: &str) -> String {
    let node = service.api.get(&format!("/api/nodes/{node}")).await.expect(200);
    node["standing"].as_str().unwrap().to_owned()
}

fn reasons(intent: &Value) -> String {
    intent["reasons"].to_string()
}

#[test]
fn a_tier_is_where_its_requirements_are_met_and_nowhere_else() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        let tiers = json!({
            "only": with(idle(), json!({ "requires": "node.labels.zone == 'b' && node.capabilities.os == 'linux'" })),
            "likes": with(idle(), json!({ "prefers": "node.labels.zone == 'c' ? 1 : 0" })),
            "apart": with(idle(), json!({ "spread": "zone", "requires": "node.labels.zone != 'c'", "min_node": 2 })),
        });
        let topology = on_hosts(zoned(lab.hosts(3)), tiers);
        let answer = service.put_topology(&topology).await;
        assert!(
            answer["warnings"]
                .to_string()
                .contains("rubis_only may be on one node only, 'vm2'"),
            "{answer}"
        );
        service
            .execute(&plan(&[("only", 1.0, 1), ("likes", 1.0, 1), ("apart", 2.0, 2)]))
            .await;
        assert_eq!(service.vms_of("rubis_only").await, ["vm2"]);
        assert_eq!(service.vms_of("rubis_apart").await, ["vm1", "vm2"]);

        let node = service.api.get("/api/nodes/vm2").await.expect(200);
        assert_eq!(node["standing"], "ready");
        assert_eq!(
            node["used"]["tiers"]["rubis_only"],
            json!({ "cpu_cores": 1, "mem_units": 1 })
        );
        assert_eq!(node["capabilities"]["engine"], "docker");
        assert!(node["capabilities"]["cores"].is_u64(), "{node}");

        let found = service
            .api
            .post("/api/candidates", &json!({ "tier": "rubis_only" }))
            .await
            .expect(200);
        assert_eq!(found["candidates"], json!([]));
        let rejected = found["rejected"].to_string();
        for wanted in [
            "requires: node.labels.zone == 'b' is false (a)",
            "it has a container of rubis_only already",
            "requires: node.labels.zone == 'b' is false (c)",
        ] {
            assert!(rejected.contains(wanted), "{wanted}: {rejected}");
        }

        // Two cores of it do not fit on any VM that it may be on, beside the other tier.
        let more = plan(&[("only", 2.0, 2), ("likes", 1.0, 1), ("apart", 2.0, 2)]);
        let refused = service.api.put("/api/translate", &more).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert_eq!(refused.body["code"], "infeasible");
        let details = refused.body["details"].to_string();
        assert!(
            details.contains("requires: node.labels.zone == 'b' is false (a)"),
            "{details}"
        );
    });
}

#[test]
fn a_drained_node_is_left_and_stays_cordoned_over_a_kill() {
    in_lab!(3, async |lab| {
        let mut service = Service::start();
        let topology = on_hosts(lab.hosts(3), json!({ "one": idle(), "two": idle() }));
        service.put_topology(&topology).await;
        service.execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)])).await;
        let before = service.vms_of("rubis_one").await;
        let [node] = before.as_slice() else {
            panic!("{before:?}")
        };
        let drained = end(
            &service,
            &intent(&service, json!({ "kind": "drain", "node": node })).await,
        )
        .await;
        assert_eq!(drained["state"], "done", "{drained}");
        assert!(!service.vms_of("rubis_one").await.contains(node));
        assert!(lab.vm(node).containers().is_empty());
        assert_eq!(standing(&service, node).await, "cordoned");
        // The plan that holds is still the one that was sent.
        let holds = service.api.get("/api/plan").await.expect(200);
        assert_eq!(holds["state"], "reached", "{holds}");

        service.kill();
        service.start_again();
        assert_eq!(standing(&service, node).await, "cordoned");
        // As large as two VMs: the third is cordoned.
        let large = plan(&[("one", 2.0, 4), ("two", 2.0, 4)]);
        service.execute(&large).await;
        assert!(lab.vm(node).containers().is_empty());
        // Everything is full: nothing can leave, and the reasons say what would help.
        let other = service.vms_of("rubis_one").await.remove(0);
        let refused = end(
            &service,
            &intent(&service, json!({ "kind": "drain", "node": other })).await,
        )
        .await;
        assert_eq!(refused["state"], "refused", "{refused}");
        assert!(reasons(&refused).contains("stays cordoned"), "{refused}");
        assert_eq!(service.vms_of("rubis_one").await, std::slice::from_ref(&other));

        for node in [node, &other] {
            let lifted = intent(&service, json!({ "kind": "uncordon", "node": node })).await;
            assert_eq!(lifted["state"], "done");
        }
        let drained = end(
            &service,
            &intent(&service, json!({ "kind": "drain", "node": other })).await,
        )
        .await;
        assert_eq!(drained["state"], "done", "{drained}");
        assert_eq!(service.vms_of("rubis_one").await, std::slice::from_ref(node));
    });
}

#[test]
fn a_tier_that_never_gets_well_at_its_destination_stays_where_it_is() {
    const GATE: &str = "/run/lab/gate";
    in_lab!(2, async |lab| {
        std::fs::create_dir_all(GATE).unwrap();
        let open = format!("{GATE}/open");
        std::fs::write(&open, "").unwrap();
        // Healthy as soon as the gate has been open once, and from then on.
        let check = "test -e /tmp/well || { test -e /gate/open && touch /tmp/well; }";
        let tier = with(
            idle(),
            json!({
                "max_node": 1, "volumes": [format!("{GATE}:/gate")],
                "healthcheck": { "test": ["CMD-SHELL", check], "interval_s": 1, "retries": 3 },
            }),
        );
        let service = Service::start();
        service
            .put_topology(&on_hosts(lab.hosts(2), json!({ "one": tier, "two": idle() })))
            .await;
        service.execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)])).await;
        let before = service.vms_of("rubis_one").await;
        let [from] = before.as_slice() else {
            panic!("{before:?}")
        };
        let to = if from == "vm1" { "vm2" } else { "vm1" };
        let two = service.vms_of("rubis_two").await;
        let container = lab.vm(from).inspect("rubis_one").unwrap()["Id"].clone();

        std::fs::remove_file(&open).unwrap();
        let wanted = json!({ "kind": "migrate", "tier": "rubis_one", "to": [to] });
        let failed = end(&service, &intent(&service, wanted.clone()).await).await;
        assert_eq!(failed["state"], "failed", "{failed}");
        assert!(reasons(&failed).contains("rolled_back"), "{failed}");
        assert_eq!(service.vms_of("rubis_one").await, before);
        let still = lab.vm(from).inspect("rubis_one").unwrap();
        assert_eq!(
            (&still["Id"], &still["State"]["Running"]),
            (&container, &json!(true))
        );

        std::fs::write(&open, "").unwrap();
        let done = end(&service, &intent(&service, wanted).await).await;
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!(service.vms_of("rubis_one").await, [to]);
        assert!(lab.vm(from).inspect("rubis_one").is_none());
        assert_eq!(
            service.vms_of("rubis_two").await,
            two,
            "others stay where they are"
        );
        // Started there before it was stopped here.
        let execution = format!("/api/executions/{}", done["execution"].as_str().unwrap());
        let execution = service.api.get(&execution).await.expect(200);
        let stages = execution["stages"].to_string();
        assert!(
            stages.find("create_container") < stages.find("delete_container"),
            "{stages}"
        );
        // Where it is already, nothing has to be done.
        let again = json!({ "kind": "migrate", "tier": "rubis_one", "to": format!("node.id == '{to}'") });
        assert_eq!(
            end(&service, &intent(&service, again).await).await["state"],
            "done"
        );
    });
}

#[test]
fn a_host_that_does_not_answer_comes_last_where_tiers_ask_for_something_too() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let mut hosts = lab.hosts(1);
        // Nobody listens there, and its name comes first.
        hosts["a-dead-one"] = json!({ "docker": "tcp://10.77.1.254:1" });
        let tier = with(idle(), json!({"requires": "node.cpu_cores >= 1"}));
        service.put_topology(&on_hosts(hosts, json!({"one": tier}))).await;
        let stages = service.translate(&plan(&[("one", 1.0, 1)])).await;
        assert_eq!(
            stages[0],
            [format!("create vm '{}'", lab.vms[0].name)],
            "{stages:?}"
        );
    });
}

#[test]
fn of_several_destinations_one_is_taken_and_reasons_name_what_a_person_can_do() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        let mut hosts = lab.hosts(3);
        // Nobody listens there.
        hosts["vm9"] = json!({ "docker": "tcp://10.77.1.254:1" });
        let tiers = json!({ "two": with(idle(), json!({ "min_node": 2 })), "one": idle() });
        service.put_topology(&on_hosts(hosts, tiers)).await;
        service.execute(&plan(&[("two", 2.0, 2)])).await;
        let before = service.vms_of("rubis_two").await;
        let free: Vec<&str> = ["vm1", "vm2", "vm3"]
            .into_iter()
            .filter(|vm| !before.iter().any(|used| used == vm))
            .collect();
        let [free] = free.as_slice() else {
            panic!("{before:?}")
        };

        // One goes to the free VM, and the other stays, though it may go there as well.
        let wanted = json!({ "kind": "migrate", "tier": "rubis_two", "from": before[0], "to": [free, before[1], "vm9"] });
        let done = end(&service, &intent(&service, wanted).await).await;
        assert_eq!(done["state"], "done", "{done}");
        let mut after = vec![before[1].clone(), (*free).to_owned()];
        after.sort();
        assert_eq!(service.vms_of("rubis_two").await, after);

        // What waits for a dead host is taken back; a newer wish takes an older one's place.
        let to =
            |node: &str| json!({ "kind": "migrate", "tier": "rubis_two", "from": before[1], "to": [node] });
        let waits = intent(&service, to("vm9")).await;
        let path = |intent: &Value| format!("/api/intents/{}", intent["id"].as_str().unwrap());
        let mut patience = Patience::every(Duration::from_millis(100));
        while service.api.get(&path(&waits)).await.expect(200)["reasons"] == json!([]) {
            patience.wait(|| "it gives no reason".to_owned()).await;
        }
        let taken_back = service.api.delete(&path(&waits)).await.expect(200);
        assert_eq!(taken_back["state"], "cancelled", "{taken_back}");
        let older = intent(&service, to("vm9")).await;
        let newer = end(&service, &intent(&service, to(&before[0])).await).await;
        assert_eq!(newer["state"], "done", "{newer}");
        assert_eq!(end(&service, &older).await["state"], "cancelled");

        // A cordon is named, with what to do; so is what is in use.
        let cordoned = service.vms_of("rubis_two").await[0].clone();
        intent(&service, json!({ "kind": "cordon", "node": before[1] })).await;
        let mover = &cordoned;
        let wanted = json!({ "kind": "migrate", "tier": "rubis_two", "from": mover, "to": [before[1]] });
        let refused = end(&service, &intent(&service, wanted).await).await;
        assert_eq!(refused["state"], "refused", "{refused}");
        assert!(
            reasons(&refused).contains("it is cordoned by anonymous since"),
            "{refused}"
        );
        assert!(
            !reasons(&refused).contains("it is lost, it can't be placed"),
            "{refused}"
        );
        let large = service.api.put("/api/translate", &plan(&[("two", 8.0, 8)])).await;
        assert_eq!(large.status, 422, "{}", large.body);
        let said = large.body["error"].as_str().unwrap();
        assert!(
            said.contains(&format!("node '{}' is cordoned by", before[1])),
            "{said}"
        );
        assert!(said.contains("uncordon it"), "{said}");
    });
}
