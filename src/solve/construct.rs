//! First placements: quick, feasible where that is easy, and good enough to start from.
//!
//! Tiers are taken largest first. Each goes on the VMs that make it cheapest: on those that
//! hold it already, else whole on the VM it fills best, else spread over the fewest VMs with
//! the most room, else on a VM opened for it. Nothing placed is moved again here.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // slots and items are those of the packing

use super::packing::Packing;
use super::problem::{Pair, Problem};

/// How to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// Existing VMs open from the start.
    pub open: Vec<usize>,
    /// New VMs open from the start.
    pub news: usize,
    /// Order of the items; each once.
    pub order: Vec<usize>,
    /// Whether a tier is spread over open VMs before another VM is opened for it.
    pub spread_first: bool,
    /// Containers placed before anything else: VM, item, amount. Dropped where they do not fit.
    pub keep: Vec<(usize, usize, Pair)>,
    /// Weight of leaving both resources in the proportion in which they are needed.
    pub balance: i64,
    /// Whether a tier on several VMs takes of each in proportion to its room.
    pub even: bool,
    /// Items to be put on one VM more than they must.
    pub wide: Vec<usize>,
}

/// A placement of everything, or `None` if this way leads nowhere.
#[must_use]
pub fn construct(problem: &Problem, start: &Start) -> Option<Packing> {
    let mut packing = Packing::empty(problem);
    let mut open: Vec<usize> = start.open.iter().copied().take(problem.max_vms).collect();
    let mut shut: Vec<usize> = (0..problem.existing.len())
        .filter(|v| !open.contains(v))
        .collect();
    shut.reverse();
    let mut news = 0;
    while news < start.news.min(problem.max_new) && open.len() < problem.max_vms {
        open.push(packing.add_new(problem));
        news += 1;
    }
    for &(vm, item, amount) in &start.keep {
        lay(problem, &mut packing, vm, item, amount);
    }
    for &item in &start.order {
        if !packing.nodes[item].is_empty() && complete(problem, &mut packing, &open, item) {
            continue;
        }
        loop {
            let can_open = (news < problem.max_new || !shut.is_empty()) && open.len() < problem.max_vms;
            let spread = start.spread_first || !can_open;
            if let Some(slots) = choose(problem, &packing, &open, item, spread, start) {
                pour(problem, &mut packing, item, &slots, start.even);
                break;
            }
            if !can_open {
                return None;
            }
            // An existing VM is cheaper to use than a new one is to make, if it is of any use.
            if let Some(vm) = shut.pop() {
                open.push(vm);
            } else {
                open.push(packing.add_new(problem));
                news += 1;
            }
        }
    }
    Some(packing)
}

/// Puts what of `amount` fits of an item on an existing VM.
fn lay(problem: &Problem, packing: &mut Packing, vm: usize, item: usize, amount: Pair) {
    let it = &problem.items[item];
    let placed = placed(packing, item);
    let free = packing.slots[vm].free;
    let fit = [0, 1].map(|r| amount[r].min(it.demand[r] - placed[r]).min(free[r]));
    let room = packing.nodes[item].len() < it.max_nodes;
    if fit[0] > 0 && fit[1] > 0 && room && packing.welcomes(problem, vm, item) {
        packing.put(problem, vm, item, fit);
    }
}

/// How much of an item is placed.
fn placed(packing: &Packing, item: usize) -> Pair {
    let mut sum = [0i64; 2];
    for &slot in &packing.nodes[item] {
        for b in packing.slots[slot].boxes.iter().filter(|b| b.0 == item) {
            sum = [sum[0] + b.1[0], sum[1] + b.1[1]];
        }
    }
    sum
}

