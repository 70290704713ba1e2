//! The quickest way to a placement: each tier on the VM with the most room, or on the few with the
//! most. For questions so large that looking at every VM for every tier would take too long.

#![allow(clippy::indexing_slicing)] // slots and items are those of the packing

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::construct;
use super::meter::Meter;
use super::packing::Packing;
use super::problem::Problem;
use super::resources::{Amounts, LEAST, NOTHING, RESOURCES, plus, sum, within};

/// A placement on all VMs that may be used, existing ones first; `None` if this way leads nowhere.
#[must_use]
pub fn place(problem: &Problem, meter: &mut Meter<'_>) -> Option<Packing> {
    let mut packing = Packing::empty(problem);
    let existing = problem.existing.len();
    let mut room = sum(problem.existing.iter().copied());
    // The kinds of which enough are cheapest.
    let mut kinds: Vec<usize> = (0..problem.kinds.len()).collect();
    kinds.sort_by_key(|&at| {
        let kind = problem.kinds[at];
        let shares = problem
            .asked
            .iter()
            .map(|&r| problem.sum[r].saturating_mul(1_000) / kind.capacity[r].max(1));
        (kind.cost.saturating_mul(shares.max().unwrap_or(0)), at)
    });
    'kinds: for kind in kinds {
        for _ in 0..problem.kinds[kind].max {
            let most = existing.saturating_add(problem.max_new).min(problem.max_vms);
            if packing.slots.len() >= most || within(problem.sum, room) {
                break 'kinds;
            }
            let lacking = |r: usize| room[r] < problem.sum[r];
            if (0..RESOURCES).all(|r| !lacking(r) || problem.kinds[kind].capacity[r] == 0) {
                continue 'kinds;
            }
            packing.add_new(problem, kind);
            room = plus(room, problem.kinds[kind].capacity);
            if !meter.spend(1) {
                return None;
            }
        }
    }
    let usable = packing.slots.len().min(problem.max_vms);
    let scarce = |packing: &Packing, slot: usize| {
        let free = packing.slots[slot].free;
        // Counting what every container has: few VMs may have any of the rest.
        (0..RESOURCES)
            .filter(|&r| LEAST[r] > 0)
            .map(|r| free[r].saturating_mul(10_000) / (problem.sum[r]).max(1))
            .min()
            .unwrap_or(0)
    };
    let mut heap: BinaryHeap<(i64, Reverse<usize>)> = (0..usable)
        .map(|slot| (scarce(&packing, slot), Reverse(slot)))
        .collect();
    for item in construct::by_size(problem) {
        let it = &problem.items[item];
        let mut slots: Vec<usize> = Vec::new();
        let mut aside = Vec::new();
        let mut free = NOTHING;
        let enough = |free: Amounts, count: usize| count >= it.min_nodes && within(it.demand, free);
        while !enough(free, slots.len()) && slots.len() < it.max_nodes {
            let boxes = heap.peek().map_or(0, |top| packing.slots[top.1.0].boxes.len());
            if !meter.spend(1 + boxes as u64) {
                return None;
            }
            let top = heap.pop()?;
            let slot = top.1.0;
            let has = packing.slots[slot].free;
            if !within(LEAST, has) {
                continue;
            }
            aside.push(top);
            let alone = || {
                let domain = |slot: usize| it.rule.domain(packing.slots[slot].origin);
                !it.rule.spreads() || slots.iter().all(|&other| domain(other) != domain(slot))
            };
            // Of what few VMs have, each is to have some.
            let has_all = (0..RESOURCES).all(|r| it.demand[r] == 0 || has[r] > 0);
            if has_all && packing.welcomes(problem, slot, item) && alone() {
                free = plus(free, has);
                slots.push(slot);
            }
        }
        if !enough(free, slots.len()) {
            return None;
        }
        construct::pour(problem, &mut packing, item, &slots, true);
        for (_, Reverse(slot)) in aside {
            heap.push((scarce(&packing, slot), Reverse(slot)));
        }
    }
    Some(packing)
}
