//! Real agents, each in a network namespace of its own with a real engine: one is killed, one frozen, one cut off and
//! back, one restarted. Prints how long each took.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::daemons::Vm;
use crate::drift::events;
use crate::network;
use crate::patience::Patience;
use crate::process::Daemon;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

/// An agent on a VM, as somebody would start it there.
fn agent(vm: &Vm, zone: &str) -> Daemon {
    let mut command = network::command_in(&vm.name, env!("CARGO_BIN_EXE_mapek"));
    let docker = format!("unix://{}", vm.socket().display());
    command
        .args([
            "agent",
            "--id",
            &vm.name,
            "--refresh-s",
            "1",
            "--cpu-cores",
            "2",
            "--mem-units",
            "4",
        ])
        .args(["--server", &format!("http://{}:8000", network::HOST)])
        .args(["--docker", &docker, "--endpoint", &vm.endpoint()])
        .args(["--label", &format!("zone={zone}")]);
    let log = format!("/run/lab/agent-{}.log", vm.name);
    Daemon::start(
        &format!("agent of {}", vm.name),
        std::path::Path::new(&log),
        &mut command,
    )
}

/// Waits for something, and says how long it took since `from`.
async fn until(service: &Service, what: &str, from: Instant, mut there: impl AsyncFnMut() -> bool) {
    let mut patience = Patience::every(Duration::from_millis(50));
    while !there().await {
        let nodes = service.api.get("/api/nodes").await.body;
        patience
            .wait(|| format!("never {what}; {nodes:#}\n{}", service.daemon.log_end()))
            .await;
    }
    println!("{what}: {:.1} s", from.elapsed().as_secs_f64());
}

async fn standing(service: &Service, node: &str) -> String {
    let node = service.api.get(&format!("/api/nodes/{node}")).await;
    node.body["standing"].as_str().unwrap_or("unknown").to_owned()
}

async fn is_reached(service: &Service) -> bool {
    service.api.get("/api/plan").await.expect(200)["state"] == "reached"
}

