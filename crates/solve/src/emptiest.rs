//! The quickest way to a placement: each tier on the VM with the most room, or on the few with the
//! most. For questions so large that looking at every VM for every tier takes too long.

#![allow(clippy::indexing_slicing)] // slots and items are those of the packing

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::construct;
use super::meter::Meter;
use super::packing::Packing;
use super::problem::Problem;

/// A placement on all VMs that may be used, existing ones first; `None` if this way leads nowhere.
#[must_use]
pub fn place(problem: &Problem, meter: &mut Meter<'_>) -> Option<Packing> {
    let mut packing = Packing::empty(problem);
    let existing = problem.existing.len();
    let mut room: [i64; 2] = problem
        .existing
        .iter()
        .fold([0, 0], |a, c| [a[0] + c[0], a[1] + c[1]]);
    // The kinds of which enough cost least.
    let mut kinds: Vec<usize> = (0..problem.kinds.len()).collect();
    kinds.sort_by_key(|&at| {
        let kind = problem.kinds[at];
        let share = |r: usize| problem.sum[r].saturating_mul(1_000) / kind.capacity[r].max(1);
        (kind.cost.saturating_mul(share(0).max(share(1))), at)
    });
    'kinds: for kind in kinds {
        for _ in 0..problem.kinds[kind].max {
            let most = existing.saturating_add(problem.max_new).min(problem.max_vms);
            if packing.slots.len() >= most || (0..2).all(|r| room[r] >= problem.sum[r]) {
                break 'kinds;
            }
            packing.add_new(problem, kind);
            room = [0, 1].map(|r| room[r] + problem.kinds[kind].capacity[r]);
            if !meter.spend(1) {
                return None;
            }
        }
    }
    let usable = packing.slots.len().min(problem.max_vms);
    let scarce = |packing: &Packing, slot: usize| {
        let free = packing.slots[slot].free;
        (0..2)
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
        let mut free = [0i64; 2];
        let enough = |free: [i64; 2], count: usize| {
            count >= it.min_nodes && free[0] >= it.demand[0] && free[1] >= it.demand[1]
        };
        while !enough(free, slots.len()) && slots.len() < it.max_nodes {
            let boxes = heap.peek().map_or(0, |top| packing.slots[top.1.0].boxes.len());
            if !meter.spend(1 + boxes as u64) {
                return None;
            }
            let top = heap.pop()?;
            let slot = top.1.0;
            let has = packing.slots[slot].free;
            if has[0] < 1 || has[1] < 1 {
                continue;
            }
            aside.push(top);
            let alone = || {
                let domain = |slot: usize| it.rule.domain(packing.slots[slot].origin);
                !it.rule.spreads() || slots.iter().all(|&other| domain(other) != domain(slot))
            };
            if packing.welcomes(problem, slot, item) && alone() {
                free = [free[0] + has[0], free[1] + has[1]];
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
