//! A tier behind a real nginx under constant load: whatever changes of it, no request fails; and where there is no room
//! to spare, at most what `interrupts` said is down.

use std::time::Duration;

use serde_json::{Value, json};

use crate::daemons::Lab;
use crate::patience::Patience;
use crate::service::Service;
use crate::topologies::{on_hosts, plan, three_tiers, with};
use crate::traffic::{Report, Traffic};

/// The same bytes under another name: another revision.
const OTHER: &str = "mapek/nginx:other";

/// The three-tier app, with these fields of its app server.
fn app(lab: &Lab, fields: Value) -> Value {
    let mut tiers = three_tiers();
    tiers["app_server"] = with(tiers["app_server"].clone(), fields);
    on_hosts(lab.hosts(lab.vms.len()), tiers)
}

fn servers(cores: f64, mem: u32) -> Value {
    plan(&[
        ("loadbalancer", 1.0, 1),
        ("app_server", cores, mem),
        ("db", 1.0, 1),
    ])
}

async fn begin(lab: &Lab) -> (Service, String) {
    for vm in &lab.vms {
        vm.docker(&["tag", crate::images::NGINX, OTHER]);
    }
    let service = Service::start();
    service.put_topology(&app(lab, json!({}))).await;
    service.execute(&servers(3.0, 9)).await;
    assert_eq!(service.vms_of("rubis_app_server").await.len(), 3);
    let url = balancer(lab, &service).await;
    (service, url)
}

async fn balancer(lab: &Lab, service: &Service) -> String {
    let vms = service.vms_of("rubis_loadbalancer").await;
    format!("http://{}:8080/", lab.vm(&vms[0]).ip)
}

/// Which tiers a plan says that it interrupts.
async fn interrupts(service: &Service, plan: &Value) -> Vec<String> {
    let answer = service.api.put("/api/translate", plan).await.expect(200);
    let interrupts = answer["interrupts"].as_array().unwrap().iter();
    interrupts
        .map(|interrupt| interrupt["tier"].as_str().unwrap().to_owned())
        .collect()
}

/// Carries out a plan under load.
async fn under_load(service: &Service, url: &str, plan: &Value) -> Report {
    let traffic = Traffic::to(url);
    service.execute(plan).await;
    traffic.stop().await
}

fn all_went_well(report: &Report, what: &str) {
    assert!(report.failures.is_empty(), "{what}: {report:#?}");
    assert!(report.answered() > 5, "{what}: {report:#?}");
}

#[test]
fn no_request_fails_while_a_tier_of_three_changes_in_every_way() {
    in_lab!(4, async |lab| {
        let (service, url) = begin(lab).await;
        let large = servers(3.0, 9);
        let environment = json!({"DATA_TIER": "db:8082", "LEVEL": "2"});
        let mut fields = json!({});
        for (what, changed) in [
            ("image", json!({"docker_image": OTHER})),
            ("environment", json!({"environment": environment})),
            ("a port more", json!({"ports": ["8081:80", "8083:80"]})),
            ("other ports beside it", json!({"ports": ["8081:80", "8084:80"]})),
            ("a port less", json!({"ports": ["8081:80"]})),
        ] {
            fields = with(fields, changed);
            service.put_topology(&app(lab, fields.clone())).await;
            let stages = service.translate(&large).await;
            let replaced = stages
                .iter()
                .flatten()
                .filter(|text| text.starts_with("replace container 'rubis_app_server'"));
            assert_eq!(replaced.count(), 3, "{what}: {stages:#?}");
            assert_eq!(interrupts(&service, &large).await, Vec::<String>::new(), "{what}");
            all_went_well(&under_load(&service, &url, &large).await, what);
            assert_eq!(
                service.translate(&large).await,
                Vec::<Vec<String>>::new(),
                "{what}"
            );
        }

        all_went_well(
            &under_load(&service, &url, &servers(1.0, 3)).await,
            "from three to one",
        );
        assert_eq!(service.vms_of("rubis_app_server").await.len(), 1);
        all_went_well(&under_load(&service, &url, &large).await, "from one to three");
        let busy = service.vms_of("rubis_app_server").await;
        assert_eq!(busy.len(), 3);

        // A VM that has neither the load balancer nor the database, which would be down for a moment.
        let alone = [
            service.vms_of("rubis_loadbalancer").await,
            service.vms_of("rubis_db").await,
        ]
        .concat();
        let out = busy.iter().find(|vm| !alone.contains(vm)).unwrap();
        let traffic = Traffic::to(&url);
        drain(&service, out, "done").await;
        let report = traffic.stop().await;
        all_went_well(&report, "a VM is taken out of use");
        assert!(!service.vms_of("rubis_app_server").await.contains(out));
        assert_eq!(lab.vm(out).containers(), Vec::<String>::new());
    });
}

