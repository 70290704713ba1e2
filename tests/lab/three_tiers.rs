//! The main promise: a three-tier app that scales while it is used.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::daemons::Lab;
use crate::http::{client, get};
use crate::service::Service;
use crate::topologies::{on_hosts, plan, three_tiers};
use crate::traffic::Traffic;

/// What the app server says on each VM that the allocation has one on.
async fn app_servers(lab: &Lab, service: &Service) -> BTreeSet<String> {
    let vms = service.vms_of("rubis_app_server").await;
    vms.iter()
        .map(|vm| format!("app server {}\n", lab.vm(vm).hostname("rubis_app_server")))
        .collect()
}

async fn balancer(lab: &Lab, service: &Service) -> String {
    let vms = service.vms_of("rubis_loadbalancer").await;
    assert_eq!(vms.len(), 1);
    format!("http://{}:8080", lab.vm(&vms[0]).ip)
}

/// Bodies that come through the balancer: as many requests as needed to see `count` of them.
async fn seen_through(balancer: &str, count: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for _ in 0..20 * count {
        let (status, body) = get(&format!("{balancer}/")).await;
        assert_eq!(status, 200, "{body}");
        seen.insert(body);
    }
    seen
}

#[test]
fn a_three_tier_app_scales_out_and_back_while_it_is_used() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        service.put_topology(&on_hosts(lab.hosts(3), three_tiers())).await;

        // Three cores in all: two VMs are enough.
        let small = plan(&[("loadbalancer", 1.0, 1), ("app_server", 1.0, 1), ("db", 1.0, 1)]);
        service.execute(&small).await;
        let balancer = balancer(lab, &service).await;
        assert_eq!(app_servers(lab, &service).await.len(), 1);
        assert_eq!(seen_through(&balancer, 1).await, app_servers(lab, &service).await);

        // Requests go the whole way: what is put through the balancer arrives in the data tier.
        let note = format!("{balancer}/notes/hello");
        assert_eq!(
            client().put(&note).body("world").send().await.unwrap().status(),
            201
        );
        assert_eq!(get(&note).await, (200, "world".to_owned()));

        // Nine memory units of app server do not fit on two VMs of four.
        let large = plan(&[("loadbalancer", 1.0, 1), ("app_server", 3.0, 9), ("db", 1.0, 1)]);
        let traffic = Traffic::to(&format!("{balancer}/"));
        service.execute(&large).await;
        let servers = app_servers(lab, &service).await;
        assert_eq!(servers.len(), 3);
        assert_eq!(seen_through(&balancer, 3).await, servers);
        let report = traffic.stop().await;
        assert!(report.failures.is_empty(), "on the way out: {report:#?}");
        assert_eq!(get(&note).await, (200, "world".to_owned()));

        // And back, with a request in progress at any time.
        let traffic = Traffic::to(&format!("{balancer}/"));
        service.execute(&small).await;
        let server = app_servers(lab, &service).await;
        assert_eq!(server.len(), 1);
        assert_eq!(seen_through(&balancer, 1).await, server);
        let report = traffic.stop().await;
        assert!(report.failures.is_empty(), "on the way back: {report:#?}");
        assert!(report.answered() >= 20, "{report:#?}");
        assert_eq!(get(&note).await, (200, "world".to_owned()));

        // What the allocation says is what runs.
        let mut running: Vec<String> = lab.vms.iter().flat_map(|vm| vm.containers()).collect();
        running.sort();
        assert_eq!(running, ["rubis_app_server", "rubis_db", "rubis_loadbalancer"]);
        assert_eq!(service.translate(&small).await, Vec::<Vec<String>>::new());
    });
}

#[test]
fn a_dependency_hook_runs_in_a_container_that_does_not_change_itself() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        service.put_topology(&on_hosts(lab.hosts(2), three_tiers())).await;
        let small = plan(&[("loadbalancer", 1.0, 1), ("app_server", 1.0, 1), ("db", 1.0, 1)]);
        service.execute(&small).await;
        let balancer = balancer(lab, &service).await;
        let vm = lab.vm(&service.vms_of("rubis_loadbalancer").await[0]);
        let before = vm.inspect("rubis_loadbalancer").unwrap();

        // Five memory units can't be on one VM.
        let large = plan(&[("loadbalancer", 1.0, 1), ("app_server", 2.0, 5), ("db", 1.0, 1)]);
        let stages = service.translate(&large).await;
        let hook = format!(
            "run tier hook for container 'rubis_loadbalancer' on vm '{}'",
            vm.name
        );
        assert!(stages.last().unwrap().contains(&hook), "{stages:#?}");
        service.execute(&large).await;
        assert_eq!(seen_through(&balancer, 2).await.len(), 2);
        let after = vm.inspect("rubis_loadbalancer").unwrap();
        for same in ["Id", "Created"] {
            assert_eq!(before[same], after[same]);
        }
        assert_eq!(before["State"]["StartedAt"], after["State"]["StartedAt"]);
    });
}

#[test]
fn removing_everything_leaves_nothing() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        service.put_topology(&on_hosts(lab.hosts(2), three_tiers())).await;
        let small = plan(&[("loadbalancer", 1.0, 1), ("app_server", 1.0, 1), ("db", 1.0, 1)]);
        service.execute(&small).await;
        service.execute(&crate::topologies::nothing()).await;
        assert_eq!(service.allocation().await, serde_json::json!({}));
        for vm in &lab.vms {
            assert_eq!(vm.containers(), Vec::<String>::new());
            // With nothing behind it, nothing answers on the ports any more.
            let answer = client()
                .get(format!("http://{}:8081/", vm.ip))
                .timeout(Duration::from_secs(5));
            assert!(answer.send().await.is_err());
        }
    });
}
