//! A plan on an Auto Scaling group: instances come when they are needed, and exactly those that are
//! empty are terminated.

use serde_json::{Value, json};

use crate::aws::{Aws, SECRET, TOKEN, only_loopback};
use crate::images::BUSYBOX;
use crate::kernel;
use crate::service::Service;
use crate::topologies::{idle, nothing, plan, three_tiers, with};

/// A tier whose containers stop at once.
fn brief() -> Value {
    with(idle(), json!({"stop_grace_s": 0}))
}

fn warnings(answer: &Value) -> String {
    answer["warnings"].to_string()
}

#[test]
fn a_group_grows_and_shrinks_with_its_plans() {
    in_lab!(0, async |lab| {
        let aws = Aws::start(lab).await;
        aws.make_group("shop", 0, 4, 0).await;
        let service = Aws::service(8001, &[("MAPEK_LOG", "trace")]);
        let topology = Aws::topology(&aws.endpoint, "shop", three_tiers());
        service.put_topology(&topology).await;

        // From nothing: three cores need two VMs of two.
        let small = plan(&[("loadbalancer", 1.0, 1), ("app_server", 1.0, 1), ("db", 1.0, 1)]);
        let stages = service.translate(&small).await;
        assert_eq!(stages[0], ["create vm 'new_vm0'", "create vm 'new_vm1'"]);
        assert!(aws.members("shop").await.is_empty(), "a dry run changes nothing");
        service.execute(&small).await;
        let two = aws.members("shop").await;
        assert_eq!(two.len(), 2);
        assert_eq!(aws.protected("shop").await, two, "what is in use is protected");
        let allocation = service.allocation().await;
        let named: Vec<&String> = allocation.as_object().unwrap().keys().collect();
        assert_eq!(
            named,
            two.iter().collect::<Vec<_>>(),
            "VMs go by their instance ids"
        );
        let balancer = service.vms_of("rubis_loadbalancer").await.remove(0);
        aws.on(&balancer, |vm| {
            assert_eq!(kernel::memory(vm, "rubis_loadbalancer"), 64 << 20);
            // The hook was told of its pool.
            assert!(
                vm.docker(&["exec", "rubis_loadbalancer", "ls", "/ecoware/hooks/tier_hooks"])
                    .contains("reload")
            );
        });
        let ip = allocation[&balancer]["ip"].as_str().unwrap();
        let (status, said) = crate::http::get(&format!("http://{ip}:8080/")).await;
        assert_eq!(status, 200, "{said}");

        // More memory than two VMs have: one more.
        let large = plan(&[("loadbalancer", 1.0, 1), ("app_server", 3.0, 9), ("db", 1.0, 1)]);
        service.execute(&large).await;
        let three = aws.members("shop").await;
        assert_eq!(three.len(), 3);
        assert!(two.iter().all(|id| three.contains(id)), "those in use stay");
        assert_eq!(aws.group("shop").await.max_size, Some(4));

        // Less: exactly the emptied instance is terminated, the others keep their containers.
        service.execute(&small).await;
        let left = aws.members("shop").await;
        assert_eq!(left.len(), 2);
        assert_eq!(aws.group("shop").await.desired_capacity, Some(2));
        let holding: Vec<String> = service
            .allocation()
            .await
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(holding, left);
        let mut containers: Vec<String> = left.iter().flat_map(|id| aws.containers(id)).collect();
        containers.sort();
        assert_eq!(containers, ["rubis_app_server", "rubis_db", "rubis_loadbalancer"]);
        assert!(
            service.translate(&small).await.is_empty(),
            "nothing is left to be done"
        );

        // Nothing at all.
        service.execute(&nothing()).await;
        assert!(aws.members("shop").await.is_empty());
        assert_eq!(aws.group("shop").await.desired_capacity, Some(0));
        assert_eq!(service.allocation().await, json!({}));

        let log = service.daemon.log();
        for secret in [SECRET, TOKEN] {
            assert!(!log.contains(secret), "the log tells a credential");
        }
        for path in ["/api/topology", "/api/executions"] {
            let said = service.api.get(path).await.expect(200).to_string();
            assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
        }
        let journal = std::fs::read("/run/lab/mapek-8001/journal.sqlite").unwrap_or_default();
        assert!(!journal.is_empty(), "the journal is there");
        assert!(!String::from_utf8_lossy(&journal).contains(SECRET));
    });
}

#[test]
fn without_an_endpoint_on_the_loopback_address_nothing_is_run() {
    for endpoint in [
        None,
        Some("https://autoscaling.eu-west-1.amazonaws.com"),
        Some("http://10.77.1.254:5001"),
        Some("http://127.0.0.1.example.com:5001"),
        Some("http://localhost@example.com:5001"),
    ] {
        assert!(only_loopback(endpoint).is_err(), "{endpoint:?}");
    }
    assert!(only_loopback(Some("http://127.0.0.1:5001")).is_ok());
    // Neither does a program under test, even in a sandbox without a route out.
    in_lab!(0, async |_lab| {
        let refused = std::panic::catch_unwind(|| Aws::topology("https://example.com", "g", json!({})));
        assert!(refused.is_err(), "the lab makes no such topology");
        let service = Service::start();
        let mut topology = Aws::topology("http://127.0.0.1:1", "shop", json!({"one": brief()}));
        topology["infrastructure"]["cloud_driver"]
            .as_object_mut()
            .unwrap()
            .remove("endpoint_url");
        std::fs::write(
            crate::aws::CREDENTIALS,
            "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n",
        )
        .unwrap();
        service.put_topology(&topology).await;
        let answer = service.api.put("/api/translate", &plan(&[("one", 1.0, 1)])).await;
        let said = answer.error(&[422]);
        assert!(said.contains("loopback"), "{said}");
    });
}

