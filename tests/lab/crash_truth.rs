//! What the engines really run, read from their own API, compared with what the service says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemons::{Lab, Vm};
use crate::http::get;
use crate::patience::Patience;
use crate::service::Service;

/// The memory unit of the lab's topologies, in bytes.
const UNIT: u64 = 64 << 20;

/// A container, by VM and name.
type Place = (String, String);

/// Every container of every VM, whoever made it and whether it runs or not, by VM and name:
/// everything that must be the same after a crash. What may differ, such as ids, is left out.
pub async fn containers(lab: &Lab) -> BTreeMap<Place, Value> {
    let mut all = BTreeMap::new();
    for vm in &lab.vms {
        for seen in of(vm).await {
            let limits = &seen["HostConfig"];
            let shown = json!({
                "running": seen["State"]["Running"],
                "restarts": seen["RestartCount"],
                "image": seen["Config"]["Image"],
                "command": seen["Config"]["Cmd"],
                "labels": seen["Config"]["Labels"],
                "cores": limits["CpusetCpus"],
                "nano_cpus": limits["NanoCpus"],
                "memory": limits["Memory"],
                "memory_and_swap": limits["MemorySwap"],
                "binds": limits["Binds"],
            });
            all.insert((vm.name.clone(), name(&seen)), shown);
        }
    }
    all
}

/// Id and time of start of the one container of that name, with its VM.
pub async fn identity(lab: &Lab, container: &str) -> Value {
    let mut found = Vec::new();
    for vm in &lab.vms {
        let all = of(vm).await.into_iter().filter(|seen| name(seen) == container);
        found.extend(all.map(|seen| json!([vm.name, seen["Id"], seen["State"]["StartedAt"]])));
    }
    assert_eq!(found.len(), 1, "{container}: {found:#?}");
    found.remove(0)
}

async fn of(vm: &Vm) -> Vec<Value> {
    let at = |path: &str| format!("http://{}:2375{path}", vm.ip);
    let (status, body) = get(&at("/containers/json?all=true")).await;
    assert_eq!(status, 200, "{}: {body}", vm.name);
    let listed: Vec<Value> = serde_json::from_str(&body).unwrap();
    let mut seen = Vec::new();
    for one in listed {
        let id = one["Id"].as_str().unwrap();
        let (status, body) = get(&at(&format!("/containers/{id}/json"))).await;
        // It may have gone since.
        if status != 404 {
            assert_eq!(status, 200, "{}: {body}", vm.name);
            seen.push(serde_json::from_str(&body).unwrap());
        }
    }
    seen
}

fn name(seen: &Value) -> String {
    seen["Name"].as_str().unwrap().trim_start_matches('/').to_owned()
}

/// What each container holds, in the terms of the allocation; None if it does not run.
async fn held(lab: &Lab) -> BTreeMap<Place, Option<(f64, u64)>> {
    let mut all = BTreeMap::new();
    for (place, seen) in containers(lab).await {
        let cores = match seen["cores"].as_str().unwrap() {
            "" => hundredths(&seen["nano_cpus"]),
            pinned => count(pinned),
        };
        let size = (cores, seen["memory"].as_u64().unwrap() / UNIT);
        all.insert(place, (seen["running"] == true).then_some(size));
    }
    all
}

fn hundredths(nanos: &Value) -> f64 {
    (nanos.as_f64().unwrap() / 1e7).round() / 100.0
}

/// How many cores a set such as `0-1,3` has.
fn count(set: &str) -> f64 {
    let number = |text: &str| text.parse::<f64>().unwrap();
    let of_range = |range: &str| match range.split_once('-') {
        Some((first, last)) => number(last) - number(first) + 1.0,
        None => 1.0,
    };
    set.split(',').map(of_range).sum()
}

/// What the allocation says that each container holds.
fn said(allocation: &Value) -> BTreeMap<Place, Option<(f64, u64)>> {
    let mut all = BTreeMap::new();
    for (vm, entry) in allocation.as_object().unwrap() {
        for (tier, size) in entry["used"].as_object().unwrap() {
            let size = (
                size["cpu_cores"].as_f64().unwrap(),
                size["mem_units"].as_u64().unwrap(),
            );
            all.insert((vm.clone(), tier.clone()), Some(size));
        }
    }
    all
}

/// Every action of an execution's answer, those of the way back last.
pub fn actions(details: &Value) -> impl Iterator<Item = &Value> {
    ["stages", "rollback_stages"]
        .into_iter()
        .filter_map(|key| details[key].as_array())
        .flatten()
        .flat_map(|stage| stage.as_array().unwrap())
}

/// The containers that the execution's running actions concern.
fn in_the_air(details: &Value) -> BTreeSet<Place> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    actions(details)
        .filter(|entry| entry["state"] == "running")
        .map(|entry| (text(&entry["action"]["vm"]), text(&entry["action"]["container"])))
        .collect()
}

async fn details(service: &Service, id: &str) -> Value {
    service
        .api
        .get(&format!("/api/executions/{id}"))
        .await
        .expect(200)
}

/// The id of the newest execution; None if there is none yet.
pub async fn newest(service: &Service) -> Option<String> {
    let executions = service.executions().await;
    Some(executions["executions"][0]["id"].as_str()?.to_owned())
}

/// Looks once: what no running action concerns is on the engines as the allocation says.
async fn look(lab: &Lab, service: &Service, id: &str, what: &str) -> Value {
    let before = details(service, id).await;
    let allocation = service.allocation().await;
    let (said, there) = (said(&allocation), held(lab).await);
    let after = details(service, id).await;
    let mut open = in_the_air(&before);
    open.extend(in_the_air(&after));
    // What ended in between may have been seen before or after its end.
    let states = |details: &Value| -> Vec<Value> {
        actions(details)
            .map(|entry| json!([entry["state"], entry["attempts"]]))
            .collect()
    };
    let (old, new) = (states(&before), states(&after));
    for (entry, (old, new)) in
        actions(&after).zip(old.iter().chain(std::iter::repeat(&Value::Null)).zip(&new))
    {
        if old != new {
            let text = |key: &str| entry["action"][key].as_str().unwrap_or_default().to_owned();
            open.insert((text("vm"), text("container")));
        }
    }
    let places: BTreeSet<&Place> = said.keys().chain(there.keys()).collect();
    for place in places.into_iter().filter(|place| !open.contains(*place)) {
        assert_eq!(
            said.get(place),
            there.get(place),
            "{what}: the allocation (left) is not true of {place:?}: {allocation:#}\n{after:#}"
        );
    }
    after
}

/// Looks again and again until the execution has ended; returns its record. The allocation must be
/// true at each moment.
pub async fn watch_to_the_end(lab: &Lab, service: &Service, id: &str, what: &str) -> Value {
    let mut patience = Patience::every(Duration::from_millis(5));
    loop {
        let seen = look(lab, service, id, what).await;
        if seen["state"] != "running" {
            return seen;
        }
        patience
            .wait(|| format!("{what}: not ended\n{seen:#}\n{}", service.daemon.log_end()))
            .await;
    }
}

/// Now that nothing is under way: the engines run what the allocation says, and nothing else.
pub async fn at_rest(lab: &Lab, service: &Service, what: &str) {
    let allocation = service.allocation().await;
    assert_eq!(
        said(&allocation),
        held(lab).await,
        "{what}: the allocation (left) is not what runs"
    );
}
