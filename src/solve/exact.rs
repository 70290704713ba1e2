//! Exact answers for instances small enough: the solver's own tree, else HiGHS.
//!
//! What it says is proven; when it cannot prove anything in the time given it says that.

#![allow(clippy::indexing_slicing)] // slots are those of the packing made here

use std::sync::Arc;

use super::answer::Counters;
use super::bound;
use super::cluster::{self, Cluster, ClusterTier, ClusterVm, MAX_VMS, Reach};
use super::mip::{self, Floor};
use super::neighbourhood;
use super::packing::{Packing, Slot};
use super::problem::Problem;
use super::program;
use super::watch::Watch;

/// What is proven about placements cheaper than the best one known.
#[derive(Debug)]
pub enum Proof {
    /// There are none; without a best one known, the instance has no solution.
    NoneBelow,
    /// This is the cheapest.
    Optimal(Packing),
    /// Cheaper, unproven.
    Better(Packing),
    /// None is below this price.
    Floor(i64),
    /// Nothing proven.
    Open,
}

/// Nodes of each half of the own tree: some three million a second.
const NODES: u64 = 6_000_000;
/// Most binaries (tiers times VMs) for which the whole is given to HiGHS.
const BINARIES: usize = 6_000;

/// Tries the own tree alone; [`Proof::Open`] if the instance is too large for it.
pub fn by_tree(
    problem: &Problem,
    best: Option<i64>,
    nodes: Option<u64>,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Proof {
    let news = bound::most_news(problem, best);
    let slots = problem.existing.len() + news;
    if slots > MAX_VMS {
        return Proof::Open;
    }
    let mut packing = Packing::empty(problem);
    for _ in 0..news {
        packing.add_new(problem);
    }
    let all: Vec<usize> = (0..slots).collect();
    let items: Vec<usize> = (0..problem.items.len()).collect();
    let cluster = whole(problem, &packing);
    let ceiling = best.unwrap_or(i64::MAX / 8);
    let reach = Reach {
        ceiling,
        tie_at: None,
        nodes: nodes.unwrap_or(NODES),
        cut: &|| watch.cut().is_some(),
        half: None,
    };
    let found = cluster::search_by_two(&cluster, reach);
    counters.nodes += found.nodes;
    match (found.best, found.complete) {
        (None, true) => Proof::NoneBelow,
        (None, false) => Proof::Open,
        (Some((_, sets)), complete) => {
            if !neighbourhood::apply(problem, &mut packing, &all, &items, &cluster, &sets) {
                return Proof::Open;
            }
            if complete {
                Proof::Optimal(packing)
            } else {
                Proof::Better(packing)
            }
        }
    }
}

/// The whole instance as one cluster, on the slots of an empty packing.
fn whole(problem: &Problem, packing: &Packing) -> Cluster {
    let tiers: Vec<ClusterTier> = (0..problem.items.len())
        .map(|item| {
            let it = &problem.items[item];
            let price = |slot: &Slot| problem.container_cost(item, slot.origin);
            let cost = packing.slots.iter().map(price).collect();
            ClusterTier {
                demand: it.demand,
                min: it.min_nodes,
                max: it.max_nodes,
                cost,
                conflicts: (0..problem.items.len())
                    .filter(|&o| problem.conflict(item, o))
                    .collect(),
            }
        })
        .collect();
    let mut vms: Vec<ClusterVm> = Vec::new();
    for (at, slot) in packing.slots.iter().enumerate() {
        let capacity = problem.capacity(slot.origin);
        let cost = problem.vm_cost(slot.origin);
        let like = (0..at).find(|&o| {
            vms[o].capacity == capacity
                && vms[o].cost == cost
                && tiers.iter().all(|t| t.cost[o] == t.cost[at])
        });
        let class = like.map_or(Some(at as u32), |o| vms[o].class);
        vms.push(ClusterVm {
            capacity,
            cost,
            class,
        });
    }
    Cluster {
        vms,
        tiers,
        max_used: problem.max_vms,
    }
}

/// Gives the whole to HiGHS, if it is not hopelessly large.
pub fn by_program(
    problem: &Arc<Problem>,
    best: Option<i64>,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Proof {
    let news = bound::most_news(problem, best);
    let slots = problem.existing.len().saturating_add(news);
    if slots.saturating_mul(problem.items.len()) > BINARIES {
        return Proof::Open;
    }
    counters.programs += 1;
    let shared = Arc::clone(problem);
    let seconds = watch.left().as_secs_f64();
    let pending = program::start(seconds, move |seconds, answer| {
        answer(mip::solve(&shared, best, news, seconds))
    });
    let outcome = pending.and_then(|p| p.wait(watch)).unwrap_or_default();
    let floor = match outcome.floor {
        Floor::NothingBelow => return Proof::NoneBelow,
        Floor::At(floor) => Some(floor),
        Floor::Unknown => None,
    };
    let packing = outcome
        .places
        .and_then(|places| packed(problem, &places))
        .filter(|p| best.is_none_or(|b| p.cost < b));
    match (packing, floor) {
        (Some(packing), Some(floor)) if floor >= packing.cost => Proof::Optimal(packing),
        (Some(packing), _) => Proof::Better(packing),
        (None, Some(floor)) => Proof::Floor(floor),
        (None, None) => Proof::Open,
    }
}

/// HiGHS works with tolerances; whole amounts must exist, or its word is not taken.
fn packed(problem: &Problem, places: &[Vec<usize>]) -> Option<Packing> {
    let mut packing = Packing::empty(problem);
    for (slot, items) in places.iter().enumerate() {
        if slot >= problem.existing.len() {
            packing.add_new(problem);
        }
        for &item in items {
            packing.put(problem, slot, item, [0, 0]);
        }
    }
    packing.resettle(problem).then_some(packing)
}
