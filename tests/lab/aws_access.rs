//! Engines of instances that speak only with those who show the right certificate, or through SSH.

use std::path::Path;

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

        // An authority that did not sign the instances' certificates: they never get ready.
        aws.make_group("wrong", 0, 4, 0).await;
        let service = Aws::service(8002, &[]);
        let mut wrong = topology(&aws, "wrong", files(&others, &cert));
        wrong["infrastructure"]["cloud_driver"]["ready_timeout_s"] = json!(4);
        service.put_topology(&wrong).await;
        let answer = service.try_execute(&plan(&[("one", 1.0, 1)])).await;
        let body = answer.expect(504);
        assert_eq!(body["code"], "cloud_timeout", "{body:#}");
        let said = body["error"].as_str().unwrap();
        for part in [
            "its engine does not answer yet",
            "invalid peer certificate",
            "infrastructure.docker.tls_ca",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        assert!(aws.members("wrong").await.is_empty());
        assert_eq!(aws.group("wrong").await.desired_capacity, Some(0));
    });
}

#[test]
fn instances_behind_ssh_are_used_with_the_keys_of_whoever_runs_mapek() {
    in_lab!(0, async |lab| {
        keys::root_may_log_in();
        let aws = Aws::start_with(lab.launcher().behind_ssh()).await;
        aws.make_group("shop", 0, 4, 0).await;
        let service = Aws::service(8001, &[]);
        let mut topology = topology(&aws, "shop", json!({"endpoint": "ssh://root@{private_ip}"}));

        // Nobody vouches for the instances yet.
        topology["infrastructure"]["cloud_driver"]["ready_timeout_s"] = json!(4);
        service.put_topology(&topology).await;
        let answer = service.try_execute(&plan(&[("one", 1.0, 1)])).await;
        let said = answer.error(&[504]);
        assert!(said.contains("Host key verification failed"), "{said}");
        assert!(aws.members("shop").await.is_empty());

        keys::trust_hosts("10.77.1.*");
        topology["infrastructure"]["cloud_driver"]["ready_timeout_s"] = json!(60);
        service.put_topology(&topology).await;
        works(&aws, &service, "shop").await;
    });
}
