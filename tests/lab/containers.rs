//! A container gets what the topology says; foreign containers are left alone.

use serde_json::{Value, json};

use crate::daemons::Vm;
use crate::http::get;
use crate::images::{BUSYBOX, NGINX};
use crate::service::Service;
use crate::topologies::{idle, nothing, on_hosts, plan, three_tiers, with};

/// What must not change in a container that must not be touched.
fn identity(vm: &Vm, name: &str) -> Value {
    let seen = vm.inspect(name).expect("the container is there");
    json!([
        seen["Id"],
        seen["State"]["StartedAt"],
        seen["HostConfig"],
        seen["State"]["Running"]
    ])
}

#[test]
fn a_container_gets_what_its_tier_says() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        let fields = json!({
            "entrypoint_params": "sh -c 'echo \"it is $GREETING\" >/data/said; sleep 100000'",
            "environment": {"GREETING": "two words; $HOME `id` \"quoted\""},
            "volumes": ["kept:/data"],
            "labels": {"team": "lab"},
            "user": "0:33",
        });
        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": with(idle(), fields)})))
            .await;
        service.execute(&plan(&[("one", 1.0, 1)])).await;

        let seen = vm.inspect("rubis_one").unwrap();
        let labels = &seen["Config"]["Labels"];
        assert_eq!(labels["mapek.managed"], "true");
        assert_eq!(
            (&labels["mapek.app"], &labels["mapek.tier"]),
            (&json!("rubis"), &json!("one"))
        );
        assert_eq!(labels["team"], "lab");
        assert_eq!(seen["Config"]["User"], "0:33");
        let said = vm.docker(&["exec", "rubis_one", "cat", "/data/said"]);
        assert_eq!(said, "it is two words; $HOME `id` \"quoted\"\n");

        // A named volume outlives its container.
        service.execute(&nothing()).await;
        assert_eq!(vm.docker(&["volume", "ls", "--quiet"]), "kept\n");
    });
}

#[test]
fn ports_are_published_and_dependencies_have_a_name() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        service.put_topology(&on_hosts(lab.hosts(2), three_tiers())).await;
        service
            .execute(&plan(&[
                ("loadbalancer", 1.0, 1),
                ("app_server", 1.0, 1),
                ("db", 1.0, 1),
            ]))
            .await;
        let [app, db] = [
            service.vms_of("rubis_app_server").await,
            service.vms_of("rubis_db").await,
        ];
        let [app, db] = [lab.vm(&app[0]), lab.vm(&db[0])];
        let published = app.docker(&["port", "rubis_app_server", "80/tcp"]);
        assert!(
            published.lines().any(|line| line == "0.0.0.0:8081"),
            "{published}"
        );
        let (status, _) = get(&format!("http://{}:8081/", app.ip)).await;
        assert_eq!(status, 200);
        let names = app.docker(&["exec", "rubis_app_server", "cat", "/etc/hosts"]);
        assert!(
            names.lines().any(|line| line == format!("{}\tdb", db.ip)),
            "{names}"
        );
    });
}

#[test]
fn a_container_of_somebody_else_is_never_touched() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        vm.docker(&[
            "run",
            "-d",
            "--name",
            "theirs",
            "--label",
            "mapek.app=rubis",
            BUSYBOX,
            "sleep",
            "9999",
        ]);
        // A name that looks like one of an app's.
        vm.docker(&["run", "-d", "--name", "rubis_old", BUSYBOX, "sleep", "9999"]);
        let before = [identity(vm, "theirs"), identity(vm, "rubis_old")];

        service
            .put_topology(&on_hosts(lab.hosts(1), json!({"one": idle(), "two": idle()})))
            .await;
        service.execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)])).await;
        service.execute(&plan(&[("two", 2.0, 2)])).await;
        let seen = service.api.get("/api/inspect").await.expect(200);
        let containers = seen["vm1"].as_object().unwrap();
        let foreign = |name: &str| containers[name]["foreign"].as_bool().unwrap();
        assert!(foreign("theirs") && foreign("rubis_old") && !foreign("rubis_two"));
        assert_eq!(containers.len(), 3);
        service.execute(&nothing()).await;
        assert_eq!([identity(vm, "theirs"), identity(vm, "rubis_old")], before);
        assert_eq!(vm.containers(), ["rubis_old", "theirs"]);
    });
}

#[test]
fn a_clash_with_somebody_elses_container_is_told_before_anything_is_done() {
    in_lab!(1, async |lab| {
        let service = Service::start();
        let vm = &lab.vms[0];
        vm.docker(&["run", "-d", "--name", "rubis_two", BUSYBOX, "sleep", "9999"]);
        vm.docker(&["run", "-d", "--name", "web", "-p", "8081:80", NGINX]);
        let before = [identity(vm, "rubis_two"), identity(vm, "web")];
        let tiers =
            json!({"one": idle(), "two": idle(), "three": with(idle(), json!({"ports": ["8081:80"]}))});
        service.put_topology(&on_hosts(lab.hosts(1), tiers)).await;

        let name = service
            .try_execute(&plan(&[("one", 1.0, 1), ("two", 1.0, 1)]))
            .await;
        let error = name.error(&[409, 422]);
        assert!(error.contains("rubis_two") && error.contains("vm1"), "{error}");
        let port = service
            .try_execute(&plan(&[("one", 1.0, 1), ("three", 1.0, 1)]))
            .await;
        let error = port.error(&[409, 422]);
        assert!(error.contains("8081"), "{error}");

        assert_eq!(vm.containers(), ["rubis_two", "web"]);
        assert_eq!([identity(vm, "rubis_two"), identity(vm, "web")], before);
        assert_eq!(service.allocation().await, json!({}));
        service.execute(&plan(&[("one", 1.0, 1)])).await;
    });
}