/// Has a VM drained, and waits for how that ends.
async fn drain(service: &Service, vm: &str, state: &str) {
    let wish = json!({"kind": "drain", "node": vm});
    let begun = service.api.post("/api/intents", &wish).await.expect(202);
    let path = format!("/api/intents/{}", begun["id"].as_str().unwrap());
    let mut patience = Patience::every(Duration::from_millis(50));
    loop {
        let seen = service.api.get(&path).await.expect(200);
        if !matches!(seen["state"].as_str(), Some("pending" | "running")) {
            assert_eq!(seen["state"], state, "{seen:#}");
            return;
        }
        patience
            .wait(|| format!("the drain goes on and on: {seen:#}"))
            .await;
    }
}

#[test]
fn without_a_core_to_spare_at_most_what_was_said_is_interrupted() {
    in_lab!(3, async |lab| {
        for vm in &lab.vms {
            vm.docker(&["tag", crate::images::NGINX, OTHER]);
        }
        let service = Service::start();
        service.put_topology(&app(lab, json!({}))).await;
        // All six cores are in use: two app servers of two each, the load balancer and the database.
        let full = servers(4.0, 4);
        service.execute(&full).await;
        assert_eq!(service.vms_of("rubis_app_server").await.len(), 2);
        let url = balancer(lab, &service).await;

        // Each change in turn, and whether the tier that it is about can stay up.
        let mut tiers = three_tiers();
        for (tier, changed, down) in [
            ("app_server", json!({"docker_image": OTHER}), false),
            (
                "app_server",
                json!({"environment": {"DATA_TIER": "db:8082", "LEVEL": "2"}}),
                false,
            ),
            ("app_server", json!({"ports": ["8081:80", "8083:80"]}), false),
            ("db", json!({"docker_image": OTHER}), true),
            (
                "loadbalancer",
                json!({"environment": {"UPSTREAM_PORT": "8081", "LEVEL": "2"}}),
                true,
            ),
        ] {
            let what = format!("{tier} {changed}");
            tiers[tier] = with(tiers[tier].clone(), changed);
            service.put_topology(&on_hosts(lab.hosts(3), tiers.clone())).await;
            let said = interrupts(&service, &full).await;
            let expected: Vec<String> = down.then(|| format!("rubis_{tier}")).into_iter().collect();
            assert_eq!(said, expected, "{what}");
            let report = under_load(&service, &url, &full).await;
            // The app servers answer the balancer's page by themselves, so that only the balancer is missed.
            if tier != "loadbalancer" {
                all_went_well(&report, &what);
            }
            assert!(report.answered() > 5, "{what}: {report:#?}");
            assert_eq!(
                service.translate(&full).await,
                Vec::<Vec<String>>::new(),
                "{what}"
            );
        }

        let small = servers(2.0, 2);
        assert_eq!(interrupts(&service, &small).await, Vec::<String>::new());
        all_went_well(
            &under_load(&service, &url, &small).await,
            "from four cores to two",
        );
        assert_eq!(interrupts(&service, &full).await, Vec::<String>::new());
        all_went_well(&under_load(&service, &url, &full).await, "from two cores to four");

        // There is no room for what is on it: nothing is done, and nothing is missed.
        let traffic = Traffic::to(&url);
        let vm = service.vms_of("rubis_app_server").await.remove(0);
        drain(&service, &vm, "refused").await;
        // That is known at once, which is too short for many requests.
        tokio::time::sleep(Duration::from_millis(200)).await;
        all_went_well(&traffic.stop().await, "a drain that has no room");
    });
}
