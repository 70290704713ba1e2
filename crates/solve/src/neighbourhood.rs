//! One step of the improvement: a few VMs are emptied and filled again at the least price.
//!
//! The step is exact within its node limit ([`super::cluster`]). An equally cheap placement is
//! accepted, too, so that the search moves on; a more expensive one never is.

#![allow(clippy::indexing_slicing)] // slots and items are those of the packing

use super::cluster::{self, Cluster, ClusterTier, ClusterVm, Reach, Set};
use super::meter::{Meter, UNLIMITED};
use super::packing::Packing;
use super::problem::Problem;
use super::resources::{Amounts, plus};
use super::watch::Watch;

/// What a step did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step {
    /// Nodes visited.
    pub nodes: u64,
}

/// The question of placing again everything that is on `slots`.
#[must_use]
pub fn question(problem: &Problem, packing: &Packing, slots: &[usize]) -> (Vec<usize>, Cluster) {
    let mut items: Vec<usize> = Vec::new();
    let mut demands: Vec<Amounts> = Vec::new();
    let mut inside: Vec<usize> = Vec::new();
    for &slot in slots {
        for &(item, amount) in &packing.slots[slot].boxes {
            if let Some(at) = items.iter().position(|&i| i == item) {
                demands[at] = plus(demands[at], amount);
                inside[at] += 1;
            } else {
                items.push(item);
                demands.push(amount);
                inside.push(1);
            }
        }
    }
    let tiers = items
        .iter()
        .enumerate()
        .map(|(at, &item)| {
            let it = &problem.items[item];
            let outside = packing.nodes[item].len() - inside[at];
            let price = |&slot: &usize| problem.container_cost(item, packing.slots[slot].origin);
            let cost = slots.iter().map(price).collect();
            ClusterTier {
                demand: demands[at],
                min: it.min_nodes.saturating_sub(outside).max(1),
                max: it.max_nodes.saturating_sub(outside),
                cost,
                may: may(problem, packing, slots, item, |slot| !slots.contains(&slot)),
                apart: apart(problem, packing, slots, item),
                conflicts: problem.conflicting(&items, at),
                now: now(problem, packing, slots, item),
            }
        })
        .collect::<Vec<_>>();
    let cluster = cluster(problem, packing, slots, tiers);
    (items, cluster)
}

/// The question of placing `tiers` on `slots`.
#[must_use]
pub fn cluster(problem: &Problem, packing: &Packing, slots: &[usize], tiers: Vec<ClusterTier>) -> Cluster {
    let mut outside = [packing.used - packing.used_fresh, packing.used_fresh];
    let mut standing = 0;
    let mut new = 0;
    let mut used_new = 0;
    for (at, &slot) in slots.iter().enumerate() {
        let slot = &packing.slots[slot];
        let fresh = problem.is_fresh(slot.origin);
        outside[usize::from(fresh)] -= usize::from(!slot.boxes.is_empty());
        if !fresh {
            standing |= 1 << at;
        }
        if slot.origin.existing().is_none() {
            new |= 1 << at;
            used_new += usize::from(!slot.boxes.is_empty());
        }
    }
    Cluster {
        vms: classify(problem, packing, slots, &tiers),
        tiers,
        max_used: problem.max_vms.saturating_sub(outside[0] + outside[1]),
        standing,
        new,
        max_new: problem.max_new.saturating_sub(packing.used_new - used_new),
        idle: problem.idle,
        outside,
        resize_cost: problem.resize_cost,
    }
}

/// What each of `slots` holds of a tier now.
#[must_use]
pub fn now(problem: &Problem, packing: &Packing, slots: &[usize], item: usize) -> Vec<Amounts> {
    let held = |&slot: &usize| {
        let held = problem.held_by(packing.slots[slot].origin);
        let at = held.binary_search_by_key(&item, |h| h.0).ok()?;
        Some(held[at].1)
    };
    slots.iter().map(|slot| held(slot).unwrap_or_default()).collect()
}

/// Which of `slots` a tier may be on, next to its containers on slots that are `outside`.
pub fn may(
    problem: &Problem,
    packing: &Packing,
    slots: &[usize],
    item: usize,
    outside: impl Fn(usize) -> bool,
) -> Set {
    let mut may = 0;
    for (at, &slot) in slots.iter().enumerate() {
        let vm = packing.slots[slot].origin;
        if problem.allows(item, vm) && !packing.in_domain(problem, item, vm, &outside) {
            may |= 1 << at;
        }
    }
    may
}

