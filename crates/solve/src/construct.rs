//! First placements: quick, feasible where that is easy, and good enough to start from.
//!
//! Tiers are taken largest first. Each goes on the VMs that make it cheapest: on those that
//! hold it already, else whole on the VM it fills best, else spread over the fewest VMs with
//! the most room, else on a VM opened for it. Nothing placed is moved again here.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // slots and items are those of the packing

use super::meter::Meter;
use super::packing::Packing;
use super::problem::{Pair, Problem};
use super::rules::Origin;

mod fit;

use fit::{room, unfit, waste};

/// How to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// Existing VMs open from the start.
    pub open: Vec<usize>,
    /// New VMs open from the start: of which kinds.
    pub news: Vec<usize>,
    /// The kind of which more are made, where a tier can be there and no other kind suits it better.
    pub kind: usize,
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

/// A placement of everything, or `None` if this way leads nowhere or the meter ends it.
#[must_use]
pub fn construct(problem: &Problem, start: &Start, meter: &mut Meter<'_>) -> Option<Packing> {
    let mut yard = Yard::new(problem, start);
    for &(vm, item, amount) in &start.keep {
        lay(problem, &mut yard.packing, vm, item, amount);
    }
    for &item in &start.order {
        if !meter.spend(1 + yard.open.len() as u64) {
            return None;
        }
        let begun = !yard.packing.nodes[item].is_empty();
        if !(begun && complete(problem, &mut yard.packing, &yard.open, item)) {
            yard.place(problem, start, item, meter)?;
        }
    }
    Some(yard.packing)
}

/// The placement so far, and which VMs may be used.
struct Yard {
    packing: Packing,
    open: Vec<usize>,
    is_open: Vec<bool>,
    /// Existing VMs that are not open yet, the next one last.
    shut: Vec<usize>,
    news: usize,
    /// How many of each kind.
    made: Vec<usize>,
}

impl Yard {
    fn new(problem: &Problem, start: &Start) -> Self {
        let existing = problem.existing.len();
        let open: Vec<usize> = start.open.iter().copied().take(problem.max_vms).collect();
        let mut is_open = vec![false; existing];
        for &vm in &open {
            is_open[vm] = true;
        }
        let mut yard = Self {
            packing: Packing::empty(problem),
            open,
            shut: (0..existing).rev().filter(|&v| !is_open[v]).collect(),
            is_open,
            news: 0,
            made: vec![0; problem.kinds.len()],
        };
        for &kind in &start.news {
            yard.open_new(problem, kind);
        }
        yard
    }

    /// Opens a new VM of a kind, if there may be one more.
    fn open_new(&mut self, problem: &Problem, kind: usize) -> bool {
        let may = self.news < problem.max_new
            && self.open.len() < problem.max_vms
            && self.made[kind] < problem.kinds[kind].max;
        if may {
            let slot = self.packing.add_new(problem, kind);
            self.open.push(slot);
            self.is_open.push(true);
            self.news += 1;
            self.made[kind] += 1;
        }
        may
    }

    /// The kind of which new VMs are made for an item: the one that is asked for, where it suits the item as
    /// well as any, else the cheapest on which the item fits, else the one that needs fewest. `None` where
    /// there is none, or no more of it.
    fn kind_for(&self, problem: &Problem, item: usize, preferred: usize) -> Option<usize> {
        let suits = |kind: usize| {
            let left = self.made[kind] < problem.kinds[kind].max;
            left && problem.allows(item, Origin::New(kind))
        };
        let need = |kind: usize| news_needed(problem, item, kind);
        let kinds = (0..problem.kinds.len()).filter(|&kind| suits(kind));
        let best = kinds.min_by_key(|&kind| {
            let need = need(kind);
            let cost = problem.kinds[kind].cost.saturating_mul(need as i64);
            (need, cost, kind)
        })?;
        let good = preferred < problem.kinds.len() && suits(preferred) && need(preferred) <= need(best);
        Some(if good { preferred } else { best })
    }

    /// Opens an existing VM: cheaper to use than a new one is to make, if it is of any use.
    fn open_existing(&mut self, problem: &Problem) -> bool {
        if self.open.len() >= problem.max_vms {
            return false;
        }
        let Some(vm) = self.shut.pop() else { return false };
        self.open.push(vm);
        self.is_open[vm] = true;
        true
    }