#[test]
fn what_a_group_has_is_used_and_what_leaves_it_is_planned_around() {
    in_lab!(0, async |lab| {
        let aws = Aws::start(lab).await;
        aws.make_group("shop", 1, 4, 2).await;
        aws.wait_for_engines("shop").await;
        let there = aws.members("shop").await;
        let service = Aws::service(8001, &[("MAPEK_OBSERVE_EVERY_S", "1")]);
        let mut topology = Aws::topology(&aws.endpoint, "shop", json!({"one": brief()}));
        service.put_topology(&topology).await;

        // Two idle instances: one is used, the other is terminated.
        let small = plan(&[("one", 1.0, 1)]);
        let stages = service.translate(&small).await;
        assert!(
            !stages.iter().flatten().any(|text| text.contains("new_vm")),
            "{stages:?}"
        );
        service.execute(&small).await;
        let used = aws.members("shop").await;
        assert_eq!(used.len(), 1);
        assert!(there.contains(&used[0]));
        assert_eq!(aws.protected("shop").await, used);

        // Somebody removes the protection: it is set again.
        aws.autoscaling
            .set_instance_protection()
            .auto_scaling_group_name("shop")
            .instance_ids(&used[0])
            .protected_from_scale_in(false)
            .send()
            .await
            .unwrap();
        wait_for("the protection", async || aws.protected("shop").await == used).await;

        // MinSize keeps the last one, idle, and that is said.
        let answer = service.api.put("/api/translate", &nothing()).await.expect(200);
        assert!(warnings(&answer).contains("MinSize 1"), "{answer:#}");
        service.execute(&nothing()).await;
        assert_eq!(aws.members("shop").await, used);
        assert_eq!(aws.containers(&used[0]), Vec::<String>::new());
        service.execute(&small).await;
        assert_eq!(aws.containers(&used[0]), ["rubis_one"]);

        // A topology can't change to another group while something runs on this one.
        let elsewhere = Aws::topology(&aws.endpoint, "other", json!({"one": brief()}));
        let answer = service.api.put("/api/topology", &elsewhere).await;
        assert!(answer.error(&[409]).contains("cloud_driver"));

        // A spot interruption: it is seen, and a plan goes around it.
        aws.steal(&used[0]).await;
        wait_for("drift", async || {
            service.api.get("/api/inspect").await.body[&used[0]]["rubis_one"]["state"] == "unknown"
        })
        .await;
        aws.wait_for_engines("shop").await;
        let answer = service.api.put("/api/translate", &small).await.expect(200);
        assert!(warnings(&answer).contains(&used[0]), "{answer:#}");
        service.execute(&small).await;
        let second = aws.members("shop").await;
        assert_eq!(second.len(), 1);
        assert_eq!(aws.containers(&second[0]), ["rubis_one"]);

        // And, if the topology says so, without a plan.
        topology["infrastructure"]["self_heal"] = json!(true);
        service.put_topology(&topology).await;
        aws.steal(&second[0]).await;
        aws.wait_for_engines("shop").await;
        wait_for("healing", async || {
            let third = aws.members("shop").await;
            third != second && service.allocation().await[&third[0]]["used"]["rubis_one"].is_object()
        })
        .await;
        let third = aws.members("shop").await;
        assert_eq!(aws.containers(&third[0]), ["rubis_one"]);
    });
}

#[test]
fn what_fails_is_undone_down_to_the_instances() {
    in_lab!(0, async |lab| {
        let aws = Aws::start(lab).await;
        aws.make_group("shop", 0, 4, 0).await;
        let service = Aws::service(8001, &[]);
        let broken = json!({"name": "Broken", "docker_image": BUSYBOX, "entrypoint_params": "false",
                            "depends_on": ["one"]});
        let tiers = json!({"one": brief(), "two": brief(), "broken": broken});
        let mut topology = Aws::topology(&aws.endpoint, "shop", tiers);
        topology["infrastructure"]["on_failure"] = json!("rollback");
        service.put_topology(&topology).await;

        let failing = plan(&[("one", 1.0, 1), ("two", 2.0, 1), ("broken", 1.0, 1)]);
        let answer = service.try_execute(&failing).await.expect(502);
        assert_eq!(answer["details"][1]["outcome"], "rolled_back", "{answer:#}");
        assert!(aws.members("shop").await.is_empty(), "{answer:#}");
        assert_eq!(aws.group("shop").await.desired_capacity, Some(0));
        assert_eq!(service.allocation().await, json!({}));

        // On the way back from a smaller plan, an instance that was terminated is made again.
        service.execute(&plan(&[("two", 2.0, 1), ("one", 1.0, 1)])).await;
        let before = aws.members("shop").await;
        assert_eq!(before.len(), 2);
        let answer = service
            .try_execute(&plan(&[("one", 1.0, 1), ("broken", 1.0, 1)]))
            .await;
        let answer = answer.expect(502);
        assert_eq!(answer["details"][1]["outcome"], "rolled_back", "{answer:#}");
        let after = aws.members("shop").await;
        assert_eq!(after.len(), 2);
        let mut containers: Vec<String> = after.iter().flat_map(|id| aws.containers(id)).collect();
        containers.sort();
        assert_eq!(containers, ["rubis_one", "rubis_two"]);
    });
}

/// Waits until something holds.
async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{what} does not come");
}
