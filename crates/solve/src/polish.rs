//! Among placements of equal cost, one with fewer actions.
//!
//! Small questions are asked as a whole, large ones a few VMs at a time, where something is done to
//! them. Ties after that go to what is found first, and the order of the search is fixed.

#![allow(clippy::indexing_slicing)] // slots and items are those of the packing

use super::answer::Counters;
use super::cluster::{self, Cluster, MAX_VMS, Reach};
use super::exact;
use super::meter::UNLIMITED;
use super::neighbourhood;
use super::packing::Packing;
use super::problem::Problem;
use super::watch::Watch;

/// Nodes and placements looked at for the whole of a small question.
const WHOLE: (u64, usize) = (10_000, 128);
/// The same for a few VMs.
const PART: (u64, usize) = (500, 24);
/// Most VMs of a part: an odd one, and those it shares tiers with.
const PART_VMS: usize = 4;
/// Most parts looked at: some tenths of a second's work.
const PARTS: usize = 2_000;

/// The same price, or less, with no more actions.
#[must_use]
pub fn fewer_actions(
    problem: &Problem,
    packing: Packing,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Packing {
    let slots: Vec<usize> = (0..packing.slots.len())
        .filter(|&s| packing.slots[s].origin.is_some() || !packing.slots[s].boxes.is_empty())
        .collect();
    if watch.cut().is_some() || problem.existing.is_empty() {
        return packing;
    }
    let boxes: usize = packing.slots.iter().map(|s| s.boxes.len()).sum();
    if slots.len() <= MAX_VMS && boxes <= 64 {
        return by_whole(problem, packing, &slots, watch, counters);
    }
    by_parts(problem, packing, watch, counters)
}

fn by_whole(
    problem: &Problem,
    packing: Packing,
    slots: &[usize],
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Packing {
    let mut empty = packing.clone();
    for &slot in slots {
        empty.clear(problem, slot);
    }
    let Some(cluster) = exact::whole(problem, &empty, slots, watch) else {
        return packing;
    };
    let items: Vec<usize> = (0..problem.items.len()).collect();
    let at = packing.cost;
    better(
        problem,
        packing,
        slots,
        &items,
        &cluster,
        (at, WHOLE),
        watch,
        counters,
    )
}

fn by_parts(problem: &Problem, mut packing: Packing, watch: &Watch<'_>, counters: &mut Counters) -> Packing {
    let mut done = 0;
    for slot in 0..packing.slots.len() {
        if done >= PARTS || watch.cut().is_some() {
            break;
        }
        if packing.actions_on(problem, slot) == 0 {
            continue;
        }
        done += 1;
        let mut slots = vec![slot];
        let held = packing.slots[slot].origin.map_or(&[][..], |v| &problem.held[v]);
        let here = packing.slots[slot].boxes.iter().chain(held).map(|b| b.0);
        for item in here {
            for &other in packing.nodes[item].iter().chain(&problem.items[item].held_on) {
                if slots.len() < PART_VMS && !slots.contains(&other) {
                    slots.push(other);
                }
            }
        }
        let slots = neighbourhood::manageable(&packing, &slots).to_vec();
        if slots.len() < 2 {
            continue;
        }
        let (items, cluster) = neighbourhood::question(problem, &packing, &slots);
        let here: i64 = slots.iter().map(|&s| packing.slot_cost(problem, s)).sum();
        let at = here + packing.idle_price(problem);
        packing = better(
            problem,
            packing,
            &slots,
            &items,
            &cluster,
            (at, PART),
            watch,
            counters,
        );
    }
    packing
}

/// The best of the placements that cost no more.
#[allow(clippy::too_many_arguments)] // a step of the two above, with what they know
fn better(
    problem: &Problem,
    packing: Packing,
    slots: &[usize],
    items: &[usize],
    cluster: &Cluster,
    (price, (nodes, ties)): (i64, (u64, usize)),
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Packing {
    let reach = Reach {
        ceiling: price,
        tie_at: Some(price),
        ties,
        nodes,
        watch: *watch,
        half: None,
    };
    let found = cluster::search(cluster, reach);
    counters.nodes += found.nodes;
    let mut best = packing;
    let key = |p: &Packing| {
        let actions: usize = slots.iter().map(|&s| p.actions_on(problem, s)).sum();
        (p.cost, actions)
    };
    let mut meter = watch.meter(UNLIMITED);
    let cheaper = found.best.map(|b| b.1);
    for sets in cheaper.into_iter().chain(found.ties) {
        let mut other = best.clone();
        if neighbourhood::apply(problem, &mut other, slots, items, cluster, &sets, &mut meter)
            && key(&other) < key(&best)
        {
            best = other;
        }
    }
    best
}
