//! Host ports that somebody else's containers publish: a tier that needs one goes to another VM.

use serde_json::json;

use crate::daemons::Vm;
use crate::images::BUSYBOX;
use crate::service::Service;
use crate::topologies::{idle, nothing, on_hosts, plan, with};

/// Somebody else's container that publishes port 8080.
fn publish(vm: &Vm) {
    vm.docker(&[
        "run", "-d", "--name", "theirs", "-p", "8080:80", "--cpus", "0.1", "-m", "16m", BUSYBOX, "sleep",
        "9999",
    ]);
}

#[test]
fn a_tier_goes_where_its_port_is_free_and_is_refused_only_where_no_vm_has_it_free() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let tier = with(idle(), json!({"ports": ["8080:80"], "stop_grace_s": 0}));
        let topology = on_hosts(lab.hosts(2), json!({"one": tier}));
        service.put_topology(&topology).await;
        let wanted = plan(&[("one", 1.0, 1)]);
        // Where it goes when nothing is in the way.
        service.execute(&wanted).await;
        let first = service.vms_of("rubis_one").await.remove(0);
        service.execute(&nothing()).await;
        let at = |name: &str| lab.vms.iter().find(|vm| vm.name == name).unwrap();
        publish(at(&first));

        service.execute(&wanted).await;
        let second = service.vms_of("rubis_one").await.remove(0);
        assert_ne!(second, first);
        let found = service
            .api
            .post("/api/candidates", &json!({"tier": "rubis_one"}))
            .await
            .expect(200);
        let told = found["rejected"].to_string();
        assert!(
            told.contains("host port 8080/tcp is in use by container theirs that mapek did not make"),
            "{told}"
        );
        // What runs is no reason to go anywhere else.
        assert_eq!(service.translate(&wanted).await, Vec::<Vec<String>>::new());
        service.execute(&nothing()).await;

        // Now it is free nowhere.
        publish(at(&second));
        let shown = service.api.put("/api/translate", &wanted).await.expect(200);
        assert!(shown["warnings"].to_string().contains("8080"), "{shown:#}");
        let refused = service.try_execute(&wanted).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (409, &json!("port_taken"))
        );
        at(&first).docker(&["rm", "-f", "theirs"]);
        service.execute(&wanted).await;
        assert_eq!(service.vms_of("rubis_one").await, [first]);
    });
}
