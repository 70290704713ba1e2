//! The same question in other words, and questions whose answers follow from it.

use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::further::NAMES;
use crate::question::{Amounts, Question};

pub struct Variant {
    pub body: Value,
    /// An answer to the first question is one to this with so much added to its objective.
    pub dearer: i64,
    /// The other way round too: an answer to this is one to the first question with as much taken off.
    pub same: bool,
}

/// Variants of a body that has this answer.
pub fn of(
    body: &Value,
    question: &Question,
    answer: &Value,
    dice: &mut Dice,
) -> Vec<(&'static str, Variant)> {
    let mut all = vec![("renamed", renamed(body)), ("permuted", permuted(body, dice))];
    all.extend(scaled(body, question).map(|variant| ("scaled", variant)));
    all.extend(with_useless(body, question).map(|variant| ("another VM", variant)));
    all.extend(without_unused(body, question, answer).map(|variant| ("without an unused VM", variant)));
    all.extend(without_fixed_part(body, question, answer).map(|variant| ("without a fixed part", variant)));
    all
}

/// Other names, in another order.
fn renamed(body: &Value) -> Variant {
    let mut body = body.clone();
    let vm = |name: &str| match name {
        "localhost" => name.to_owned(),
        _ => format!(
            "{}-vm",
            name.chars()
                .rev()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
        ),
    };
    if let Some(vms) = body["allocation"].as_object() {
        let renamed = vms
            .iter()
            .map(|(name, content)| (vm(name), content.clone()))
            .collect::<Map<_, _>>();
        if renamed.len() == vms.len() {
            body["allocation"] = renamed.into();
            let hosts = body.pointer_mut("/topology/infrastructure/cloud_driver/hosts");
            if let Some(hosts) = hosts.and_then(Value::as_object_mut) {
                *hosts = hosts
                    .iter()
                    .map(|(name, host)| (vm(name), host.clone()))
                    .collect();
            }
        }
    }
    Variant {
        body,
        dearer: 0,
        same: true,
    }
}

fn shuffle(value: &mut Value, dice: &mut Dice) {
    if let Some(map) = value.as_object_mut() {
        let mut entries: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
        dice.shuffle(&mut entries);
        map.extend(entries);
    }
}

fn permuted(body: &Value, dice: &mut Dice) -> Variant {
    let mut body = body.clone();
    shuffle(&mut body, dice);
    shuffle(&mut body["plan"], dice);
    if body.get("allocation").is_some() {
        shuffle(&mut body["allocation"], dice);
    }
    if let Some(apps) = body["topology"]["apps"].as_array_mut() {
        dice.shuffle(apps);
        for app in apps {
            shuffle(&mut app["tiers"], dice);
        }
    }
    Variant {
        body,
        dearer: 0,
        same: true,
    }
}

fn double(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        for (name, value) in map {
            match value.as_f64() {
                Some(number) if ["cpu_cores", "mem_units", "disk_gb", "gpus"].contains(&name.as_str()) => {
                    *value = json!(number * 2.0);
                }
                _ => double(value),
            }
        }
    }
}

/// Twice as much of everything: each answer doubled is an answer, and finer ones exist besides.
fn scaled(body: &Value, question: &Question) -> Option<Variant> {
    let small = |amounts: &Amounts| amounts.iter().all(|&amount| amount <= 400_000);
    let sizes = question
        .tiers
        .iter()
        .map(|t| &t.demand)
        .chain(question.vms.iter().map(|vm| &vm.room));
    let rooms = question.kinds.iter().map(|kind| &kind.room);
    if !sizes.chain(rooms).all(small) {
        return None;
    }
    let mut body = body.clone();
    double(&mut body["plan"]);
    double(&mut body["allocation"]);
    let infrastructure = &mut body["topology"]["infrastructure"];
    if infrastructure["shapes"].is_array() {
        for shape in infrastructure["shapes"].as_array_mut()? {
            double(shape);
        }
    } else {
        // What is left out has a default, which is doubled too.
        let cores = infrastructure["cpu_cores"].as_f64().unwrap_or(2.0);
        let mem = infrastructure["mem_units"].as_f64().unwrap_or(8.0);
        infrastructure["cpu_cores"] = json!(cores * 2.0);
        infrastructure["mem_units"] = json!(mem * 2.0);
        for name in NAMES {
            if let Some(amount) = infrastructure[name].as_f64() {
                infrastructure[name] = json!(amount * 2.0);
            }
        }
        if infrastructure["cloud_driver"]["hosts"].is_object() {
            double(&mut infrastructure["cloud_driver"]["hosts"]);
        }
    }
    Some(Variant {
        body,
        dearer: 0,
        same: question.tiers.iter().all(super::question::Tier::pinned),
    })
}

