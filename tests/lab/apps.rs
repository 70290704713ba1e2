//! Apps as requests, and what is set by hand, on real engines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

fn app(tier: Value, cores: u32) -> Value {
    json!({ "tiers": { "one": tier }, "plan": { "one": { "cpu_cores": cores, "mem_units": 1 } } })
}

/// Waits until the newest request for an app is over.
async fn end(service: &Service, name: &str) -> Value {
    let mut patience = Patience::every(Duration::from_millis(100));
    loop {
        let now = service.api.get(&format!("/api/apps/{name}")).await.expect(200);
        if ["deployed", "failed", "removed"].contains(&now["state"].as_str().unwrap()) {
            return now;
        }
        patience.wait(|| format!("it does not end: {now}")).await;
    }
}

#[test]
fn apps_of_several_people_are_deployed_changed_left_alone_and_removed() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        service
            .put_topology(&on_hosts(lab.hosts(2), json!({ "own": idle() })))
            .await;
        service.execute(&plan(&[("own", 1.0, 1)])).await;
        // Two at the same moment: both come, one after the other.
        let one = app(idle(), 1);
        let (a, b) = tokio::join!(
            service.api.put("/api/apps/first", &one),
            service.api.put("/api/apps/second", &one),
        );
        a.expect(202);
        b.expect(202);
        for name in ["first", "second"] {
            let deployed = end(&service, name).await;
            assert_eq!(deployed["state"], "deployed", "{deployed}");
            assert!(deployed["times"]["pending"].is_string(), "{deployed}");
            assert_eq!(service.vms_of(&format!("{name}_one")).await.len(), 1);
        }
        let holds = service.api.get("/api/plan").await.expect(200);
        assert_eq!(
            (&holds["state"], &holds["plan"]),
            (&json!("reached"), &plan(&[("own", 1.0, 1)]))
        );
        // A plan that does not name them leaves them alone; one that names one changes it.
        service.execute(&plan(&[("own", 1.0, 2)])).await;
        assert_eq!(service.vms_of("first_one").await.len(), 1);
        let mut named = plan(&[("own", 1.0, 1)]);
        named["first"] = json!({ "one": { "cpu_cores": 1, "mem_units": 2 } });
        service.execute(&named).await;
        let first = service.api.get("/api/apps/first").await.expect(200);
        assert_eq!(first["holds"]["one"]["mem_units"], 2, "{first}");
        service.execute(&plan(&[("own", 1.0, 1)])).await;
        assert_eq!(
            service.api.get("/api/apps/first").await.expect(200)["holds"]["one"]["mem_units"],
            2
        );
        // Putting the topology does not drop them, and can't have one of them.
        service
            .put_topology(&on_hosts(lab.hosts(2), json!({ "own": idle(), "more": idle() })))
            .await;
        let mut clash = on_hosts(lab.hosts(2), json!({ "own": idle() }));
        clash["apps"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "name": "first", "tiers": { "one": idle() } }));
        assert_eq!(service.api.put("/api/topology", &clash).await.status, 409);
        // A version that never comes up leaves the old one.
        let bad = with(idle(), json!({ "entrypoint_params": "false" }));
        service
            .api
            .put("/api/apps/second", &app(bad, 1))
            .await
            .expect(202);
        let failed = end(&service, "second").await;
        assert_eq!(failed["state"], "failed", "{failed}");
        assert_eq!(service.vms_of("second_one").await.len(), 1);
        let none = service.translate(&plan(&[("own", 1.0, 1)])).await;
        assert_eq!(none, Vec::<Vec<String>>::new());
        for name in ["first", "second"] {
            service.api.delete(&format!("/api/apps/{name}")).await.expect(202);
            assert_eq!(end(&service, name).await["state"], "removed");
            assert_eq!(service.vms_of(&format!("{name}_one")).await, [""; 0]);
        }
        assert_eq!(service.vms_of("rubis_own").await.len(), 1);
    });
}

#[test]
fn what_is_set_by_hand_stays_until_a_plan_names_the_tier() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        service
            .put_topology(&on_hosts(lab.hosts(2), json!({ "one": idle(), "two": idle() })))
            .await;
        service.execute(&plan(&[("two", 1.0, 1)])).await;
        let set = |vm: &str, cores: u32, mem: u32| json!({ "vm": vm, "app": "rubis", "name": "one", "cpu_cores": cores, "mem_units": mem });
        for vm in ["vm1", "vm2"] {
            let done = service
                .api
                .put("/api/tier", &set(vm, 1, if vm == "vm1" { 1 } else { 2 }))
                .await
                .expect(200);
            assert_eq!(done["state"], "done", "{done}");
        }
        let memory = |vm: &str| lab.vm(vm).inspect("rubis_one").unwrap()["HostConfig"]["Memory"].clone();
        let both = (json!(64 << 20), json!(128 << 20));
        assert_eq!((memory("vm1"), memory("vm2")), both);
        // No room for more, and nothing is done.
        let refused = service.api.put("/api/tier", &set("vm1", 2, 4)).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (422, &json!("infeasible")),
            "{}",
            refused.body
        );
        // A plan that does not name the tier leaves each container as it is.
        service.execute(&plan(&[("two", 1.0, 2)])).await;
        assert_eq!((memory("vm1"), memory("vm2")), both);
        service.api.put("/api/tier", &set("vm2", 0, 0)).await.expect(200);
        assert_eq!(service.vms_of("rubis_one").await, ["vm1"]);
        // One that names it has its way.
        service.execute(&plan(&[("one", 1.0, 2), ("two", 1.0, 1)])).await;
        let one = service.vms_of("rubis_one").await;
        assert_eq!(memory(&one[0]), json!(128 << 20));
        // Machines are kept, used or not.
        service
            .api
            .put("/api/vm/capacity", &json!({ "capacity": 2 }))
            .await
            .expect(200);
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        let allocation = service.api.get("/api/allocation").await.expect(200);
        assert!(
            allocation["vm1"].is_object() && allocation["vm2"].is_object(),
            "{allocation}"
        );
        service
            .api
            .put("/api/vm/capacity", &json!({ "capacity": 1 }))
            .await
            .expect(200);
        let allocation = service.api.get("/api/allocation").await.expect(200);
        assert_eq!(
            allocation["vm1"].is_object(),
            !allocation["vm2"].is_object(),
            "{allocation}"
        );
    });
}
