//! Engines of instances that accept only clients with the right certificate, or that are reached
//! through SSH.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::keys;
use crate::service::Service;
use crate::topologies::{idle, nothing, plan, with};

fn topology(aws: &Aws, group: &str, docker: Value) -> Value {
    let tiers = json!({"one": with(idle(), json!({"stop_grace_s": 0}))});
    let mut topology = Aws::topology(&aws.endpoint, group, tiers);
    topology["infrastructure"]["docker"] = docker;
    topology
}

/// Two instances are made, used, resized on and given back.
async fn works(aws: &Aws, service: &Service, group: &str) {
    service.execute(&plan(&[("one", 4.0, 2)])).await;
    let members = aws.members(group).await;
    assert_eq!(members.len(), 2, "{group}");
    for id in &members {
        assert_eq!(aws.containers(id), ["rubis_one"], "{group}");
    }
    let seen = service.api.get("/api/inspect").await.expect(200);
    assert_eq!(seen[&members[0]]["rubis_one"]["state"], "running", "{seen:#}");
    service.execute(&plan(&[("one", 3.0, 3)])).await;
    assert!(service.translate(&plan(&[("one", 3.0, 3)])).await.is_empty());
    service.execute(&nothing()).await;
    assert!(aws.members(group).await.is_empty(), "{group}");
}

/// An instance is made whose engine can't be reached: its progress says why, for as long as it is
/// waited for. Nothing is left of it afterwards.
async fn waits_in_vain(aws: &Aws, service: &Service, group: &str, words: &[&str]) {
    let request = crate::http::client()
        .put(service.api.url("/api/execute"))
        .header("Prefer", "respond-async")
        .body(plan(&[("one", 1.0, 1)]).to_string());
    let begun: Value = request.send().await.unwrap().json().await.unwrap();
    let path = format!("/api/executions/{}", begun["execution"].as_str().unwrap());
    loop {
        let record = service.api.get(&path).await.expect(200);
        assert_eq!(record["state"], "running", "{record:#}");
        let said = record["stages"][0][0]["progress"].as_str().unwrap_or_default();
        if words.iter().all(|word| said.contains(word)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let cancel = service.api.url(&format!("{path}/cancel"));
    let cancelled = crate::http::client().post(cancel).send().await.unwrap();
    assert!(cancelled.status().is_success(), "{cancelled:?}");
    while service.api.get(&path).await.expect(200)["state"] == "running" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(aws.members(group).await.is_empty(), "{group}");
    assert_eq!(aws.group(group).await.desired_capacity, Some(0), "{group}");
}

#[test]
fn instances_behind_tls_are_used_by_those_with_the_right_certificates() {
    in_lab!(0, async |lab| {
        let ca = keys::authority("trusted");
        let others = keys::authority("others");
        let addresses: Vec<String> = (1..=32).map(|number| format!("IP:10.77.1.{number}")).collect();
        let names = format!("subjectAltName={}", addresses.join(","));
        let (server, server_key) = keys::signed("trusted", "server", &names);
        let (cert, key) = keys::signed("trusted", "client", "extendedKeyUsage=clientAuth");
        let launcher = lab.launcher().behind_tls(&ca, &server, &server_key);
        let aws = Aws::start_with(launcher).await;
        aws.make_group("shop", 0, 4, 0).await;
        let files = |ca: &Path, cert: &Path| {
            // The endpoint is the usual one: `https://{private_ip}:2376`.
            json!({"tls_ca": ca, "tls_cert": cert, "tls_key": key})
        };
        let service = Aws::service(8001, &[]);
        service
            .put_topology(&topology(&aws, "shop", files(&ca, &cert)))
            .await;
        works(&aws, &service, "shop").await;

        // An authority that did not sign the instances' certificates.
        aws.make_group("wrong", 0, 4, 0).await;
        let service = Aws::service(8002, &[]);
        service
            .put_topology(&topology(&aws, "wrong", files(&others, &cert)))
            .await;
        let words = ["invalid peer certificate", "infrastructure.docker.tls_ca"];
        waits_in_vain(&aws, &service, "wrong", &words).await;
    });
}

#[test]
fn instances_behind_ssh_are_used_with_the_keys_of_whoever_runs_mapek() {
    in_lab!(0, async |lab| {
        keys::root_may_log_in();
        let aws = Aws::start_with(lab.launcher().behind_ssh()).await;
        aws.make_group("shop", 0, 4, 0).await;
        let service = Aws::service(8001, &[]);
        let topology = topology(&aws, "shop", json!({"endpoint": "ssh://root@{private_ip}"}));

        service.put_topology(&topology).await;

        // No host key of the instances is known yet.
        waits_in_vain(&aws, &service, "shop", &["Host key verification failed"]).await;
        keys::trust_hosts("10.77.1.*");
        works(&aws, &service, "shop").await;
    });
}
