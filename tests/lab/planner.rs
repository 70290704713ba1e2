//! The example planner, run as its documentation says: the tier grows under load, and shrinks
//! afterwards.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::patience::Patience;
use crate::process::Daemon;
use crate::service::Service;
use crate::traffic::Traffic;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/planner");

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(format!("{EXAMPLE}/{name}")).unwrap()).unwrap()
}

/// Cores of a tier over all VMs.
fn cores(allocation: &Value, tier: &str) -> f64 {
    let vms = allocation.as_object().unwrap().values();
    vms.filter_map(|vm| vm["used"][tier]["cpu_cores"].as_f64()).sum()
}

async fn until(service: &Service, planner: &Daemon, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut patience = Patience::every(Duration::from_millis(200));
    loop {
        let allocation = service.allocation().await;
        if holds(&allocation) {
            return allocation;
        }
        patience
            .wait(|| format!("{what}: {allocation:#}\n{}", planner.log()))
            .await;
    }
}

#[test]
fn a_tier_grows_under_load_and_shrinks_after() {
    in_lab!(3, async |lab| {
        let service = Service::start();
        let mut topology = read("topology.json");
        // The example has one machine; here there are three.
        topology["infrastructure"]["cloud_driver"] = json!({ "hosts": lab.hosts(3) });
        service.put_topology(&topology).await;
        service.execute(&read("plan.json")).await;
        let at = service.vms_of("shop_web").await;
        assert_eq!(at.len(), 1);

        let mut command = Command::new("python3");
        command
            .arg(format!("{EXAMPLE}/planner.py"))
            .args([
                "--tier",
                "shop_web",
                "--port",
                "8081",
                "--per-core",
                "10",
                "--step",
                "0.25",
            ])
            .args([
                "--least",
                "0.25",
                "--most",
                "3",
                "--interval",
                "0.5",
                "--patience",
                "3",
            ])
            .env("MAPEK_SERVER", service.api.url(""));
        let mut planner = Daemon::start("the planner", Path::new("/run/lab/planner.log"), &mut command);

        // More than a VM has: the tier is on two, and stays on the first, since that costs least.
        let traffic = Traffic::to(&format!("http://{}:8081/", lab.vm(&at[0]).ip));
        let grown = until(&service, &planner, "it grows", |allocation| {
            cores(allocation, "shop_web") > 2.0
        })
        .await;
        assert!(service.vms_of("shop_web").await.len() > 1, "{grown:#}");
        let report = traffic.stop().await;
        assert!(report.failures.is_empty(), "{report:#?}");

        let shrunk = until(&service, &planner, "it shrinks", |allocation| {
            cores(allocation, "shop_web") < 0.3
        })
        .await;
        assert_eq!(service.vms_of("shop_web").await.len(), 1, "{shrunk:#}");
        // What does not concern the planner has stayed as it was.
        assert!((cores(&shrunk, "shop_worker") - 0.1).abs() < 1e-9, "{shrunk:#}");
        assert!(planner.terminate().success(), "{}", planner.log());
    });
}
