//! Among placements of equal cost, finds one with the fewest actions, and among those one on the
//! VMs that tiers prefer.
//!
//! The search for the cheapest placement knows nothing of actions. This comes after it, and uses
//! the exact methods once more, at prices that also count actions ([`Problem::counting_actions`]):
//! small questions as a whole, so that the number of actions is proven, and larger ones a few VMs
//! at a time, where something is done to them. If placements are still equal, the one found first
//! is taken, and the order of the search is fixed.

#![allow(clippy::indexing_slicing)] // slots and items are those of the packing

use std::sync::Arc;
use std::time::Duration;

use super::answer::Counters;
use super::bound;
use super::cluster::{self, MAX_VMS, Reach};
use super::exact::{self, Proof};
use super::meter::UNLIMITED;
use super::mip::{self, Floor};
use super::neighbourhood;
use super::packing::Packing;
use super::problem::Problem;
use super::program;
use super::resources::within;
use super::rules::Origin;
use super::watch::Watch;

/// Nodes of each half of the tree if the price is proven: well below a second's work.
const PROVEN: u64 = 1_500_000;
/// The same if it is not: what is found there may be overtaken by a cheaper placement elsewhere.
const UNPROVEN: u64 = 10_000;
/// Most containers of a question that is searched as a whole although its price is not proven.
const BOXES: usize = 64;
/// HiGHS has at least this long for the number of actions.
const PROGRAM: Duration = Duration::from_millis(250);
/// Nodes for a few VMs.
const PART: u64 = 500;
/// Most VMs of a part: an odd one, and those it shares tiers with.
const PART_VMS: usize = 4;
/// Most parts looked at: some tenths of a second's work.
const PARTS: usize = 2_000;

/// The result.
pub struct Settled {
    /// The same price with no more actions, or a lower one.
    pub packing: Packing,
    /// Whether it is proven that no placement of the same price has fewer.
    pub fewest: bool,
}