async fn newest(service: &Service) -> Vec<String> {
    let listed = service.executions().await;
    let id = listed["executions"][0]["id"].as_str().unwrap().to_owned();
    let execution = service
        .api
        .get(&format!("/api/executions/{id}"))
        .await
        .expect(200);
    let stages = execution["stages"].as_array().unwrap().iter();
    let actions = stages.flat_map(|stage| stage.as_array().unwrap());
    actions
        .map(|action| action["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn count(service: &Service) -> usize {
    service.executions().await["executions"].as_array().unwrap().len()
}

/// The cores that the containers of a VM are pinned to: none is in two of them.
fn no_core_twice(vm: &Vm) {
    let mut taken = Vec::new();
    for name in vm.containers() {
        let seen = vm.inspect(&name).unwrap();
        if seen["State"]["Running"] == json!(true) {
            let cores = seen["HostConfig"]["CpusetCpus"].as_str().unwrap().to_owned();
            assert!(
                !cores.is_empty() && !taken.contains(&cores),
                "{name}: {cores} of {taken:?}"
            );
            taken.push(cores);
        }
    }
}

fn topology() -> Value {
    let tiers = json!({
        "pinned": with(idle(), json!({ "stop_grace_s": 0, "max_node": 1,
            "requires": "node.labels.zone in ['b', 'c'] && node.capabilities.cores >= 1 && !node.capabilities.tpm",
            "prefers": "node.labels.zone == 'b' ? 1 : 0" })),
        "other": with(idle(), json!({ "stop_grace_s": 0, "max_node": 1, "depends_on": ["pinned"],
            "requires": "node.labels.zone == 'a'" })),
    });
    let mut topology = on_hosts(json!({}), tiers);
    topology["infrastructure"]["cloud_driver"] = json!({ "nodes": {} });
    topology["infrastructure"]["self_heal"] = json!({ "grace_s": 1, "backoff_max_s": 2, "lost_after_s": 3 });
    topology
}

#[test]
fn agents_that_are_killed_frozen_cut_off_or_restarted_end_right() {
    in_lab!(3, async |lab| {
        let service = Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1"), ("MAPEK_ENGINE_TIMEOUT_S", "2")]);
        service.put_topology(&topology()).await;
        let begun = Instant::now();
        let [mut a, mut b, mut c] =
            [("vm1", "a"), ("vm2", "b"), ("vm3", "c")].map(|(vm, zone)| agent(lab.vm(vm), zone));
        until(&service, "three agents have registered", begun, async || {
            let nodes = service.api.get("/api/nodes").await.expect(200)["nodes"].clone();
            let nodes = nodes.as_array().unwrap();
            nodes.len() == 3 && nodes.iter().all(|node| node["standing"] == "ready")
        })
        .await;
        let node = service.api.get("/api/nodes/vm2").await.expect(200);
        assert_eq!(
            (&node["source"], &node["ip"]),
            (&json!("nodes"), &json!("10.77.1.2")),
            "{node}"
        );
        assert_eq!(
            (&node["cpu_cores"], &node["mem_units"]),
            (&json!(2), &json!(4)),
            "{node}"
        );
        assert!(
            node["capabilities"]["cpu_model"].is_string() && node["health"]["load_1m"].is_number(),
            "{node}"
        );
        assert!(node["capabilities"]["runtimes"].is_array(), "{node}");

        service
            .execute(&plan(&[("pinned", 1.0, 1), ("other", 1.0, 1)]))
            .await;
        assert_eq!(service.vms_of("rubis_pinned").await, ["vm2"]);
        assert_eq!(service.vms_of("rubis_other").await, ["vm1"]);
        let on = async |vm: &str| {
            service.vms_of("rubis_pinned").await == [vm]
                && lab.vm(vm).containers() == ["rubis_pinned"]
                && is_reached(&service).await
        };

        // Killed: its engine answers, so what is on it moves away in good order.
        let from = Instant::now();
        b.kill();
        until(&service, "killed: silent", from, async || {
            standing(&service, "vm2").await == "silent"
        })
        .await;
        until(&service, "killed: lost", from, async || {
            standing(&service, "vm2").await == "lost"
        })
        .await;
        until(&service, "killed: moved away", from, async || {
            on("vm3").await && lab.vm("vm2").containers().is_empty()
        })
        .await;
        let done = newest(&service).await;
        let at = |what: &str| {
            done.iter()
                .position(|text| text.starts_with(what))
                .unwrap_or_else(|| panic!("{done:?}"))
        };
        assert!(
            at("create container 'rubis_pinned' on vm 'vm3'")
                < at("delete container 'rubis_pinned' from vm 'vm2'")
        );
        assert_eq!(events(&service, "vm_given_up").await, 0);
        let from = Instant::now();
        b = agent(lab.vm("vm2"), "b");
        until(&service, "killed: back", from, async || {
            standing(&service, "vm2").await == "ready"
        })
        .await;

        // Frozen: the same.
        let from = Instant::now();
        c.signal("STOP");
        until(&service, "frozen: moved away", from, async || {
            on("vm2").await && lab.vm("vm3").containers().is_empty()
        })
        .await;
        assert_eq!(standing(&service, "vm3").await, "lost");
        let from = Instant::now();
        c.signal("CONT");
        until(&service, "frozen: back", from, async || {
            standing(&service, "vm3").await == "ready"
        })
        .await;

        // Cut off: nobody can be asked, so it is given up, and what it ran goes on there until it is back.
        let before = count(&service).await;
        let from = Instant::now();
        lab.vm("vm2").unplug();
        until(&service, "cut off: placed anew", from, async || on("vm3").await).await;
        assert_eq!(events(&service, "vm_given_up").await, 1);
        assert_eq!(
            lab.vm("vm2").containers(),
            ["rubis_pinned"],
            "it goes on where nobody can reach it"
        );
        let kept = lab.vm("vm3").inspect("rubis_pinned").unwrap()["Id"].clone();
        let from = Instant::now();
        lab.vm("vm2").plug_in();
        until(
            &service,
            "cut off: back, and what it ran removed",
            from,
            async || lab.vm("vm2").containers().is_empty() && on("vm3").await,
        )
        .await;
        until(&service, "cut off: ready", from, async || {
            standing(&service, "vm2").await == "ready"
        })
        .await;
        assert_eq!(lab.vm("vm3").inspect("rubis_pinned").unwrap()["Id"], kept);
        assert_eq!(count(&service).await, before + 2);

        // Restarted within its lease: nothing happens but a new epoch.
        let epoch = async || {
            service.api.get("/api/nodes/vm3").await.expect(200)["epoch"]
                .as_u64()
                .unwrap()
        };
        let (first, before) = (epoch().await, count(&service).await);
        let from = Instant::now();
        c.kill();
        c = agent(lab.vm("vm3"), "c");
        until(&service, "restarted: known again", from, async || {
            epoch().await > first
        })
        .await;
        crate::drift::look_on(&service, 4).await;
        assert_eq!(standing(&service, "vm3").await, "ready");
        assert_eq!(count(&service).await, before);
        assert_eq!(lab.vm("vm3").inspect("rubis_pinned").unwrap()["Id"], kept);

        // Told to stop: it leaves, and what is on it moves to where it may be.
        let from = Instant::now();
        assert!(c.terminate().success());
        until(&service, "left: moved away and forgotten", from, async || {
            on("vm2").await
                && lab.vm("vm3").containers().is_empty()
                && standing(&service, "vm3").await == "unknown"
        })
        .await;
        assert_eq!(service.vms_of("rubis_other").await, ["vm1"]);
        for vm in &lab.vms {
            no_core_twice(vm);
        }
        for agent in [&mut a, &mut b] {
            assert!(agent.terminate().success());
        }
    });
}