/// Completes an item that is placed in part: into its own containers where they have room,
/// else one more. False if that fails; then all of it is taken off.
fn complete(problem: &Problem, packing: &mut Packing, open: &[usize], item: usize) -> bool {
    let it = &problem.items[item];
    let have = placed(packing, item);
    let mut left = [it.demand[0] - have[0], it.demand[1] - have[1]];
    for slot in packing.nodes[item].clone() {
        let s = &mut packing.slots[slot];
        if let Some(b) = s.boxes.iter_mut().find(|b| b.0 == item) {
            for r in 0..2 {
                let more = left[r].min(s.free[r]);
                b.1[r] += more;
                s.free[r] -= more;
                left[r] -= more;
            }
        }
    }
    // A further container needs something of both.
    if left != [0, 0] {
        for r in (0..2).filter(|&r| left[r] == 0).collect::<Vec<_>>() {
            for &slot in &packing.nodes[item] {
                let s = &mut packing.slots[slot];
                if let Some(b) = s.boxes.iter_mut().find(|b| b.0 == item && b.1[r] > 1)
                    && left[r] == 0
                {
                    b.1[r] -= 1;
                    s.free[r] += 1;
                    left[r] = 1;
                }
            }
        }
        let fits = |&s: &usize| {
            let free = packing.slots[s].free;
            free[0] >= left[0] && free[1] >= left[1] && packing.welcomes(problem, s, item)
        };
        let best = (left[0] > 0 && left[1] > 0 && packing.nodes[item].len() < it.max_nodes)
            .then(|| {
                let all = open.iter().copied().filter(fits);
                all.min_by_key(|&s| (waste(problem, packing, s, left), s))
            })
            .flatten();
        if let Some(slot) = best {
            packing.put(problem, slot, item, left);
            left = [0, 0];
        }
    }
    let fine = left == [0, 0] && packing.nodes[item].len() >= it.min_nodes;
    if !fine {
        packing.take(problem, item);
    }
    fine
}

/// Items by falling share of a VM, the larger of the two resources counting.
#[must_use]
pub fn by_size(problem: &Problem) -> Vec<usize> {
    let unit = problem
        .existing
        .iter()
        .fold(problem.new_vm, |a, c| [a[0].max(c[0]), a[1].max(c[1])]);
    let mut order: Vec<usize> = (0..problem.items.len()).collect();
    order.sort_by_key(|&i| {
        let it = &problem.items[i];
        let share = |r: usize| it.demand[r].saturating_mul(10_000) / unit[r].max(1);
        let hard = it.max_nodes.saturating_sub(it.min_nodes).min(1);
        (hard, std::cmp::Reverse(share(0).max(share(1))), i)
    });
    order
}

/// The slots for one item, the cheapest kind of choice first; `None` if it does not fit.
fn choose(
    problem: &Problem,
    packing: &Packing,
    open: &[usize],
    item: usize,
    spread: bool,
    start: &Start,
) -> Option<Vec<usize>> {
    let wide = start.wide.binary_search(&item).is_ok();
    let it = &problem.items[item];
    let usable = |&s: &usize| {
        let free = packing.slots[s].free;
        free[0] > 0 && free[1] > 0 && packing.welcomes(problem, s, item)
    };
    let held: Vec<usize> = it.held_on.iter().copied().filter(|v| open.contains(v)).collect();
    let held: Vec<usize> = held.into_iter().filter(|s| usable(s)).collect();
    if it.min_nodes <= 1 && !wide {
        let fits = |&s: &usize| {
            let free = packing.slots[s].free;
            free[0] >= it.demand[0] && free[1] >= it.demand[1]
        };
        // The most it holds now, so that it is resized rather than moved.
        if let Some(&s) = held.iter().find(|s| fits(s)) {
            return Some(vec![s]);
        }
        let best = open
            .iter()
            .copied()
            .filter(|s| fits(s) && usable(s))
            .min_by_key(|&s| (unfit(problem, packing, s, it.demand, start.balance), s));
        if let Some(s) = best {
            return Some(vec![s]);
        }
        if !spread {
            return None;
        }
    }
    let mut list: Vec<usize> = open.iter().copied().filter(usable).collect();
    list.sort_by_key(|&s| {
        let first = held.contains(&s);
        (
            std::cmp::Reverse(first),
            std::cmp::Reverse(room(problem, packing, s)),
            s,
        )
    });
    let least = if wide {
        (it.min_nodes + 1).min(it.max_nodes)
    } else {
        it.min_nodes
    };
    gather(packing, &list, it.demand, least, it.max_nodes)
}

