//! Images are where they are needed before anything is done, and the same on all VMs if that is
//! asked for.

use serde_json::{Value, json};

use crate::images::{BUSYBOX, NGINX};
use crate::registry::{CONFIG, PASSWORD, Registry, USER};
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

fn tool(registry: &Registry, pull: &str) -> Value {
    with(
        idle(),
        json!({"docker_image": registry.name("team/tool:7"), "entrypoint_params": null, "command": ["sleep", "100000"],
            "pull": pull, "stop_grace_s": 0}),
    )
}

#[test]
fn an_image_that_can_not_be_had_fails_a_plan_before_anything_is_done() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let registry = Registry::start();
        registry.push(&lab.vms[0], BUSYBOX, "team/tool:7");
        let bad = with(idle(), json!({"docker_image": registry.name("team/none:1")}));
        let tiers =
            json!({"one": tool(&registry, "missing"), "two": with(bad, json!({"depends_on": ["one"]}))});
        service.put_topology(&on_hosts(lab.hosts(2), tiers)).await;
        let failed = service
            .try_execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)]))
            .await;
        assert_eq!(failed.body["code"], "image_unavailable", "{}", failed.body);
        let error = failed.error(&[502]);
        assert!(error.contains("team/none:1"), "{error}");
        for vm in &lab.vms {
            assert_eq!(vm.containers(), Vec::<String>::new());
        }
        // The image that could be had is there, and was reported.
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        // Begun and done, for the one image that could be had.
        assert!(crate::drift::events(&service, "pulling").await >= 2);
    });
}

#[test]
fn a_tag_that_has_moved_is_rolled_out_where_that_is_asked_for() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let registry = Registry::start();
        // Five memory units do not fit on one VM of four.
        let large = plan(&[("one", 2.0, 5)]);
        let images = || -> Vec<Value> {
            let seen = lab.vms.iter().map(|vm| vm.inspect("rubis_one").unwrap());
            seen.map(|seen| seen["Image"].clone()).collect()
        };
        for pull in ["missing", "digest", "always"] {
            registry.push(&lab.vms[0], BUSYBOX, "team/tool:7");
            let topology = on_hosts(lab.hosts(2), json!({"one": tool(&registry, pull)}));
            service.put_topology(&topology).await;
            service.execute(&large).await;
            let before = images();
            assert_eq!(before[0], before[1]);
            assert_eq!(
                service.translate(&large).await,
                Vec::<Vec<String>>::new(),
                "{pull}"
            );

            registry.push(&lab.vms[1], NGINX, "team/tool:7");
            let translated = service.api.put("/api/translate", &large).await.expect(200);
            let replaced = translated["actions"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|stage| stage.as_array().unwrap());
            let replaced = replaced
                .filter(|text| text.as_str().unwrap().starts_with("replace"))
                .count();
            assert_eq!(
                replaced,
                if pull == "missing" { 0 } else { 2 },
                "{pull}: {translated:#}"
            );
            // What was shown is carried out, whatever the tag names by then.
            registry.push(&lab.vms[1], BUSYBOX, "team/tool:7");
            let sealed = format!("/api/execute?plan_id={}", translated["plan_id"].as_str().unwrap());
            service.api.put(&sealed, &large).await.expect(200);
            let after = images();
            assert_eq!(after[0], after[1], "{pull}");
            assert_eq!(
                after == before,
                pull == "missing",
                "{pull}: {before:?}, {after:?}"
            );
            let seen = service.api.get("/api/inspect").await.expect(200);
            assert_eq!(
                seen["vm1"]["rubis_one"]["digest"].is_string(),
                pull != "missing",
                "{seen:#}"
            );
            service.execute(&large).await;
            assert_eq!(images(), before, "{pull}");
            service.execute(&json!({})).await;
        }
        // What a registry that is down has is not known, and keeps nothing from going on.
        service.execute(&large).await;
        drop(registry);
        let translated = service.api.put("/api/translate", &large).await.expect(200);
        assert_eq!(translated["actions"], json!([]), "{translated:#}");
        assert!(
            translated["warnings"].to_string().contains("team/tool:7"),
            "{translated:#}"
        );
    });
}

#[test]
fn passwords_for_registries_come_from_the_topology_or_from_dockers_own_configuration() {
    in_lab!(1, async |lab| {
        let registry = Registry::guarded();
        registry.log_in(&lab.vms[0]);
        registry.push(&lab.vms[0], BUSYBOX, "team/tool:7");
        let mut topology = on_hosts(lab.hosts(1), json!({"one": tool(&registry, "always")}));
        let mut service =
            Service::start_with(&[("REGISTRY_PASSWORD", PASSWORD), ("DOCKER_CONFIG", "/nowhere")]);
        service.put_topology(&topology).await;
        let one = plan(&[("one", 1.0, 1)]);
        service.try_execute(&one).await.error(&[502]);

        let host = registry.name("").trim_end_matches('/').to_owned();
        topology["infrastructure"]["registries"] =
            json!({host: {"username": USER, "password": {"from_env": "REGISTRY_PASSWORD"}}});
        service.put_topology(&topology).await;
        service.execute(&one).await;
        let shown = service.api.get("/api/topology").await.expect(200);
        assert_eq!(
            shown["infrastructure"]["registries"],
            topology["infrastructure"]["registries"]
        );
        assert!(!shown.to_string().contains(PASSWORD));
        service.execute(&json!({})).await;

        topology["infrastructure"]
            .as_object_mut()
            .unwrap()
            .remove("registries");
        service.put_topology(&topology).await;
        service.try_execute(&one).await.error(&[502]);
        service.terminate();
        service.start_again_with(&[("DOCKER_CONFIG", CONFIG)]);
        service.execute(&one).await;
    });
}
