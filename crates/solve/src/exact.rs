//! Exact answers for instances that are small enough: by the solver's own tree, else by HiGHS.
//!
//! What it says is proven. If it can prove nothing in the given time, it says so.

#![allow(clippy::indexing_slicing)] // slots are those of the packing made here

use std::sync::Arc;

use super::answer::Counters;
use super::bound;
use super::cluster::{self, Cluster, ClusterTier, MAX_VMS, Reach};
use super::meter::UNLIMITED;
use super::mip::{self, Floor, Outcome};
use super::neighbourhood;
use super::packing::Packing;
use super::problem::Problem;
use super::program::{self, Pending};
use super::resources::NOTHING;
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
    /// None is below this price, and HiGHS's own number.
    Floor {
        /// The price.
        floor: i64,
        /// The same before it was rounded up.
        raw: f64,
    },
    /// Nothing proven.
    Open,
}

/// Nodes of each half of the own tree: some three million a second.
pub const NODES: u64 = 6_000_000;
/// Most binaries (tiers times VMs) for which the whole is given to HiGHS.
pub const BINARIES: usize = 6_000;

/// Tries only our own tree; [`Proof::Open`] if the instance is too large for it. Also returns the
/// numbers of new VMs that it looked at, by kind.
pub fn by_tree(
    problem: &Problem,
    best: Option<i64>,
    nodes: Option<u64>,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> (Proof, Vec<usize>) {
    let news = bound::most_news(problem, best);
    let nodes = nodes.unwrap_or(NODES);
    let proof = walk(problem, best, &news, nodes, watch, counters);
    (proof, news)
}

/// The same with up to this many new VMs of each kind, and nodes.
pub fn walk(
    problem: &Problem,
    best: Option<i64>,
    news: &[usize],
    nodes: u64,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Proof {
    let slots = slots(problem, news);
    if slots > MAX_VMS {
        return Proof::Open;
    }
    let mut packing = Packing::empty(problem);
    for kind in each(news) {
        packing.add_new(problem, kind);
    }
    let all: Vec<usize> = (0..slots).collect();
    let items: Vec<usize> = (0..problem.items.len()).collect();
    let Some(cluster) = whole(problem, &packing, &all, watch) else {
        return Proof::Open;
    };
    let reach = Reach {
        ceiling: best.unwrap_or(i64::MAX / 8),
        tie_at: None,
        ties: 0,
        nodes,
        watch: *watch,
        half: None,
    };
    let found = cluster::search_by_two(&cluster, reach);
    counters.nodes += found.nodes;
    match (found.best, found.complete) {
        (None, true) => Proof::NoneBelow,
        (None, false) => Proof::Open,
        (Some((_, sets)), complete) => {
            let mut meter = watch.grace().meter(UNLIMITED);
            if !neighbourhood::apply(problem, &mut packing, &all, &items, &cluster, &sets, &mut meter) {
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

/// The kind of each of this many new VMs, in order.
pub fn each(news: &[usize]) -> impl Iterator<Item = usize> + '_ {
    let kinds = news.iter().enumerate();
    kinds.flat_map(|(kind, &count)| std::iter::repeat_n(kind, count))
}

/// Existing VMs and this many new ones.
#[must_use]
pub fn slots(problem: &Problem, news: &[usize]) -> usize {
    news.iter()
        .fold(problem.existing.len(), |sum, &n| sum.saturating_add(n))
}

/// The whole instance as one cluster, on the slots of an empty packing. `None` if time is up first.
fn whole(problem: &Problem, packing: &Packing, slots: &[usize], watch: &Watch<'_>) -> Option<Cluster> {
    let mut meter = watch.meter(UNLIMITED);
    let items: Vec<usize> = (0..problem.items.len()).collect();
    let mut tiers = Vec::with_capacity(items.len());
    for (item, it) in problem.items.iter().enumerate() {
        let pairs = if it.port.is_some() { items.len() } else { 0 };
        if !meter.spend((slots.len() * slots.len() + pairs) as u64) {
            return None;
        }
        let price = |&slot: &usize| problem.container_cost(item, packing.slots[slot].origin);
        tiers.push(ClusterTier {
            demand: it.demand,
            min: it.min_nodes,
            max: it.max_nodes,
            cost: slots.iter().map(price).collect(),
            may: neighbourhood::may(problem, packing, slots, item, |_| false),
            apart: neighbourhood::apart(problem, packing, slots, item),
            conflicts: problem.conflicting(&items, item),
            now: neighbourhood::now(problem, packing, slots, item),
        });
    }
    Some(neighbourhood::cluster(problem, packing, slots, tiers))
}

/// Gives the whole to HiGHS, unless it is hopelessly large. Also returns the numbers of new VMs
/// that it looked at, by kind.
pub fn by_program(
    problem: &Arc<Problem>,
    best: Option<i64>,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> (Proof, Vec<usize>) {
    let seconds = watch.left().as_secs_f64();
    let Some((pending, news)) = whole_program(problem, best, BINARIES, seconds) else {
        return (Proof::Open, Vec::new());
    };
    counters.programs += 1;
    let outcome = pending.wait(watch).unwrap_or_default();
    (read(problem, best, outcome, &news, watch), news)
}

/// Starts HiGHS on the whole, if it has at most this many binaries. Also returns the numbers of new
/// VMs that it looks at, by kind.
pub fn whole_program(
    problem: &Arc<Problem>,
    best: Option<i64>,
    binaries: usize,
    seconds: f64,
) -> Option<(Pending<Outcome>, Vec<usize>)> {
    let news = bound::most_news(problem, best);
    if slots(problem, &news).saturating_mul(problem.items.len()) > binaries {
        return None;
    }
    let shared = Arc::clone(problem);
    let looked_at = news.clone();
    let pending = program::start(seconds, move |desk| {
        desk.answer(mip::solve(&shared, best, None, &looked_at, desk.seconds));
    })?;
    Some((pending, news))
}

/// What HiGHS's outcome proves.
pub fn read(
    problem: &Problem,
    best: Option<i64>,
    outcome: Outcome,
    news: &[usize],
    watch: &Watch<'_>,
) -> Proof {
    let floor = match outcome.floor {
        Floor::NothingBelow => return Proof::NoneBelow,
        Floor::At { floor, raw } => Some((floor, raw)),
        Floor::Unknown => None,
    };
    let packing = outcome
        .places
        .and_then(|places| packed(problem, &places, news, watch))
        .filter(|p| best.is_none_or(|b| p.cost < b));
    match (packing, floor) {
        (Some(packing), Some((floor, _))) if floor >= packing.cost => Proof::Optimal(packing),
        (Some(packing), _) => Proof::Better(packing),
        (None, Some((floor, raw))) => Proof::Floor {
            // It was asked only for placements cheaper than the best.
            floor: best.map_or(floor, |best| floor.min(best)),
            raw,
        },
        (None, None) => Proof::Open,
    }
}

/// HiGHS works with tolerances: its result is accepted only if whole amounts exist. `news` says of
/// which kinds the new VMs are.
pub fn packed(
    problem: &Problem,
    places: &[Vec<usize>],
    news: &[usize],
    watch: &Watch<'_>,
) -> Option<Packing> {
    let mut packing = Packing::empty(problem);
    for kind in each(news) {
        packing.add_new(problem, kind);
    }
    for (slot, items) in places.iter().enumerate() {
        for &item in items {
            packing.put(problem, slot, item, NOTHING);
        }
    }
    let mut meter = watch.grace().meter(UNLIMITED);
    packing.resettle(problem, &mut meter).then_some(packing)
}