/// The fewest slots of `list`, in its order, that hold `demand`.
fn gather(packing: &Packing, list: &[usize], demand: Pair, min: usize, max: usize) -> Option<Vec<usize>> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut sum = [0i64; 2];
    for &s in list {
        let free = packing.slots[s].free;
        chosen.push(s);
        sum = [sum[0] + free[0], sum[1] + free[1]];
        let enough = |sum: Pair| sum[0] >= demand[0] && sum[1] >= demand[1];
        if enough(sum) && chosen.len() >= min {
            // Those that later ones made superfluous go again, the smallest first.
            let mut at = chosen.len();
            while at > 0 && chosen.len() > min {
                at -= 1;
                let free = packing.slots[chosen[at]].free;
                let without = [sum[0] - free[0], sum[1] - free[1]];
                if enough(without) {
                    sum = without;
                    chosen.remove(at);
                }
            }
            return (chosen.len() <= max).then_some(chosen);
        }
    }
    None
}

/// Divides the item's demand over `slots`: filling the first ones, or in proportion to their room.
fn pour(problem: &Problem, packing: &mut Packing, item: usize, slots: &[usize], even: bool) {
    let mut left = problem.items[item].demand;
    let mut room = slots.iter().fold([0i64; 2], |a, &s| {
        let free = packing.slots[s].free;
        [a[0] + free[0], a[1] + free[1]]
    });
    for (at, &slot) in slots.iter().enumerate() {
        let after = (slots.len() - at - 1) as i64;
        let free = packing.slots[slot].free;
        let mut amount = [0i64; 2];
        for r in 0..2 {
            room[r] -= free[r];
            // What the slots after this one can hold need not be put here.
            let least = (left[r] - room[r]).max(1);
            let most = free[r].min(left[r] - after).max(1);
            let share = left[r].saturating_mul(free[r]) / (room[r] + free[r]).max(1);
            amount[r] = if even {
                share.clamp(least.min(most), most)
            } else {
                most
            };
        }
        left = [left[0] - amount[0], left[1] - amount[1]];
        packing.put(problem, slot, item, amount);
    }
}

/// How badly `demand` suits a slot: what it leaves, and how far that is from the proportion in
/// which both resources are needed in all.
fn unfit(problem: &Problem, packing: &Packing, slot: usize, demand: Pair, balance: i64) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    let left = [0, 1].map(|r| (s.free[r] - demand[r]) * 10_000 / cap[r].max(1));
    // Demand in VMs' worth, cpu against memory, in thousandths of the larger.
    let worth = [0, 1].map(|r| problem.sum[r] / cap[r].max(1));
    let largest = worth[0].max(worth[1]).max(1);
    let skew = left[0] * worth[1] / largest - left[1] * worth[0] / largest;
    left[0] + left[1] + balance * skew.abs()
}

/// Room left on a slot, the scarcer resource counting, in ten-thousandths of its size.
fn room(problem: &Problem, packing: &Packing, slot: usize) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    (0..2)
        .map(|r| s.free[r] * 10_000 / cap[r].max(1))
        .min()
        .unwrap_or(0)
}

/// What would be left on a slot after `demand`, both resources added up.
fn waste(problem: &Problem, packing: &Packing, slot: usize, demand: Pair) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    (0..2)
        .map(|r| (s.free[r] - demand[r]) * 10_000 / cap[r].max(1))
        .sum()
}
