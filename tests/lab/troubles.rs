//! Engines that are away, images that can't be had, and a service that is stopped and started.

use serde_json::{Value, json};

use crate::images::{BUSYBOX, NGINX};
use crate::registry::Registry;
use crate::service::Service;
use crate::topologies::{idle, nothing, on_hosts, plan, with};

#[test]
fn a_vm_that_cannot_be_reached_is_named_and_can_come_back() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        service
            .put_topology(&on_hosts(lab.hosts(2), json!({"one": idle(), "two": idle()})))
            .await;
        service.execute(&plan(&[("one", 2.0, 1)])).await;
        let with_container = service.vms_of("rubis_one").await.remove(0);
        let index = lab.vms.iter().position(|vm| vm.name == with_container).unwrap();
        let before = service.allocation().await;

        lab.vms[index].unplug();
        let error = service
            .try_execute(&plan(&[("one", 2.0, 2)]))
            .await
            .error(&[502, 504]);
        assert!(error.contains(&with_container), "{error}");
        assert_eq!(
            service.allocation().await,
            before,
            "nothing was done, so nothing changed"
        );
        let seen = service.api.get("/api/inspect").await;
        assert!(seen.body.to_string().contains("unreachable"), "{:#}", seen.body);

        lab.vms[index].plug_in();
        service.execute(&plan(&[("one", 2.0, 2)])).await;
        assert_eq!(crate::kernel::memory(&lab.vms[index], "rubis_one"), 128 << 20);
    });
}

#[test]
fn an_engine_that_has_crashed_is_told_of_before_anything_is_done() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let hosts = lab.hosts(2);
        let tiers = json!({"one": idle(), "two": idle()});
        service.put_topology(&on_hosts(hosts, tiers)).await;
        lab.vms[1].kill_engine();
        // Both VMs are needed; the healthy one is left alone, too.
        let error = service
            .try_execute(&plan(&[("one", 2.0, 1), ("two", 2.0, 1)]))
            .await
            .error(&[502, 504]);
        assert!(error.contains("vm2"), "{error}");
        assert_eq!(lab.vms[0].containers(), Vec::<String>::new());
        assert_eq!(service.allocation().await, json!({}));

        lab.vms[1].restart_engine();
        service.execute(&plan(&[("one", 2.0, 1), ("two", 2.0, 1)])).await;
        assert_eq!(lab.vms[1].containers().len(), 1);
    });
}

#[test]
fn an_image_that_is_absent_is_pulled() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let registry = Registry::start();
        registry.push(&lab.vms[0], BUSYBOX, "team/tool:7");
        let image = registry.name("team/tool:7");
        let hosts = json!({"vm2": lab.hosts(2)["vm2"]});
        let tiers = json!({"one": with(idle(), json!({"docker_image": image}))});
        service.put_topology(&on_hosts(hosts, tiers)).await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;
        assert_eq!(lab.vms[1].inspect("rubis_one").unwrap()["Config"]["Image"], image);
    });
}

#[test]
fn an_image_that_cannot_be_had_is_named() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let registry = Registry::start();
        for image in [
            registry.name("team/absent:1"),
            "10.77.1.253:5000/nobody/there:1".to_owned(),
        ] {
            let tiers = json!({"one": with(idle(), json!({"docker_image": image}))});
            service.put_topology(&on_hosts(lab.hosts(1), tiers)).await;
            let error = service.try_execute(&plan(&[("one", 1.0, 1)])).await.error(&[502]);
            assert!(error.contains(&image), "{error}");
            assert_eq!(lab.vms[0].containers(), Vec::<String>::new());
        }
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": idle()})))
            .await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;
    });
}

#[test]
fn a_restart_keeps_what_the_service_knew() {
    in_lab!(2, async |lab| {
        let mut service = Service::start();
        let topology = on_hosts(lab.hosts(2), json!({"one": idle(), "two": idle()}));
        service.put_topology(&topology).await;
        let wanted = plan(&[("one", 2.0, 1), ("two", 2.0, 1)]);
        service.execute(&wanted).await;
        let known = async |service: &Service| {
            let mut topology = service.api.get("/api/topology").await.expect(200);
            topology.as_object_mut().unwrap().remove("time");
            (topology, service.allocation().await, service.executions().await)
        };
        let before = known(&service).await;
        assert_eq!(before.0, topology);

        let status = service.terminate();
        assert!(status.success(), "after SIGTERM: {status}");
        service.start_again();
        assert_eq!(known(&service).await, before);

        service.kill();
        // Meanwhile somebody removes a container and changes the limits of the other.
        let [one, two] = [
            service_vm(&before.1, "rubis_one"),
            service_vm(&before.1, "rubis_two"),
        ];
        lab.vm(&one).docker(&["rm", "--force", "rubis_one"]);
        lab.vm(&two)
            .docker(&["update", "--memory", "32m", "--memory-swap", "32m", "rubis_two"]);
        service.start_again();
        assert_eq!(known(&service).await, before);
        // A plan starts from what is there, not from what was expected.
        let mended = vec![
            format!("create container 'rubis_one' on vm '{one}' with cpu cores=2 and mem_units=1"),
            format!("update container 'rubis_two' on vm '{two}' with cpu cores=2 and mem_units=1"),
        ];
        assert_eq!(service.translate(&wanted).await, [mended]);
        let seen = service.api.get("/api/inspect").await.expect(200);
        assert_ne!(seen[&one]["rubis_one"]["drift"], json!([]), "{seen:#}");
        assert_ne!(seen[&two]["rubis_two"]["drift"], json!([]), "{seen:#}");

        service.execute(&nothing()).await;
        for vm in &lab.vms {
            assert_eq!(vm.containers(), Vec::<String>::new());
        }
    });
}

/// The VM of an allocation that holds `tier`.
fn service_vm(allocation: &Value, tier: &str) -> String {
    let mut vms = allocation.as_object().unwrap().iter();
    vms.find(|(_, vm)| vm["used"].get(tier).is_some())
        .unwrap()
        .0
        .clone()
}

#[test]
fn the_samples_run_on_the_machines_own_engine() {
    in_lab!(1, async |lab| {
        // The embedded default finds the engine where Docker's own clients do.
        std::os::unix::fs::symlink(lab.vms[0].socket(), "/run/docker.sock").unwrap();
        let service = Service::start();
        let read = |file: &str| -> Value {
            let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        for folder in ["", "docs/examples/pinned/"] {
            service
                .put_topology(&read(&format!("{folder}topology.json")))
                .await;
            let plan = read(&format!("{folder}plan.json"));
            assert_ne!(service.translate(&plan).await, Vec::<Vec<String>>::new());
            service.execute(&plan).await;
            assert_eq!(service.translate(&plan).await, Vec::<Vec<String>>::new());
            let (status, body) = crate::http::get(&format!("http://{}:8080/", lab.vms[0].ip)).await;
            assert_eq!(status, 200, "{body}");
            assert!(body.starts_with("app server "), "{body}");
            let seen = service.api.get("/api/inspect").await.expect(200);
            for containers in seen.as_object().unwrap().values().filter_map(Value::as_object) {
                for (name, container) in containers {
                    assert_eq!(container["drift"], json!([]), "{name}: {container:#}");
                }
            }
            service.execute(&nothing()).await;
        }
        assert_eq!(lab.vms[0].containers(), Vec::<String>::new());
        assert!(
            lab.vms[0]
                .docker(&["images"])
                .contains(NGINX.split(':').next().unwrap())
        );
    });
}
