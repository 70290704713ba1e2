//! First placements: quick, feasible in easy cases, and good enough to start from.
//!
//! Tiers are taken largest first. Each goes where it is cheapest: on the VMs that already have it,
//! else whole on the VM that it fills best, else spread over the fewest VMs with the most room,
//! else on a VM opened for it. What is placed is not moved again here.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // slots and items are those of the packing

use super::meter::Meter;
use super::packing::Packing;
use super::problem::Problem;
use super::resources::{Amounts, LEAST, NOTHING, RESOURCES, larger, minus, plus, sum, within};
use super::rules::Origin;

mod alone;
mod fit;

use alone::{Alone, alone, has_all, news_needed};
use fit::{room, unfit, waste};

/// How to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// Existing VMs open from the start.
    pub open: Vec<usize>,
    /// New VMs open from the start: of which kinds.
    pub news: Vec<usize>,
    /// The kind of which more are made, if a tier can be there and no other kind suits it better.
    pub kind: usize,
    /// Order of the items; each once.
    pub order: Vec<usize>,
    /// Whether a tier is spread over open VMs before another VM is opened for it.
    pub spread_first: bool,
    /// Containers placed before anything else: VM, item, amount. Dropped if they do not fit.
    pub keep: Vec<(usize, usize, Amounts)>,
    /// Weight of leaving both resources in the proportion in which they are needed.
    pub balance: i64,
    /// Whether a tier on several VMs takes from each in proportion to its room.
    pub even: bool,
    /// Items to be put on one VM more than they need.
    pub wide: Vec<usize>,
}

