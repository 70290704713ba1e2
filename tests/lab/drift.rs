//! What somebody changes behind the service's back is seen, and repaired where that is asked for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan};

/// Repairs are there within this.
const REPAIRED: Duration = Duration::from_secs(30);

fn healing(lab: Value, tiers: Value) -> Value {
    let mut topology = on_hosts(lab, tiers);
    topology["infrastructure"]["self_heal"] = json!(true);
    topology
}

async fn drift(service: &Service) -> Vec<String> {
    let seen = service.api.get("/api/inspect").await.expect(200);
    let vms = seen.as_object().unwrap().values().filter_map(Value::as_object);
    vms.flatten()
        .filter(|(_, container)| container["drift"] != json!([]))
        .map(|(name, container)| format!("{name}: {}", container["drift"]))
        .collect()
}

#[test]
fn drift_is_repaired_where_the_topology_asks_for_it() {
    in_lab!(2, async |lab| {
        let service = Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1")]);
        service
            .put_topology(&healing(lab.hosts(2), json!({"one": idle(), "two": idle()})))
            .await;
        service.execute(&plan(&[("one", 2.0, 2), ("two", 2.0, 2)])).await;
        let allocation = service.allocation().await;
        let of = |tier: &str| {
            let vm = lab
                .vms
                .iter()
                .find(|vm| vm.containers().iter().any(|name| name == tier));
            vm.unwrap_or_else(|| panic!("{tier} runs nowhere"))
        };
        let (first, second) = (of("rubis_one"), of("rubis_two"));
        assert_eq!(drift(&service).await, Vec::<String>::new());

        first.docker(&["rm", "--force", "rubis_one"]);
        second.docker(&["update", "--memory", "32m", "--memory-swap", "32m", "rubis_two"]);
        assert_eq!(drift(&service).await.len(), 2);

        let until = Instant::now() + REPAIRED;
        while !drift(&service).await.is_empty() {
            assert!(Instant::now() < until, "still there: {:?}", drift(&service).await);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(service.allocation().await, allocation);
        assert_eq!(first.containers(), ["rubis_one"]);
    });
}

#[test]
fn drift_is_left_alone_where_nobody_asked() {
    in_lab!(1, async |lab| {
        let service = Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1")]);
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": idle()})))
            .await;
        service.execute(&plan(&[("one", 1.0, 2)])).await;
        lab.vms[0].docker(&["rm", "--force", "rubis_one"]);
        // Several looks later it is still told, and still gone.
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(drift(&service).await.len(), 1);
        assert_eq!(lab.vms[0].containers(), Vec::<String>::new());
        let metrics = crate::http::get(&service.api.url("/metrics")).await.1;
        assert!(metrics.contains("mapek_drift_containers 1\n"), "{metrics}");
        // It was noted once, however often it was looked at.
        let mut events = crate::http::client()
            .get(service.api.url("/api/events?last_event_id=0"))
            .send()
            .await
            .unwrap();
        let mut told = String::new();
        while !told.contains("event: drift\n") {
            let chunk = tokio::time::timeout(REPAIRED, events.chunk())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            told.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert_eq!(told.matches("event: drift\n").count(), 1, "{told}");
        // The same plan sent again repairs it.
        service.execute(&plan(&[("one", 1.0, 2)])).await;
        assert_eq!(drift(&service).await, Vec::<String>::new());
    });
}
