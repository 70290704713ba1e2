//! Smaller bodies that show the same.

use serde_json::{Map, Value, json};

/// Tries ever smaller bodies for as long as `shows` and there are `tries` left.
pub fn shrink(body: &Value, mut tries: usize, mut shows: impl FnMut(&Value) -> bool) -> Value {
    let mut best = body.clone();
    loop {
        let mut smaller = false;
        let mut at = 0;
        loop {
            // Steps are made anew for each best body: what they name may be gone.
            let Some(candidate) = step(&best, at) else { break };
            at += 1;
            if candidate == best {
                continue;
            }
            if tries == 0 {
                return best;
            }
            tries -= 1;
            if shows(&candidate) {
                best = candidate;
                smaller = true;
                at = at.saturating_sub(1);
            }
        }
        if !smaller {
            return best;
        }
    }
}

/// Names of a body: apps with their tiers, and VMs.
fn tiers(body: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for app in body["topology"]["apps"].as_array().into_iter().flatten() {
        for key in app["tiers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|entry| entry.0)
        {
            all.push((app["name"].as_str().unwrap_or_default().to_owned(), key.clone()));
        }
    }
    all
}

/// The n-th way to make it smaller; `None` after the last.
fn step(body: &Value, at: usize) -> Option<Value> {
    let tiers = tiers(body);
    let vms: Vec<String> = body["allocation"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|vm| vm.0.clone())
        .collect();
    let mut left = at;
    let mut take = |count: usize| {
        let mine = (left < count).then_some(left);
        left = left.wrapping_sub(if mine.is_some() { 0 } else { count });
        mine
    };
    let mut body = body.clone();
    // Halves of the tiers and of the VMs first, then one by one.
    let groups: [usize; 3] = [2, 8, usize::MAX];
    for parts in groups {
        let size = (tiers.len() / parts).max(1);
        let count = if parts != usize::MAX && tiers.len() < parts * 2 {
            0
        } else {
            tiers.len().div_ceil(size)
        };
        if let Some(n) = take(count) {
            tiers
                .iter()
                .skip(n * size)
                .take(size)
                .for_each(|tier| remove_tier(&mut body, tier));
            return Some(body);
        }
        let size = (vms.len() / parts).max(1);
        let count = if parts != usize::MAX && vms.len() < parts * 2 {
            0
        } else {
            vms.len().div_ceil(size)
        };
        if let Some(n) = take(count) {
            for vm in vms.iter().skip(n * size).take(size) {
                body["allocation"].as_object_mut()?.remove(vm);
                if let Some(hosts) = hosts(&mut body)
                    && hosts.len() > 1
                {
                    hosts.remove(vm);
                }
            }
            return Some(body);
        }
    }
    let options = ["exact", "allocation"];
    if let Some(n) = take(options.len()) {
        body.as_object_mut()?.remove(options[n]);
        return Some(body);
    }
    let limits = ["weights", "max_vms", "min_vms", "cpu_mode", "disk_gb", "gpus"];
    if let Some(n) = take(limits.len()) {
        body["topology"]["infrastructure"]
            .as_object_mut()?
            .remove(limits[n]);
        return Some(body);
    }
    let weights: Vec<String> = body["topology"]["infrastructure"]["weights"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|weight| weight.0.clone())
        .collect();
    if let Some(n) = take(weights.len()) {
        body["topology"]["infrastructure"]["weights"]
            .as_object_mut()?
            .remove(&weights[n]);
        return Some(body);
    }
    let parts = [
        "ports",
        "port_bindings",
        "min_node",
        "max_node",
        "max_nodes",
        "depends_on",
        "environment",
        "stop_grace_s",
    ];
    if tiers.len() <= 50 {
        if let Some(n) = take(tiers.len() * parts.len()) {
            let (app, key) = &tiers[n / parts.len()];
            for one in body["topology"]["apps"]
                .as_array_mut()?
                .iter_mut()
                .filter(|one| one["name"] == **app)
            {
                one["tiers"][key].as_object_mut()?.remove(parts[n % parts.len()]);
            }
            return Some(body);
        }
        let used: Vec<(String, String)> = vms
            .iter()
            .flat_map(|vm| {
                let used = body["allocation"][vm]["used"].as_object().into_iter().flatten();
                used.map(|tier| (vm.clone(), tier.0.clone())).collect::<Vec<_>>()
            })
            .collect();
        if let Some(n) = take(used.len()) {
            body["allocation"][&used[n].0]["used"]
                .as_object_mut()?
                .remove(&used[n].1);
            return Some(body);
        }
        let mut amounts = Vec::new();
        numbers(&body, String::new(), &mut amounts);
        if let Some(n) = take(amounts.len() * 3) {
            let (path, number) = &amounts[n / 3];
            let next = match n % 3 {
                0 => 1.0,
                1 => (number / 2.0).floor().max(1.0),
                _ => (number - 1.0).max(1.0),
            };
            *body.pointer_mut(path)? = json!(if next < *number {
                next as i64
            } else {
                return Some(body);
            });
            return Some(body);
        }
    }
    None
}

fn hosts(body: &mut Value) -> Option<&mut Map<String, Value>> {
    body.pointer_mut("/topology/infrastructure/cloud_driver/hosts")?
        .as_object_mut()
}

fn numbers(value: &Value, path: String, found: &mut Vec<(String, f64)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        match value.as_f64() {
            Some(number) if name != "deadline_ms" && number > 1.0 => found.push((path, number)),
            _ => numbers(value, path, found),
        }
    }
}

fn remove_tier(body: &mut Value, (app, key): &(String, String)) {
    let flat = format!("{app}_{key}");
    for one in body["topology"]["apps"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .filter(|one| one["name"] == **app)
    {
        if let Some(tiers) = one["tiers"].as_object_mut() {
            tiers.remove(key);
            for tier in tiers.values_mut().filter_map(Value::as_object_mut) {
                tier.remove("depends_on");
            }
        }
    }
    if let Some(plan) = body["plan"].as_object_mut() {
        plan.remove(&flat);
        if let Some(own) = plan.get_mut(app).and_then(Value::as_object_mut) {
            own.remove(key);
        }
    }
    for vm in body["allocation"].as_object_mut().into_iter().flatten() {
        if let Some(used) = vm.1.get_mut("used").and_then(Value::as_object_mut) {
            used.remove(&flat);
        }
    }
}