/// One VM more that runs nothing, and need not be used.
fn with_useless(body: &Value, question: &Question) -> Option<Variant> {
    if question.min_vms > 0 {
        return None;
    }
    let mut body = body.clone();
    let vm = json!({ "cpu_cores": 1, "mem_units": 1, "used": {} });
    let vms = body.get_mut("allocation")?.as_object_mut()?;
    vms.insert("useless".to_owned(), vm);
    Some(Variant {
        body,
        dearer: question.weights.vm_delete,
        same: false,
    })
}

/// One VM less that the answer does not use.
fn without_unused(body: &Value, question: &Question, answer: &Value) -> Option<Variant> {
    if question.min_vms > 0 {
        return None;
    }
    let unused = question
        .vms
        .iter()
        .find(|vm| answer["allocation"].get(&vm.name).is_none())?;
    if question.spare.is_some() {
        // A host that runs nothing could be taken into use anew.
        return None;
    }
    let mut body = body.clone();
    body["allocation"].as_object_mut()?.remove(&unused.name);
    let removed: i64 = unused.held.keys().map(|&tier| question.removal(tier)).sum();
    Some(Variant {
        body,
        dearer: -question.weights.vm_delete - removed,
        same: false,
    })
}

/// A VM less, with its tiers, where the answer has those nowhere else.
fn without_fixed_part(body: &Value, question: &Question, answer: &Value) -> Option<Variant> {
    // Of which of several kinds a VM is, the answer says only by its size.
    if question.min_vms > 0 || question.kinds.len() > 1 || question.kinds.iter().any(|kind| !kind.lasting) {
        return None;
    }
    let placed = answer["allocation"].as_object()?;
    let tier_of = |name: &String| question.tiers.iter().position(|tier| tier.name == *name);
    let on = |vm: &Value| -> Vec<usize> {
        let used = vm["used"].as_object().into_iter().flatten();
        used.filter_map(|(name, _)| tier_of(name)).collect()
    };
    let count = |tier: usize| placed.values().filter(|vm| on(vm).contains(&tier)).count();
    let (name, part) = placed.iter().find_map(|(name, vm)| {
        let tiers = on(vm);
        let fixed = !tiers.is_empty() && tiers.iter().all(|&tier| count(tier) == 1);
        (fixed && tiers.len() < question.tiers.len()).then_some((name, tiers))
    })?;
    let mut body = body.clone();
    let infrastructure = &mut body["topology"]["infrastructure"];
    if question.max_vms != usize::MAX {
        if question.max_vms < 2 {
            return None;
        }
        infrastructure["max_vms"] = json!(question.max_vms - 1);
    }
    if question.spare.is_some() {
        let hosts = infrastructure["cloud_driver"]["hosts"].as_object_mut()?;
        hosts.remove(name);
        if hosts.is_empty() {
            return None;
        }
    }
    for &tier in &part {
        let flat = &question.tiers[tier].name;
        let plan = body["plan"].as_object_mut()?;
        plan.remove(flat);
        for (app, tiers) in plan.iter_mut() {
            if let (Some(key), Some(tiers)) = (
                flat.strip_prefix(app.as_str())
                    .and_then(|rest| rest.strip_prefix('_')),
                tiers.as_object_mut(),
            ) {
                tiers.remove(key);
            }
        }
    }
    if let Some(vms) = body.get_mut("allocation").and_then(Value::as_object_mut) {
        vms.remove(name);
    }
    Some(Variant {
        body,
        dearer: -price_of_part(question, name, &part, question.kinds.first()?.price),
        same: true,
    })
}

/// What these tiers on this VM cost, all else that they or the VM hold being removed.
/// One that is made costs `made`.
fn price_of_part(question: &Question, name: &str, part: &[usize], made: i64) -> i64 {
    let w = &question.weights;
    let existing = question.vms.iter().find(|vm| vm.name == name);
    let mut price = existing.map_or(made, |_| w.vm_use);
    for tier in part {
        let kept = existing.is_some_and(|vm| vm.held.contains_key(tier));
        price += if kept { w.set } else { w.create };
    }
    for vm in &question.vms {
        let gone = vm
            .held
            .keys()
            .filter(|tier| (vm.name == name) != part.contains(tier));
        price += gone.map(|&tier| question.removal(tier)).sum::<i64>();
    }
    price
}
