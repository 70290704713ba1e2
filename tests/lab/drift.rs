//! What somebody changes without the service is seen, and repaired if the topology says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::patience::{Patience, patiently};
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan};

fn healing(lab: Value, tiers: Value) -> Value {
    let mut topology = on_hosts(lab, tiers);
    topology["infrastructure"]["self_heal"] = json!({"grace_s": 1, "backoff_max_s": 2});
    topology
}

/// How many events of that kind were recorded so far.
pub async fn events(service: &Service, kind: &str) -> usize {
    let url = service.api.url("/api/events?last_event_id=0");
    let mut events = crate::http::client().get(url).send().await.unwrap();
    let mut told = String::new();
    // All that there are come at once.
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(Duration::from_secs(1), events.chunk()).await {
        told.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    told.matches(&format!("event: {kind}\n")).count()
}

async fn looks(service: &Service) -> u64 {
    let metrics = crate::http::get(&service.api.url("/metrics")).await.1;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("mapek_drift_looks_total "));
    line.unwrap().parse().unwrap()
}

/// Waits for this many more looks.
pub async fn look_on(service: &Service, more: u64) {
    let before = looks(service).await;
    let mut patience = Patience::every(Duration::from_millis(100));
    while looks(service).await < before + more {
        patience.wait(|| "it does not look any more".to_owned()).await;
    }
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

        // During a repair, the allocation says what is seen, and nothing differs from it.
        let mut patience = Patience::every(Duration::from_millis(200));
        while service.allocation().await != allocation || !drift(&service).await.is_empty() {
            patience.wait(|| "it is not repaired".to_owned()).await;
        }
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
        // Several looks later it is still reported, and still gone.
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(drift(&service).await.len(), 1);
        assert_eq!(lab.vms[0].containers(), Vec::<String>::new());
        let metrics = crate::http::get(&service.api.url("/metrics")).await.1;
        assert!(metrics.contains("mapek_drift_containers 1\n"), "{metrics}");
        // It was recorded once, however often it was looked at.
        let mut events = crate::http::client()
            .get(service.api.url("/api/events?last_event_id=0"))
            .send()
            .await
            .unwrap();
        let mut told = String::new();
        while !told.contains("event: drift\n") {
            let chunk = patiently("no event of the drift", events.chunk())
                .await
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

#[test]
fn where_nothing_can_be_done_nothing_is_begun_and_it_is_told_once() {
    in_lab!(2, async |lab| {
        let mut service =
            Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1"), ("MAPEK_ENGINE_TIMEOUT_S", "2")]);
        let mut topology = healing(lab.hosts(2), json!({"near": idle(), "far": idle()}));
        topology["infrastructure"]["self_heal"]["lost_after_s"] = json!(2);
        service.put_topology(&topology).await;
        service.execute(&plan(&[("near", 2.0, 2), ("far", 2.0, 2)])).await;
        let reached = service.api.get("/api/plan").await.expect(200);
        assert_eq!(reached["state"], "reached", "{reached:#}");
        let (near, far) = (
            service.vms_of("rubis_near").await,
            service.vms_of("rubis_far").await,
        );

        // The other VM is full.
        lab.vm(&far[0]).unplug();
        let mut patience = Patience::every(Duration::from_millis(50));
        let kinds = async || {
            let seen = service.api.get("/api/plan").await.expect(200);
            let differences = seen["differences"].as_array().unwrap().clone();
            let mut kinds: Vec<String> = differences
                .iter()
                .map(|one| one["kind"].as_str().unwrap().to_owned())
                .collect();
            kinds.sort();
            (kinds, seen["state"].clone())
        };
        while kinds().await != (vec!["lost".to_owned()], json!("drifted")) {
            let seen = kinds().await;
            patience
                .wait(|| format!("{seen:?}\n{}", service.daemon.log_end()))
                .await;
        }
        while events(&service, "reconcile_refused").await == 0 {
            patience
                .wait(|| "nobody says that nothing can be done".to_owned())
                .await;
        }
        look_on(&service, 5).await;
        let executions = service.executions().await;
        assert_eq!(
            executions["executions"].as_array().unwrap().len(),
            1,
            "{executions:#}"
        );
        assert_eq!(events(&service, "reconcile_refused").await, 1);
        assert_eq!(events(&service, "drift").await, 2);

        // What can be done is still done, with its reasons.
        lab.vm(&far[0]).plug_in();
        lab.vm(&near[0]).docker(&["rm", "--force", "rubis_near"]);
        let newest = async || service.executions().await["executions"][0].clone();
        while newest().await["state"] != "succeeded" || newest().await["reconcile"].is_null() {
            let seen = newest().await;
            patience
                .wait(|| format!("{seen:#}\n{}", service.daemon.log_end()))
                .await;
        }
        let repair = newest().await;
        assert_eq!(repair["requested_by"], "mapek");
        let reasons = repair["reconcile"]["reasons"].to_string();
        assert!(
            reasons.contains("rubis_near") && reasons.contains("is missing"),
            "{reasons}"
        );
        assert_eq!(repair["reconcile"]["plan_of"], reached["execution"]);
        // It is the same plan that holds, also after a restart.
        service.kill();
        service.start_again();
        let after = service.api.get("/api/plan").await.expect(200);
        for field in ["plan", "since", "by", "execution"] {
            assert_eq!(after[field], reached[field], "{field}");
        }
    });
}
