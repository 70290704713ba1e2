//! Disks and GPUs, drawn for a question that has none yet: what VMs have, hold and are asked for.

use serde_json::{Value, json};

use crate::dice::Dice;

/// The names of the resources that are optional.
pub const NAMES: [&str; 2] = ["disk_gb", "gpus"];

/// Gives some questions disks and GPUs: VMs some, tiers some, what runs some.
pub fn draw(body: &mut Value, dice: &mut Dice) {
    for name in NAMES {
        if !dice.chance(20) {
            continue;
        }
        let room = dice.pick(&[1, 2, 4, 8, 100, 1_000_000]);
        let rare = dice.pick(&[100, 100, 60, 20]);
        give(body, name, room, rare, dice);
        run(body, name, room, dice);
        ask(body, name, room, dice);
    }
}

/// What VMs have that are still to be made or taken into use.
fn give(body: &mut Value, name: &str, room: i64, rare: u32, dice: &mut Dice) {
    let infrastructure = &mut body["topology"]["infrastructure"];
    // Not by index, which would put a null where nothing is.
    if let Some(shapes) = infrastructure.get_mut("shapes").and_then(Value::as_array_mut) {
        for shape in shapes {
            if dice.chance(rare) {
                shape[name] = json!(dice.from(0, room));
            }
        }
        return;
    }
    if dice.chance(80) {
        infrastructure[name] = json!(dice.from(0, room));
    }
    let hosts = infrastructure.pointer_mut("/cloud_driver/hosts");
    if let Some(hosts) = hosts.and_then(Value::as_object_mut) {
        for host in hosts.values_mut() {
            if dice.chance(30) {
                host[name] = json!(dice.from(0, room));
            }
        }
    }
}

/// What VMs have that are in use, and what runs on them holds.
fn run(body: &mut Value, name: &str, room: i64, dice: &mut Dice) {
    let Some(vms) = body.get_mut("allocation").and_then(Value::as_object_mut) else {
        return;
    };
    for vm in vms.values_mut() {
        let has = dice.from(0, room);
        let mut free = has;
        if dice.chance(85) {
            vm[name] = json!(has);
        } else {
            free = 0;
        }
        for held in vm["used"]
            .as_object_mut()
            .into_iter()
            .flat_map(|used| used.values_mut())
        {
            let holds = if dice.chance(50) { dice.from(0, free) } else { 0 };
            if holds > 0 || dice.chance(10) {
                held[name] = json!(holds);
            }
            free -= holds;
        }
        if vm.get("used").is_some_and(Value::is_null) {
            vm.as_object_mut().map(|vm| vm.remove("used"));
        }
    }
}

/// What the plan asks for: often what runs.
fn ask(body: &mut Value, name: &str, room: i64, dice: &mut Dice) {
    let mut totals: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    let vms = body["allocation"]
        .as_object()
        .into_iter()
        .flat_map(|vms| vms.values());
    for (tier, held) in vms.flat_map(|vm| vm["used"].as_object().into_iter().flatten()) {
        *totals.entry(tier.clone()).or_default() += held[name].as_i64().unwrap_or(0);
    }
    let most = dice.pick(&[1, 1, 2, 4]) * room;
    for (key, entry) in body["plan"].as_object_mut().into_iter().flatten() {
        let mut one = |flat: &str, amount: &mut Value| {
            // A tier that is to go asks for nothing.
            if amount["cpu_cores"].as_f64() == Some(0.0) {
                return;
            }
            let now = totals
                .get(flat)
                .copied()
                .filter(|now| (0..=1_000_000).contains(now));
            match now {
                Some(now) if dice.chance(60) => amount[name] = json!(now),
                _ if dice.chance(60) => amount[name] = json!(dice.from(0, most).min(1_000_000)),
                _ => {}
            }
        };
        if entry.get("cpu_cores").is_some_and(Value::is_number) {
            one(key, entry);
        } else if let Some(tiers) = entry.as_object_mut() {
            for (tier, amount) in tiers {
                one(&format!("{key}_{tier}"), amount);
            }
        }
    }
}
