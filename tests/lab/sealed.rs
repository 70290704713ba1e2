//! Sealed plans: what was shown is what is done, or the answer says what has changed since.

use serde_json::{Value, json};

use crate::git::Repository;
use crate::images::BUSYBOX;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// Translates a plan: its id, and the texts of its actions.
async fn shown(service: &Service, plan: &Value) -> (String, Vec<Value>) {
    let answer = service.api.put("/api/translate", plan).await.expect(200);
    let stages = answer["actions"].as_array().unwrap();
    let texts = stages.iter().flat_map(|stage| stage.as_array().unwrap().clone());
    (answer["plan_id"].as_str().unwrap().to_owned(), texts.collect())
}

/// What has changed: its kind and, if it has one, its container, VM or image.
async fn moved(service: &Service, id: &str) -> Vec<(String, String)> {
    let path = format!("/api/execute?plan_id={id}");
    let body = service.api.put(&path, &Value::Null).await.expect(409);
    assert_eq!(body["code"], "plan_moved", "{body:#}");
    let text = |one: &Value, key: &str| one[key].as_str().map(str::to_owned);
    let details = body["details"].as_array().unwrap().iter();
    details
        .map(|one| {
            let place = ["container", "image", "vm", "tier"]
                .iter()
                .find_map(|key| text(one, key));
            (text(one, "what").unwrap(), place.unwrap_or_default())
        })
        .collect()
}

fn pair(what: &str, place: &str) -> (String, String) {
    (what.to_owned(), place.to_owned())
}

#[test]
fn a_sealed_plan_is_carried_out_as_it_was_shown_even_after_a_kill() {
    in_lab!(2, async |lab| {
        let mut service = Service::start();
        let tiers = json!({"one": idle(), "two": idle()});
        service.put_topology(&on_hosts(lab.hosts(2), tiers)).await;
        let wanted = plan(&[("one", 2.0, 2), ("two", 1.0, 1)]);
        let (id, texts) = shown(&service, &wanted).await;
        assert_eq!(
            shown(&service, &wanted).await.0,
            id,
            "the same showing has the same id"
        );
        service.kill();
        service.start_again();
        // The plan, written differently, is the same plan.
        let flat = json!({
            "rubis_one": {"cpu_cores": 2, "mem_units": 2.0}, "rubis_two": {"cpu_cores": 1.0, "mem_units": 1}
        });
        let answer = service
            .api
            .put(&format!("/api/execute?plan_id={id}"), &flat)
            .await
            .expect(200);
        let path = format!("/api/executions/{}", answer["execution"].as_str().unwrap());
        let execution = service.api.get(&path).await.expect(200);
        let stages = execution["stages"].as_array().unwrap().iter();
        let done: Vec<Value> = stages
            .flat_map(|stage| stage.as_array().unwrap())
            .map(|action| action["text"].clone())
            .collect();
        assert_eq!((done, &execution["plan_id"]), (texts, &json!(id)));
        assert_eq!(execution["requested_by"], "anonymous");

        // It was carried out, so what it was based on has changed.
        let moves = moved(&service, &id).await;
        assert!(moves.contains(&pair("vm", "vm1")), "{moves:?}");
        // With another plan, it is not the one that was shown.
        let (id, texts) = shown(&service, &wanted).await;
        assert!(texts.is_empty());
        let other = plan(&[("one", 2.0, 2)]);
        let body = service
            .api
            .put(&format!("/api/execute?plan_id={id}"), &other)
            .await
            .expect(409);
        assert_eq!(body["details"][0]["what"], "plan", "{body:#}");
        let answer = service
            .api
            .put(&format!("/api/execute?plan_id={id}"), &Value::Null)
            .await
            .expect(200);
        assert_eq!(answer["outcome"], "succeeded");
    });
}

#[test]
fn whatever_has_moved_since_is_named() {
    in_lab!(1, async |lab| {
        let (service, vm) = (Service::start(), &lab.vms[0]);
        let repository = Repository::new("hooks");
        repository.write("scale_hooks/grow.sh", "#!/bin/sh\n");
        repository.commit("One");
        vm.docker(&["tag", BUSYBOX, "moving:1"]);
        let two = with(
            idle(),
            json!({"docker_image": "moving:1", "on_node_scale": "grow.sh"}),
        );
        let mut topology = on_hosts(lab.hosts(1), json!({"one": idle(), "two": two}));
        topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
        service.put_topology(&topology).await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        let wanted = plan(&[("one", 1.0, 1), ("two", 1.0, 2)]);

        let (id, _) = shown(&service, &wanted).await;
        topology["infrastructure"]["max_vms"] = json!(9);
        service.put_topology(&topology).await;
        assert_eq!(moved(&service, &id).await, [pair("topology", "")]);

        let (id, _) = shown(&service, &wanted).await;
        repository.write("scale_hooks/grow.sh", "#!/bin/sh\necho two\n");
        repository.commit("Two");
        assert_eq!(moved(&service, &id).await, [pair("hooks", "")]);

        let (id, _) = shown(&service, &wanted).await;
        vm.docker(&["run", "--name", "changed", BUSYBOX, "touch", "/here"]);
        vm.docker(&["commit", "changed", "moving:1"]);
        assert_eq!(moved(&service, &id).await, [pair("image", "moving:1")]);

        let (id, _) = shown(&service, &wanted).await;
        vm.docker(&["update", "--memory", "100m", "--memory-swap", "100m", "rubis_one"]);
        assert_eq!(moved(&service, &id).await, [pair("container", "rubis_one")]);

        // What is shown again is based on what is there now.
        let (id, _) = shown(&service, &wanted).await;
        let answer = service
            .api
            .put(&format!("/api/execute?plan_id={id}"), &Value::Null)
            .await
            .expect(200);
        assert_eq!(answer["outcome"], "succeeded");
        assert_eq!(vm.containers(), ["changed", "rubis_one", "rubis_two"]);
    });
}
