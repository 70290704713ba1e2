//! First placements of large instances: cut into chunks, each placed on its own.
//!
//! Construction looks at every open VM for every tier, which is quadratic; in chunks of a fixed
//! number of tiers it is linear. A tier goes with the VM that has its first container. About half a
//! VM is lost for each chunk, and the improvement that follows ignores chunks.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // chunk, item and VM indices are made here

use super::construct;
use super::meter::UNLIMITED;
use super::packing::Packing;
use super::portfolio::CHUNK;
use super::problem::{Item, Problem};
use super::resources::{NOTHING, larger};
use super::rules::Origin;
use super::starts::starts;
use super::watch::Watch;

/// Part of a problem, and which items and existing VMs it was made of.
pub struct Chunk {
    /// The part as a problem of its own.
    pub problem: Problem,
    /// Its items in the whole.
    pub items: Vec<usize>,
    /// Its existing VMs in the whole.
    pub vms: Vec<usize>,
    /// This many more VMs at the end of its list stand for VMs of other chunks.
    pub elsewhere: usize,
}

/// A placement of everything, chunk by chunk, on both cores; `None` if a chunk can't be placed or
/// if limits on the number of VMs are broken.
#[must_use]
pub fn construct(problem: &Problem, watch: &Watch<'_>) -> Option<Packing> {
    let chunks = cut(problem, CHUNK, false);
    let work = |odd: usize| -> Vec<(usize, Option<Packing>)> {
        let mine = chunks.iter().enumerate().filter(|(at, _)| at % 2 == odd);
        mine.map(|(at, chunk)| (at, best(&chunk.problem, watch)))
            .collect()
    };
    let (even, odd) = std::thread::scope(|scope| {
        let other = scope.spawn(|| work(1));
        (work(0), other.join().unwrap_or_default())
    });
    let mut parts: Vec<(usize, Option<Packing>)> = even.into_iter().chain(odd).collect();
    parts.sort_by_key(|p| p.0);
    let mut whole = Packing::empty(problem);
    for (at, part) in parts {
        let (chunk, part) = (&chunks[at], part?);
        for slot in part.slots.iter().filter(|s| !s.boxes.is_empty()) {
            let to = match slot.origin {
                Origin::Existing(vm) => chunk.vms[vm],
                Origin::New(kind) => whole.add_new(problem, kind),
            };
            for &(item, amount) in &slot.boxes {
                whole.put(problem, to, chunk.items[item], amount);
            }
        }
    }
    let made = whole.made(problem);
    let few = made
        .iter()
        .zip(&problem.kinds)
        .all(|(made, kind)| *made <= kind.max);
    (whole.used <= problem.max_vms && whole.used_new <= problem.max_new && few).then_some(whole)
}

/// The cheapest way to begin; once time is up, the first that works.
fn best(problem: &Problem, watch: &Watch<'_>) -> Option<Packing> {
    let mut best: Option<Packing> = None;
    let mut meter = watch.grace().meter(UNLIMITED);
    for start in starts(problem, &mut meter) {
        if best.is_some() && watch.cut().is_some() {
            break;
        }
        if let Some(packing) = construct::construct(problem, &start, &mut meter)
            && best.as_ref().is_none_or(|b| packing.cost < b.cost)
        {
            best = Some(packing);
        }
    }
    best
}

/// Cuts a problem into chunks of about `size` tiers. With `elsewhere`, containers on VMs of other
/// chunks are taken into account, on VMs without limits at the end of the chunk's list.
#[must_use]
pub fn cut(problem: &Problem, size: usize, elsewhere: bool) -> Vec<Chunk> {
    let count = (problem.items.len() / size).max(1);
    let vms = problem.existing.len();
    let home = |vm: usize| vm * count / vms.max(1);
    let mut items = vec![Vec::new(); count];
    let mut next = 0;
    for (ix, item) in problem.items.iter().enumerate() {
        match item.held_on.first() {
            Some(&vm) => items[home(vm)].push(ix),
            None => {
                items[next % count].push(ix);
                next += 1;
            }
        }
    }
    let mut of_chunk = vec![Vec::new(); count];
    for vm in 0..vms {
        of_chunk[home(vm)].push(vm);
    }
    items
        .into_iter()
        .zip(of_chunk)
        .map(|(items, vms)| part(problem, items, vms, elsewhere))
        .collect()
}

/// The problem of placing `items` on `vms` and new VMs.
fn part(problem: &Problem, items: Vec<usize>, vms: Vec<usize>, elsewhere: bool) -> Chunk {
    // Both lists are ascending.
    let local = |list: &[usize], x: usize| list.binary_search(&x).ok();
    let foreign = |ix: usize| {
        let held = problem.items[ix].held_on.iter();
        held.filter(|&&v| local(&vms, v).is_none()).count()
    };
    let strangers = if elsewhere {
        items.iter().map(|&ix| foreign(ix)).max().unwrap_or(0)
    } else {
        0
    };
    // No larger than any VM there is: how much fits into one container depends on it.
    let largest = problem.existing.iter().copied().fold(NOTHING, larger);
    let sub = Problem {
        items: items
            .iter()
            .map(|&ix| {
                let item = &problem.items[ix];
                let own = item.held_on.iter().filter_map(|&v| local(&vms, v));
                let away = vms.len()..vms.len() + foreign(ix).min(strangers);
                let held_on = own.chain(away).collect();
                let rule = if item.rule.is_empty() {
                    item.rule.clone()
                } else {
                    item.rule.part(&vms, strangers)
                };
                Item {
                    held_on,
                    rule,
                    ..item.clone()
                }
            })
            .collect(),
        existing: vms
            .iter()
            .map(|&v| problem.existing[v])
            .chain(std::iter::repeat_n(largest, strangers))
            .collect(),
        use_costs: vms
            .iter()
            .map(|&v| problem.use_costs[v])
            .chain(std::iter::repeat_n(problem.use_cost, strangers))
            .collect(),
        spare: vms
            .iter()
            .map(|&v| problem.spare[v])
            .chain(std::iter::repeat_n(false, strangers))
            .collect(),
        cordoned: vms
            .iter()
            .map(|&v| problem.cordoned[v])
            .chain(std::iter::repeat_n(false, strangers))
            .collect(),
        held: vms
            .iter()
            .map(|&v| {
                let held = problem.held[v].iter();
                held.filter_map(|&(i, amount)| Some((local(&items, i)?, amount)))
                    .collect()
            })
            .collect(),
        sum: NOTHING,
        ..problem.shape()
    };
    let sub = Problem {
        sum: sub.total(),
        ..sub
    };
    Chunk {
        problem: sub,
        items,
        vms,
        elsewhere: strangers,
    }
}