    /// Places one item, on VMs opened for it if need be. It ends: existing VMs run out, and when as
    /// many new ones stand empty as the item could fill, it goes there or nowhere.
    fn place(&mut self, problem: &Problem, start: &Start, item: usize, meter: &mut Meter<'_>) -> Option<()> {
        loop {
            if !meter.spend(1 + self.open.len() as u64) {
                return None;
            }
            let kind = self.kind_for(problem, item, start.kind);
            let Alone { most, enough } = kind.map_or(Alone::NONE, |kind| alone(problem, item, kind));
            let is_empty = |&slot: &usize| {
                let slot = &self.packing.slots[slot];
                slot.boxes.is_empty() && kind.is_some_and(|kind| slot.origin == Origin::New(kind))
            };
            let empty: Vec<usize> = self.open.iter().copied().filter(is_empty).take(most).collect();
            let ready = empty.len() >= most;
            let can_open = (self.news < problem.max_new && !ready || !self.shut.is_empty())
                && self.open.len() < problem.max_vms;
            let spread = start.spread_first || !can_open;
            if let Some(slots) = choose(problem, self, item, spread, start) {
                pour(problem, &mut self.packing, item, &slots, start.even);
                return Some(());
            }
            if self.open_existing(problem) {
                continue;
            }
            if ready && enough && most > 0 {
                pour(problem, &mut self.packing, item, &empty, start.even);
                return Some(());
            }
            let opened = (empty.len()..most)
                .take_while(|_| kind.is_some_and(|kind| self.open_new(problem, kind)))
                .count();
            if opened == 0 {
                return None;
            }
        }
    }
}

/// What new VMs of one kind alone can do for an item.
struct Alone {
    /// More of them, empty, are of no use.
    most: usize,
    /// Whether that many hold all of it.
    enough: bool,
}

impl Alone {
    const NONE: Self = Self {
        most: 0,
        enough: false,
    };
}

/// How many new VMs of a kind an item needs by itself.
fn news_needed(problem: &Problem, item: usize, kind: usize) -> usize {
    let it = &problem.items[item];
    let mut need = it.min_nodes.max(1);
    for r in 0..2 {
        let each = problem.kinds[kind].capacity[r];
        let count = (it.demand[r] + each - 1) / each.max(1);
        need = need.max(usize::try_from(count).unwrap_or(usize::MAX));
    }
    need
}

fn alone(problem: &Problem, item: usize, kind: usize) -> Alone {
    let it = &problem.items[item];
    let need = news_needed(problem, item, kind);
    // All VMs of a kind are in one failure domain, where there are any.
    let domain = if it.rule.spreads() { 1 } else { usize::MAX };
    let most = need
        .min(it.max_nodes)
        .min(problem.max_new)
        .min(problem.kinds[kind].max)
        .min(domain);
    Alone {
        most,
        enough: most == need && it.min_nodes <= most,
    }
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
        .fold(problem.largest_new(), |a, c| [a[0].max(c[0]), a[1].max(c[1])]);
    let mut order: Vec<usize> = (0..problem.items.len()).collect();
    order.sort_by_key(|&i| {
        let it = &problem.items[i];
        let share = |r: usize| it.demand[r].saturating_mul(10_000) / unit[r].max(1);
        // Tiers that may not be anywhere first, while there is room where they may be.
        let free = u8::from(!it.rule.restricts());
        let hard = (free, it.max_nodes.saturating_sub(it.min_nodes).min(1));
        (hard, std::cmp::Reverse(share(0).max(share(1))), i)
    });
    order
}

/// The slots for one item, the cheapest kind of choice first; `None` if it does not fit.
fn choose(problem: &Problem, yard: &Yard, item: usize, spread: bool, start: &Start) -> Option<Vec<usize>> {
    let (packing, open) = (&yard.packing, &yard.open);
    let wide = start.wide.binary_search(&item).is_ok();
    let it = &problem.items[item];
    let usable = |&s: &usize| {
        let free = packing.slots[s].free;
        free[0] > 0 && free[1] > 0 && packing.welcomes(problem, s, item)
    };
    let held: Vec<usize> = it.held_on.iter().copied().filter(|&v| yard.is_open[v]).collect();
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
        // What holds the item is listed in ascending order.
        let first = held.binary_search(&s).is_ok();
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
    let gather = |list: &[usize]| {
        let apart = packing.apart(problem, item, list.to_vec());
        gather(packing, &apart, it.demand, least, it.max_nodes)
    };
    gather(&list).or_else(|| {
        // Among VMs of unequal size the emptiest may be small: the ones with the most room, then.
        list.sort_by_key(|&s| {
            let free = packing.slots[s].free;
            let part = |r: usize| free[r].min(it.demand[r]).saturating_mul(10_000) / it.demand[r].max(1);
            (std::cmp::Reverse(part(0).min(part(1))), s)
        });
        gather(&list)
    })
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
            let mut count = chosen.len();
            let mut kept = Vec::with_capacity(count);
            for &slot in chosen.iter().rev() {
                let free = packing.slots[slot].free;
                let without = [sum[0] - free[0], sum[1] - free[1]];
                if count > min && enough(without) {
                    sum = without;
                    count -= 1;
                } else {
                    kept.push(slot);
                }
            }
            kept.reverse();
            return (kept.len() <= max).then_some(kept);
        }
    }
    None
}

/// Divides the item's demand over `slots`: filling the first ones, or in proportion to their room.
pub fn pour(problem: &Problem, packing: &mut Packing, item: usize, slots: &[usize], even: bool) {
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
