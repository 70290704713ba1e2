//! How many app servers were down at the same moment, by the engines' own events.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::daemons::Vm;

/// The label of every app server, whoever made it.
pub const LABEL: &str = "bench.app";

/// The most nodes on which no app server ran, at any moment since then.
pub fn most_down(nodes: &[Vm], since: jiff::Timestamp) -> usize {
    let until = jiff::Timestamp::now();
    let at = |time: jiff::Timestamp| format!("{}.{:09}", time.as_second(), time.subsec_nanosecond());
    let mut changes: Vec<(u64, usize, bool, String)> = Vec::new();
    let mut running: Vec<BTreeSet<String>> = Vec::new();
    for (node, vm) in nodes.iter().enumerate() {
        let said = vm.docker(&[
            "events",
            "--since",
            &at(since),
            "--until",
            &at(until),
            "--filter",
            "type=container",
            "--filter",
            &format!("label={LABEL}"),
            "--format",
            "{{json .}}",
        ]);
        // What runs now, and back from there.
        let now = vm.docker(&["ps", "-q", "--no-trunc", "--filter", &format!("label={LABEL}")]);
        let mut there: BTreeSet<String> = now.lines().map(str::to_owned).collect();
        let mut own = Vec::new();
        for line in said.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let id = event["id"].as_str().unwrap().to_owned();
            match event["status"].as_str().unwrap() {
                "start" => own.push((event["timeNano"].as_u64().unwrap(), node, true, id)),
                "die" => own.push((event["timeNano"].as_u64().unwrap(), node, false, id)),
                _ => {}
            }
        }
        for (_, _, started, id) in own.iter().rev() {
            if *started {
                there.remove(id);
            } else {
                there.insert(id.clone());
            }
        }
        running.push(there);
        changes.extend(own);
    }
    changes.sort();
    let mut most = 0;
    for (_, node, started, id) in changes {
        if started {
            running[node].insert(id);
        } else {
            running[node].remove(&id);
        }
        most = most.max(running.iter().filter(|there| there.is_empty()).count());
    }
    most
}
