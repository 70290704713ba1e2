//! The dashboard in a real browser, with real engines: what runs, what is being carried out, what
//! has drifted.

use serde_json::{Value, json};

use crate::browser::{Screen, browse};
use crate::git::Repository;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

#[test]
fn the_dashboard_shows_what_runs_and_an_execution_as_it_goes() {
    in_lab!(2, async |lab| {
        let service = Service::start();
        let repository = Repository::new("hooks");
        repository.write("scale_hooks/slow.sh", "#!/bin/sh\nsleep 3\n");
        repository.commit("Slow");
        let tier = |fields: Value| with(with(idle(), json!({"stop_grace_s": 0})), fields);
        let tiers = json!({
            "loadbalancer": tier(json!({"max_node": 1, "depends_on": ["app_server"]})),
            "app_server": tier(json!({"depends_on": ["db"], "on_node_scale": "slow.sh"})),
            "db": tier(json!({"max_node": 1})),
            "cache": tier(json!({})),
        });
        let mut topology = on_hosts(lab.hosts(2), tiers);
        topology["infrastructure"]["hooks_git_repo"] = json!(repository.path());
        topology["infrastructure"]["cpu_mode"] = json!("quota");
        service.put_topology(&topology).await;

        let url = service.api.url("/");
        let small = plan(&[("loadbalancer", 0.5, 1), ("app_server", 0.5, 1), ("db", 0.5, 1)]);
        browse(Screen::Desk, async |page| {
            page.open(&url).await;
            page.shows("#link", "live").await;
            // During the execution: events update the page, nobody reloads it.
            let running = async {
                let shown = page.shows("#execution", "running").await;
                assert!(shown.to_uppercase().contains("STAGE 1"), "{shown}");
                page.shows("#execution .running", "run scale hook").await;
                page.shows("#vms", "rubis_db").await;
                page.picture("running").await;
            };
            tokio::join!(service.execute(&small), running);
            page.shows("#execution", "succeeded").await;
            page.shows("#history", "succeeded").await;
            page.shows("#events", "finished").await;

            // A larger plan, then drift, seen by asking the engines.
            let large = plan(&[
                ("loadbalancer", 0.5, 1),
                ("app_server", 1.5, 3),
                ("db", 0.5, 1),
                ("cache", 0.25, 2),
            ]);
            service.execute(&large).await;
            page.shows("#figures", "VMs in use").await;
            page.shows("#vms", "rubis_cache").await;
            let vm = lab
                .vms
                .iter()
                .find(|vm| vm.containers().iter().any(|name| name == "rubis_cache"))
                .unwrap();
            vm.docker(&["update", "--memory", "64m", "--memory-swap", "64m", "rubis_cache"]);
            page.open(&url).await;
            page.shows("#vms", "drift: memory is").await;
            page.press("#current").await;
            let filled = page.script("return document.getElementById('plan').value").await;
            let filled: Value = serde_json::from_str(filled.as_str().unwrap()).unwrap();
            assert_eq!(
                filled["rubis_app_server"],
                json!({"cpu_cores": 1.5, "mem_units": 3})
            );
            page.press("#ask button.main").await;
            page.shows("#proposal", "The placement costs").await;
            page.picture("light").await;
            page.press("#theme").await;
            page.press("#theme").await;
            page.picture("dark").await;
        })
        .await;

        browse(Screen::Phone, async |page| {
            page.open(&url).await;
            page.shows("#vms", "rubis_app_server").await;
            let overflow =
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(page.script(overflow).await, 0, "nothing sticks out to the side");
            page.picture("phone").await;
        })
        .await;
    });
}