/// A placement of everything, or `None` if this way leads nowhere or the meter runs out.
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

    /// The kind of which new VMs are made for an item: the preferred one, if it suits the item as
    /// well as any; else the cheapest on which the item fits; else the one of which fewest are
    /// needed. One that has everything that the item asks for, if there is one. `None` if there is
    /// none, or no more of it.
    fn kind_for(&self, problem: &Problem, item: usize, preferred: usize) -> Option<usize> {
        let suits = |kind: usize| {
            let left = self.made[kind] < problem.kinds[kind].max;
            left && problem.allows(item, Origin::New(kind))
        };
        let need = |kind: usize| news_needed(problem, item, kind);
        let lacks = |kind: usize| !has_all(problem, item, kind);
        let kinds = (0..problem.kinds.len()).filter(|&kind| suits(kind));
        let best = kinds.min_by_key(|&kind| {
            let need = need(kind);
            let cost = problem.kinds[kind].cost.saturating_mul(need as i64);
            (lacks(kind), need, cost, kind)
        })?;
        let rank = |kind: usize| (lacks(kind), need(kind));
        let good = preferred < problem.kinds.len() && suits(preferred) && rank(preferred) <= rank(best);
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

    /// Places one item, on VMs opened for it if needed. This ends, because existing VMs run out,
    /// and once as many new ones are empty as the item could fill, it goes there or nowhere.
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

/// Puts as much of `amount` of an item as fits on an existing VM.
fn lay(problem: &Problem, packing: &mut Packing, vm: usize, item: usize, amount: Amounts) {
    let it = &problem.items[item];
    let placed = placed(packing, item);
    let free = packing.slots[vm].free;
    let fit: Amounts = std::array::from_fn(|r| amount[r].min(it.demand[r] - placed[r]).min(free[r]));
    let room = packing.nodes[item].len() < it.max_nodes;
    if within(LEAST, fit) && room && packing.welcomes(problem, vm, item) {
        packing.put(problem, vm, item, fit);
    }
}

/// How much of an item is placed.
fn placed(packing: &Packing, item: usize) -> Amounts {
    let on = |&slot: &usize| packing.slots[slot].boxes.iter().filter(|b| b.0 == item);
    sum(packing.nodes[item].iter().flat_map(on).map(|b| b.1))
}

/// Completes an item that is placed in part: in its own containers if they have room, else in one
/// more. False if that fails; then all of it is removed.
fn complete(problem: &Problem, packing: &mut Packing, open: &[usize], item: usize) -> bool {
    let it = &problem.items[item];
    let have = placed(packing, item);
    let mut left = minus(it.demand, have);
    for slot in packing.nodes[item].clone() {
        let s = &mut packing.slots[slot];
        if let Some(b) = s.boxes.iter_mut().find(|b| b.0 == item) {
            for r in 0..RESOURCES {
                let more = left[r].min(s.free[r]);
                b.1[r] += more;
                s.free[r] -= more;
                left[r] -= more;
            }
        }
    }
    // Another container needs some of what every container has.
    if left != NOTHING {
        for r in (0..RESOURCES).filter(|&r| left[r] < LEAST[r]).collect::<Vec<_>>() {
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
            within(left, free) && packing.welcomes(problem, s, item)
        };
        let best = (within(LEAST, left) && packing.nodes[item].len() < it.max_nodes)
            .then(|| {
                let all = open.iter().copied().filter(fits);
                all.min_by_key(|&s| (waste(problem, packing, s, left), s))
            })
            .flatten();
        if let Some(slot) = best {
            packing.put(problem, slot, item, left);
            left = NOTHING;
        }
    }
    let fine = left == NOTHING && packing.nodes[item].len() >= it.min_nodes;
    if !fine {
        packing.take(problem, item);
    }
    fine
}

/// Items by falling share of a VM, by the resource of which they take most.
#[must_use]
pub fn by_size(problem: &Problem) -> Vec<usize> {
    let unit = problem
        .existing
        .iter()
        .copied()
        .fold(problem.largest_new(), larger);
    let mut order: Vec<usize> = (0..problem.items.len()).collect();
    order.sort_by_key(|&i| {
        let it = &problem.items[i];
        let share = |r: usize| it.demand[r].saturating_mul(10_000) / unit[r].max(1);
        // Tiers that may not be everywhere come first, while there is room where they may be.
        let free = u8::from(!it.rule.restricts());
        let hard = (free, it.max_nodes.saturating_sub(it.min_nodes).min(1));
        (
            hard,
            std::cmp::Reverse(problem.asked.iter().map(|&r| share(r)).max()),
            i,
        )
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
        within(LEAST, free) && packing.welcomes(problem, s, item)
    };
    let held: Vec<usize> = it.held_on.iter().copied().filter(|&v| yard.is_open[v]).collect();
    let held: Vec<usize> = held.into_iter().filter(|s| usable(s)).collect();
    if it.min_nodes <= 1 && !wide {
        let fits = |&s: &usize| {
            let free = packing.slots[s].free;
            within(it.demand, free)
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
            std::cmp::Reverse(room(problem, packing, s, it.demand)),
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
            let asked = (0..RESOURCES).filter(|&r| it.demand[r] > 0);
            let part = |r: usize| free[r].min(it.demand[r]).saturating_mul(10_000) / it.demand[r];
            (std::cmp::Reverse(asked.map(part).min()), s)
        });
        gather(&list)
    })
}

/// The fewest slots of `list`, in its order, that hold `demand`.
fn gather(packing: &Packing, list: &[usize], demand: Amounts, min: usize, max: usize) -> Option<Vec<usize>> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut sum = NOTHING;
    for &s in list {
        let free = packing.slots[s].free;
        chosen.push(s);
        sum = plus(sum, free);
        let enough = |sum: Amounts| within(demand, sum);
        if enough(sum) && chosen.len() >= min {
            // Those that later ones made superfluous go again, the smallest first.
            let mut count = chosen.len();
            let mut kept = Vec::with_capacity(count);
            for &slot in chosen.iter().rev() {
                let free = packing.slots[slot].free;
                let without = minus(sum, free);
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
    let mut room = sum(slots.iter().map(|&s| packing.slots[s].free));
    for (at, &slot) in slots.iter().enumerate() {
        let after = (slots.len() - at - 1) as i64;
        let free = packing.slots[slot].free;
        let mut amount = NOTHING;
        for r in 0..RESOURCES {
            room[r] -= free[r];
            // What the slots after this one can hold need not go here.
            let least = (left[r] - room[r]).max(LEAST[r]);
            let most = free[r].min(left[r] - after * LEAST[r]).max(LEAST[r]);
            let share = left[r].saturating_mul(free[r]) / (room[r] + free[r]).max(1);
            amount[r] = if even {
                share.clamp(least.min(most), most)
            } else {
                most
            };
        }
        left = minus(left, amount);
        packing.put(problem, slot, item, amount);
    }
}
