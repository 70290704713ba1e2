//! Lower bounds that cost next to nothing: what volume and spreading alone force.
//!
//! A bound here must hold for every placement of the instance, whatever the weights.

#![allow(clippy::indexing_slicing)] // prefix sums are built to the length they are read at

use super::problem::{Problem, VM_CAP};

/// Least price of all containers, each tier on its own: as many as its demand or `min_node`
/// forces, kept ones first where those are cheaper.
#[must_use]
pub fn containers(problem: &Problem) -> i64 {
    (0..problem.items.len())
        .map(|item| item_floor(problem, item))
        .sum()
}

/// Least price of the containers of one tier.
#[must_use]
pub fn item_floor(problem: &Problem, item: usize) -> i64 {
    let it = &problem.items[item];
    let held = it.held_on.len();
    let price = |n: usize| {
        let kept = n.min(held) as i64;
        let cheap = it.keep_cost.min(problem.create_cost);
        kept * cheap + (n as i64 - kept) * problem.create_cost
    };
    // Keeping more than is needed pays only if removing is dearer than keeping.
    price(it.min_nodes).min(price(held.clamp(it.min_nodes, it.max_nodes.max(it.min_nodes))))
}

/// Least price of the VMs: enough of the largest existing ones and new ones for all demand.
/// `None` if no number of VMs is enough.
#[must_use]
pub fn vms(problem: &Problem) -> Option<i64> {
    let total = problem.total();
    let sorted = |r: usize| {
        let mut sizes: Vec<i64> = problem.existing.iter().map(|c| c[r]).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes
    };
    let sizes = [sorted(0), sorted(1)];
    let mut best: Option<i64> = None;
    let mut sum = [0i64; 2];
    for used in 0..=problem.existing.len().min(problem.max_vms) {
        if used > 0 {
            sum = [sum[0] + sizes[0][used - 1], sum[1] + sizes[1][used - 1]];
        }
        let Some(news) = news_needed(problem, [total[0] - sum[0], total[1] - sum[1]]) else {
            continue;
        };
        if used.saturating_add(news) > problem.max_vms {
            continue;
        }
        let price = used as i64 * problem.use_cost + news as i64 * problem.new_cost;
        best = Some(best.map_or(price, |b| b.min(price)));
    }
    best
}

/// How many new VMs hold `rest`, if that many may be made.
fn news_needed(problem: &Problem, rest: [i64; 2]) -> Option<usize> {
    let mut need = 0usize;
    for r in 0..2 {
        if rest[r] > 0 {
            if problem.new_vm[r] == 0 {
                return None;
            }
            let n = (rest[r] + problem.new_vm[r] - 1) / problem.new_vm[r];
            need = need.max(usize::try_from(n).unwrap_or(usize::MAX));
        }
    }
    (need <= problem.max_new).then_some(need)
}

/// How many new VMs the demand needs at least, if that is more than [`VM_CAP`].
#[must_use]
pub fn too_many(problem: &Problem) -> Option<u64> {
    let total = problem.total();
    let mut most = 0u64;
    for r in 0..2 {
        let existing: i64 = problem.existing.iter().map(|c| c[r]).sum();
        let left = (total[r] - existing).max(0) as u64;
        most = most.max(left.div_ceil(problem.new_vm[r].max(1) as u64));
    }
    (problem.max_new > 0 && most > VM_CAP as u64).then_some(most)
}

/// Most new VMs that a placement cheaper than `below` (relative price) can use.
#[must_use]
pub fn most_news(problem: &Problem, below: Option<i64>) -> usize {
    let spread = problem
        .items
        .iter()
        .fold(0usize, |sum, it| sum.saturating_add(it.max_nodes))
        .min(problem.max_new)
        .min(problem.max_vms)
        .min(VM_CAP);
    let (Some(below), true) = (below, problem.new_cost > 0) else {
        return spread;
    };
    let free = problem.use_cost.min(0) * problem.existing.len() as i64;
    let left = below - 1 - containers(problem) - free;
    usize::try_from(left.max(0) / problem.new_cost)
        .unwrap_or(spread)
        .min(spread)
}