/// For each of `slots`, the others in the same failure domain; empty if there are none.
#[must_use]
pub fn apart(problem: &Problem, packing: &Packing, slots: &[usize], item: usize) -> Vec<Set> {
    let rule = &problem.items[item].rule;
    if !rule.spreads() {
        return Vec::new();
    }
    let domain = |slot: usize| rule.domain(packing.slots[slot].origin);
    let others = |at: usize| {
        let same = |other: usize| other != at && domain(slots[other]) == domain(slots[at]);
        (0..slots.len())
            .filter(|&other| same(other))
            .fold(0, |set, other| set | 1 << other)
    };
    (0..slots.len()).map(others).collect()
}

/// VMs of the same size and price, on which every container costs the same, are interchangeable; if
/// resizing costs something, only if they also hold the same.
fn classify(problem: &Problem, packing: &Packing, slots: &[usize], tiers: &[ClusterTier]) -> Vec<ClusterVm> {
    let mut vms: Vec<ClusterVm> = Vec::with_capacity(slots.len());
    for (at, &slot) in slots.iter().enumerate() {
        let origin = packing.slots[slot].origin;
        let capacity = problem.capacity(origin);
        let cost = problem.vm_cost(origin);
        let like = (0..at).find(|&o| {
            vms[o].capacity == capacity
                && vms[o].cost == cost
                && problem.is_fresh(packing.slots[slots[o]].origin) == problem.is_fresh(origin)
                && tiers.iter().all(|t| t.cost[o] == t.cost[at] && t.alike(o, at))
                && (problem.resize_cost == 0 || tiers.iter().all(|t| t.now[o] == t.now[at]))
        });
        let class = like.map_or(Some(at as u32), |o| vms[o].class);
        vms.push(ClusterVm {
            capacity,
            cost,
            class,
        });
    }
    vms
}

/// Most containers in one neighbourhood. With more than that, a step uses up its nodes before it
/// finds a first placement.
const MOST_BOXES: usize = 256;

/// The first of `slots` that together hold no more than can be looked at.
#[must_use]
pub fn manageable<'a>(packing: &Packing, slots: &'a [usize]) -> &'a [usize] {
    let mut boxes = 0;
    let many = slots.iter().position(|&slot| {
        boxes += packing.slots[slot].boxes.len();
        boxes > MOST_BOXES
    });
    slots.get(..many.unwrap_or(slots.len())).unwrap_or(slots)
}

/// Refills `slots` (each once, at most [`cluster::MAX_VMS`]); an equally cheap placement is taken when
/// no cheaper one is found.
pub fn refill(
    problem: &Problem,
    packing: &mut Packing,
    slots: &[usize],
    node_limit: u64,
    watch: &Watch<'_>,
) -> Step {
    let slots = manageable(packing, slots);
    if slots.len() < 2 {
        return Step::default();
    }
    let here: i64 = slots.iter().map(|&s| packing.slot_cost(problem, s)).sum();
    let now = here + packing.idle_price(problem);
    let (items, cluster) = question(problem, packing, slots);
    let reach = Reach {
        ceiling: now,
        tie_at: Some(now),
        ties: 1,
        nodes: node_limit,
        watch: *watch,
        half: None,
    };
    let found = cluster::search(&cluster, reach);
    let sets = found.best.map(|b| b.1).or_else(|| found.ties.into_iter().next());
    if let Some(sets) = sets {
        let mut meter = watch.grace().meter(UNLIMITED);
        apply(problem, packing, slots, &items, &cluster, &sets, &mut meter);
    }
    Step { nodes: found.nodes }
}

/// Puts the tiers of `cluster` where `sets` says. Returns false, and does nothing, if no amounts
/// exist.
pub fn apply(
    problem: &Problem,
    packing: &mut Packing,
    slots: &[usize],
    items: &[usize],
    cluster: &Cluster,
    sets: &[Set],
    meter: &mut Meter<'_>,
) -> bool {
    let places = cluster.places(sets);
    let Some(amounts) = cluster.amounts(&places, meter) else {
        return false;
    };
    for &slot in slots {
        packing.clear(problem, slot);
    }
    for (place, amount) in places.iter().zip(amounts) {
        packing.put(problem, slots[place.vm], items[place.tier], amount);
    }
    true
}
