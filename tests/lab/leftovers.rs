//! What nobody asks for any more does not stay: containers with another name, VMs that hold
//! nothing.

use serde_json::json;

use crate::service::Service;
use crate::topologies::{idle, nothing, on_hosts, plan, with};

#[test]
fn a_container_that_was_renamed_goes_once_its_successor_runs_or_before_where_there_is_no_room() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let service = Service::start();
        let tier = with(idle(), json!({"stop_grace_s": 0}));
        let topology = on_hosts(lab.hosts(1), json!({"one": tier}));
        service.put_topology(&topology).await;
        for (cores, first) in [(1.0, false), (2.0, true)] {
            let wanted = plan(&[("one", cores, 1)]);
            service.execute(&wanted).await;
            vm.docker(&["rename", "rubis_one", "old"]);
            let stages = service.translate(&wanted).await;
            let stage_of = |text: &str| {
                let has = |stage: &Vec<String>| stage.iter().any(|action| action.starts_with(text));
                stages
                    .iter()
                    .position(has)
                    .unwrap_or_else(|| panic!("{text}: {stages:?}"))
            };
            let goes = stage_of("delete container 'old' from vm 'vm1'");
            let comes = stage_of("create container 'rubis_one' on vm 'vm1'");
            assert_eq!(goes < comes, first, "{stages:?}");
            service.execute(&wanted).await;
            assert_eq!(vm.containers(), ["rubis_one"]);
        }
        vm.docker(&["rename", "rubis_one", "old"]);
        service.execute(&nothing()).await;
        assert_eq!(vm.containers(), Vec::<String>::new());
        assert_eq!(service.allocation().await, json!({}));
    });
}

#[test]
fn a_vm_that_a_failed_execution_left_empty_is_released_by_the_same_plan() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let tier = with(idle(), json!({"command": ["sh", "-c", "exit 3"]}));
        let mut topology = on_hosts(lab.hosts(1), json!({"one": tier}));
        service.put_topology(&topology).await;
        let failed = service.try_execute(&plan(&[("one", 1.0, 1)])).await;
        failed.error(&[502]);
        assert_eq!(service.allocation().await["vm1"]["used"], json!({}));
        let released = [["delete vm 'vm1'"]];
        assert_eq!(service.translate(&nothing()).await, released);
        // As many as there must be stay.
        topology["infrastructure"]["min_vms"] = json!(1);
        service.put_topology(&topology).await;
        assert_eq!(service.translate(&nothing()).await, Vec::<Vec<String>>::new());
        topology["infrastructure"]["min_vms"] = json!(0);
        service.put_topology(&topology).await;
        service.execute(&nothing()).await;
        assert_eq!(service.allocation().await, json!({}));
    });
}
