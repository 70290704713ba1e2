//! The independent checker of an answer: rules and prices of the contract's section 5, from the
//! request and the answer alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::question::{Amounts, Kind, Question, plus, size};

/// A placement as an answer shows it.
#[derive(Debug)]
pub struct Placement {
    pub objective: i64,
    pub bound: i64,
    pub proven: bool,
    /// Nothing changes, idle VMs included.
    pub unchanged: bool,
    /// VMs and containers made, removed or resized.
    pub actions: usize,
}

/// Checks an answer of status 200.
pub fn check(question: &Question, answer: &Value) -> Result<Placement, String> {
    let vms = answer["allocation"]
        .as_object()
        .ok_or("the answer has no allocation")?;
    let mut placed: BTreeMap<&str, BTreeMap<usize, Amounts>> = BTreeMap::new();
    let mut made = vec![0usize; question.kinds.len()];
    let tier_of: BTreeMap<&str, usize> = question
        .tiers
        .iter()
        .enumerate()
        .map(|(ix, tier)| (tier.name.as_str(), ix))
        .collect();
    for (name, vm) in vms {
        let mut here = BTreeMap::new();
        let before = question.vms.iter().find(|vm| vm.name == *name);
        for (tier, amount) in vm["used"].as_object().ok_or("a VM has no used")? {
            let Some(&ix) = tier_of.get(tier.as_str()) else {
                return Err(format!("{tier} is not in the plan and is still on {name}"));
            };
            here.insert(ix, size(amount));
        }
        let room = match before {
            Some(vm) => vm.room,
            None => {
                let kind = kind_of(question, name, size(vm))?;
                made[kind] += 1;
                question.kinds[kind].room
            }
        };
        if size(vm) != room {
            return Err(format!("{name} is shown with {:?}, and has {room:?}", size(vm)));
        }
        room_holds(question, name, &here, room)?;
        placed.insert(name, here);
    }
    for (kind, count) in question.kinds.iter().zip(&made) {
        if *count > kind.max {
            return Err(format!("{count} VMs are made of {kind:?}"));
        }
    }
    spread_holds(question, &placed)?;
    rules_hold(question, answer, &placed)?;
    fleet_holds(question, &placed)?;
    figures(question, answer, &placed)
}

/// Which of the kinds a VM is of that is to be made: they differ in size.
fn kind_of(question: &Question, name: &str, room: Amounts) -> Result<usize, String> {
    let named = |kind: &Kind| kind.name.as_ref().is_none_or(|own| own == name);
    let mut kinds = question.kinds.iter();
    kinds
        .position(|kind| kind.room == room && named(kind))
        .ok_or_else(|| format!("{name} is shown with {room:?}, which no VM has that can be made"))
}

fn room_holds(
    question: &Question,
    name: &str,
    here: &BTreeMap<usize, Amounts>,
    room: Amounts,
) -> Result<(), String> {
    let mut sum = [0i64; 4];
    for (&tier, amount) in here {
        let spec = &question.tiers[tier];
        if amount[0] < question.step || amount[0] % question.step != 0 || amount[1] < 1 {
            return Err(format!("{} holds {amount:?} on {name}", spec.name));
        }
        sum = plus(sum, *amount);
        for &other in here.keys().filter(|&&other| other > tier) {
            if !spec.ports.is_empty() && spec.clash(&question.tiers[other]) {
                return Err(format!(
                    "{} and {} publish one port on {name}",
                    spec.name, question.tiers[other].name
                ));
            }
        }
    }
    // A VM whose cores are not whole steps has the whole ones.
    let mut has = room;
    has[0] -= room[0] % question.step;
    if (0..4).any(|r| sum[r] > has[r]) {
        return Err(format!("{name} holds {sum:?} and has {room:?}"));
    }
    Ok(())
}

fn spread_holds(
    question: &Question,
    placed: &BTreeMap<&str, BTreeMap<usize, Amounts>>,
) -> Result<(), String> {
    let mut totals = vec![[0i64; 4]; question.tiers.len()];
    let mut nodes = vec![0usize; question.tiers.len()];
    for (&tier, amount) in placed.values().flatten() {
        totals[tier] = plus(totals[tier], *amount);
        nodes[tier] += 1;
    }
    for (ix, tier) in question.tiers.iter().enumerate() {
        if totals[ix] != tier.demand {
            return Err(format!(
                "{} holds {:?} of {:?}",
                tier.name, totals[ix], tier.demand
            ));
        }
        if nodes[ix] < tier.min || nodes[ix] > tier.max {
            return Err(format!(
                "{} is on {} VMs, outside of {} to {}",
                tier.name, nodes[ix], tier.min, tier.max
            ));
        }
    }
    Ok(())
}