/// Looks for fewer actions. `proven` says that nothing is cheaper.
#[must_use]
pub fn settle(
    problem: &Arc<Problem>,
    packing: Packing,
    proven: bool,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Settled {
    let settled = |packing, fewest| Settled { packing, fewest };
    if watch.cut().is_some() {
        return settled(packing, false);
    }
    let boxes: usize = packing.slots.iter().map(|s| s.boxes.len()).sum();
    let all = places(problem, &packing, boxes);
    let Some(counting) = problem.counting_actions(2 * all as i64, all) else {
        return settled(packing, false);
    };
    let now = packing.price_at(&counting);
    let mut meter = watch.meter(UNLIMITED);
    let vms = bound::fleet(&counting, &mut meter);
    let counted = vms.is_some_and(|vms| bound::containers(&counting) + vms.price >= now);
    if counted || new_only(problem, &packing) {
        return settled(packing, proven);
    }
    if !proven {
        let news = used_news(problem, &packing);
        if boxes > BOXES || exact::slots(problem, &news) > MAX_VMS {
            return settled(by_parts(problem, &counting, packing, watch, counters), false);
        }
        return match exact::walk(&counting, Some(now), &news, UNPROVEN, watch, counters) {
            Proof::Optimal(fewer) | Proof::Better(fewer) => settled(fewer.at_prices_of(problem), false),
            _ => settled(packing, false),
        };
    }
    let news = bound::most_news(&counting, Some(now));
    let fewer = match exact::walk(&counting, Some(now), &news, PROVEN, watch, counters) {
        Proof::NoneBelow => return settled(packing, true),
        Proof::Optimal(fewest) => return settled(fewest.at_prices_of(problem), true),
        Proof::Better(fewer) => fewer.at_prices_of(problem),
        Proof::Floor { .. } | Proof::Open => by_parts(problem, &counting, packing, watch, counters),
    };
    by_program(problem, fewer, &news, watch, counters)
}

/// More than any two placements that are compared differ by in actions.
fn places(problem: &Problem, packing: &Packing, boxes: usize) -> usize {
    packing.slots.len() + boxes + MAX_VMS * (problem.items.len() + 1)
}

/// How many new VMs of each kind are used.
fn used_news(problem: &Problem, packing: &Packing) -> Vec<usize> {
    let mut news = vec![0; problem.kinds.len()];
    for slot in packing.slots.iter().filter(|slot| !slot.boxes.is_empty()) {
        if let Origin::New(kind) = slot.origin {
            news[kind] += 1;
        }
    }
    news
}

/// Whether no numbers of VMs and containers of this very price have fewer actions, where no VM exists yet.
fn new_only(problem: &Problem, packing: &Packing) -> bool {
    let prefers = problem.items.iter().any(|it| it.rule.prefers());
    let Some(kind) = problem.only_kind().filter(|kind| kind.cost > 0) else {
        return false;
    };
    if !problem.existing.is_empty() || prefers || kind.cost != problem.idle.new_cost {
        return false;
    }
    let least: i64 = problem.items.iter().map(|it| it.min_nodes as i64).sum();
    let actions = packing.actions(problem) as i64;
    let most = (packing.cost / kind.cost).min(actions);
    (0..=most).all(|vms| {
        let used = usize::try_from(vms).unwrap_or(usize::MAX);
        let [_, idle] = problem.idle.vms(0, used);
        let vms = vms + idle as i64;
        let left = packing.cost - vms * kind.cost;
        let containers = match problem.create_cost {
            0 => least,
            price => (left / price).max(least),
        };
        let same = used.saturating_add(idle) as i64 * kind.cost + containers * problem.create_cost;
        let enough = within(
            problem.sum,
            kind.capacity.map(|has| has.saturating_mul(used as i64)),
        );
        !enough || same != packing.cost || vms + containers >= actions
    })
}

/// Asks HiGHS for fewer actions at this price, with up to this many new VMs of each kind. It has as
/// much time again as the search so far.
pub fn by_program(
    problem: &Arc<Problem>,
    packing: Packing,
    news: &[usize],
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Settled {
    let mut settled = Settled {
        packing,
        fewest: false,
    };
    if exact::slots(problem, news).saturating_mul(problem.items.len()) > exact::BINARIES
        || watch.cut().is_some()
    {
        return settled;
    }
    let boxes = settled.packing.slots.iter().map(|s| s.boxes.len()).sum();
    let all = places(problem, &settled.packing, boxes);
    let Some(actions) = problem.counting_actions(0, all) else {
        return settled;
    };
    let actions = Arc::new(actions);
    let (now, price) = (settled.packing.price_at(&actions), settled.packing.cost);
    let time = watch.elapsed().max(PROGRAM).min(watch.left());
    let (prices, shared) = (Arc::clone(problem), Arc::clone(&actions));
    let looked_at = news.to_vec();
    let started = program::start(time.as_secs_f64(), move |desk| {
        let limit = Some((&*prices, price));
        desk.answer(mip::solve(&shared, Some(now), limit, &looked_at, desk.seconds));
    });
    let Some(outcome) = started.and_then(|pending| pending.wait(&watch.within(time))) else {
        return settled;
    };
    counters.programs += 1;
    let found = outcome
        .places
        .and_then(|places| exact::packed(&actions, &places, news, watch));
    let found = found
        .map(|found| (found.price_at(&actions), found.at_prices_of(problem)))
        .filter(|(fewer, found)| *fewer < now && found.cost == price);
    settled.fewest = match (outcome.floor, &found) {
        (Floor::NothingBelow, _) => true,
        (Floor::At { floor, .. }, Some((fewer, _))) => floor >= *fewer,
        (Floor::At { floor, .. }, None) => floor >= now,
        (Floor::Unknown, _) => false,
    };
    if let Some((_, found)) = found {
        settled.packing = found;
    }
    settled
}

fn by_parts(
    problem: &Problem,
    counting: &Problem,
    mut packing: Packing,
    watch: &Watch<'_>,
    counters: &mut Counters,
) -> Packing {
    let mut done = 0;
    for slot in 0..packing.slots.len() {
        if done >= PARTS || watch.cut().is_some() {
            break;
        }
        if packing.actions_on(problem, slot) == 0 && packing.dislike_on(problem, slot) == 0 {
            continue;
        }
        done += 1;
        let mut slots = vec![slot];
        let held = problem.held_by(packing.slots[slot].origin);
        let here = packing.slots[slot].boxes.iter().chain(held).map(|b| b.0);
        for item in here {
            for &other in packing.nodes[item].iter().chain(&problem.items[item].held_on) {
                if slots.len() < PART_VMS && !slots.contains(&other) {
                    slots.push(other);
                }
            }
        }
        let slots = neighbourhood::manageable(&packing, &slots);
        if slots.len() >= 2 {
            refill(problem, counting, &mut packing, slots, watch, counters);
        }
    }
    packing
}

/// Refills a few VMs at the least price that counts actions.
fn refill(
    problem: &Problem,
    counting: &Problem,
    packing: &mut Packing,
    slots: &[usize],
    watch: &Watch<'_>,
    counters: &mut Counters,
) {
    let resized: usize = slots.iter().map(|&s| packing.resized_on(problem, s)).sum();
    let here: i64 = slots.iter().map(|&s| packing.slot_cost(counting, s)).sum();
    let price = here + packing.idle_price(counting) + resized as i64 * counting.resize_cost;
    let (items, cluster) = neighbourhood::question(counting, packing, slots);
    let reach = Reach {
        ceiling: price,
        tie_at: None,
        ties: 0,
        nodes: PART,
        watch: *watch,
        half: None,
    };
    let found = cluster::search(&cluster, reach);
    counters.nodes += found.nodes;
    if let Some((_, sets)) = found.best {
        let mut meter = watch.grace().meter(UNLIMITED);
        neighbourhood::apply(problem, packing, slots, &items, &cluster, &sets, &mut meter);
    }
}