fn rules_hold(
    question: &Question,
    answer: &Value,
    placed: &BTreeMap<&str, BTreeMap<usize, Amounts>>,
) -> Result<(), String> {
    let mut zones = vec![Vec::new(); question.tiers.len()];
    for (name, here) in placed {
        let zone = match question.vms.iter().find(|vm| vm.name == *name) {
            Some(vm) => vm.zone.as_ref(),
            None => {
                let kind = kind_of(question, name, size(&answer["allocation"][*name]))?;
                question.kinds[kind].zone.as_ref()
            }
        };
        here.keys().for_each(|&tier| zones[tier].push(zone));
    }
    for (tier, zones) in zones.iter().enumerate() {
        if !question.may_be(tier, zones) {
            return Err(format!("{:?} is in {zones:?}", question.tiers[tier]));
        }
    }
    Ok(())
}

fn fleet_holds(question: &Question, placed: &BTreeMap<&str, BTreeMap<usize, Amounts>>) -> Result<(), String> {
    let existing: BTreeSet<&str> = question.vms.iter().map(|vm| vm.name.as_str()).collect();
    let used = placed.values().filter(|here| !here.is_empty()).count();
    if used > question.max_vms {
        return Err(format!(
            "{used} VMs are in use, more than max_vms {}",
            question.max_vms
        ));
    }
    if let Some(spare) = &question.spare {
        for name in placed.keys().filter(|name| !existing.contains(*name)) {
            if !spare.iter().any(|one| one == name) {
                return Err(format!("{name} is no VM that could be taken into use"));
            }
        }
    }
    Ok(())
}

fn figures(
    question: &Question,
    answer: &Value,
    placed: &BTreeMap<&str, BTreeMap<usize, Amounts>>,
) -> Result<Placement, String> {
    let w = &question.weights;
    let (mut price, mut idle_kept, mut actions, mut same) = (0i64, Vec::new(), 0usize, true);
    // VMs that hold nothing and go: no plan keeps them.
    let mut released = 0;
    let nothing = BTreeMap::new();
    for vm in &question.vms {
        let now = placed.get(vm.name.as_str());
        let here = now.unwrap_or(&nothing);
        price += if here.is_empty() { w.vm_delete } else { w.vm_use };
        if now.is_none() {
            actions += 1;
            released += usize::from(vm.held.is_empty() && vm.others == 0);
        } else if here.is_empty() {
            idle_kept.push(w.vm_use - w.vm_delete);
        }
        for (&tier, amount) in &vm.held {
            match here.get(&tier) {
                Some(after) => {
                    price += w.set;
                    actions += usize::from(after != amount);
                }
                None => {
                    price += question.removal(tier);
                    actions += 1;
                }
            }
        }
        actions += vm.others;
        let fresh = here.keys().filter(|tier| !vm.held.contains_key(tier)).count();
        price += fresh as i64 * w.create;
        actions += fresh;
        same &= *here == vm.held;
    }
    for (name, here) in placed {
        if question.vms.iter().any(|vm| vm.name == *name) {
            continue;
        }
        same = false;
        actions += 1 + here.len();
        price += here.len() as i64 * w.create;
        let kind = &question.kinds[kind_of(question, name, size(&answer["allocation"][name]))?];
        if here.is_empty() {
            idle_kept.push(kind.price);
        } else {
            price += kind.price;
        }
    }
    let unchanged = same && question.vms.iter().all(|vm| vm.others == 0);
    if !idle_kept.is_empty() && placed.len() > question.min_vms {
        return Err(format!(
            "{} VMs stand idle that min_vms {} does not ask for",
            idle_kept.len(),
            question.min_vms
        ));
    }
    if placed.len() < question.min_vms {
        return Err(format!(
            "{} VMs are left, fewer than min_vms {}",
            placed.len(),
            question.min_vms
        ));
    }
    if question.is_reached() && (actions > released && placed.len() > question.min_vms) {
        return Err(format!(
            "the plan asks for what runs, and {actions} actions are proposed"
        ));
    }
    let figure = |name: &str| {
        let unit = question.unit as f64;
        let figure = answer[name].as_f64().map(|figure| (figure * unit).round() as i64);
        figure.ok_or_else(|| format!("{name} is {}", answer[name]))
    };
    let (objective, bound) = (figure("objective")?, figure("bound")?);
    let with_idle = price + idle_kept.iter().sum::<i64>();
    if objective != price && objective != with_idle {
        return Err(format!("objective is said to be {objective}, and is {price}"));
    }
    if bound > objective {
        return Err(format!("bound {bound} is above the objective {objective}"));
    }
    let proven = answer["proven_optimal"] == true;
    if proven != (bound == objective) {
        return Err(format!(
            "proven_optimal is {proven} with bound {bound} and objective {objective}"
        ));
    }
    let gap = if objective == 0 {
        0.0
    } else {
        (objective - bound) as f64 / objective as f64
    };
    if (answer["gap"].as_f64().unwrap_or(-1.0) - gap).abs() > 1e-9 {
        return Err(format!("gap is {}, and should be {gap}", answer["gap"]));
    }
    if actions == 0 && !answer["actions"].as_array().is_some_and(Vec::is_empty) && !unchanged {
        return Err("actions are listed though nothing changes".to_owned());
    }
    Ok(Placement {
        objective,
        bound,
        proven,
        unchanged,
        actions,
    })
}
