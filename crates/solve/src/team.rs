//! Two workers on one improvement, with the same result whatever their relative speed.
//!
//! Work is done in rounds of a fixed number of steps, and joined after each. On small instances
//! each worker has a placement of its own, and both continue with the better one; on large ones
//! both work on the same placement, each on half of the VMs.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // slots are those of the packing that the masks were made for

use super::answer::Counters;
use super::improve::{self, Effort, Ended};
use super::packing::Packing;
use super::problem::Problem;
use super::rng::Rng;
use super::rules::Origin;

/// From this many VMs on, the workers divide them.
const DIVIDE: usize = 64;
/// A worker whose placement costs more by this many hundredths takes the other's.
const LAG: i64 = 1;

/// Both workers' placements; they may be the same.
pub struct Team {
    members: [Packing; 2],
    rng: Rng,
}

impl Team {
    /// A team that begins with these placements.
    #[must_use]
    pub const fn new(first: Packing, second: Packing, seed: u64) -> Self {
        Self {
            members: [first, second],
            rng: Rng::new(seed),
        }
    }

    /// The cheaper placement; the first if both cost the same.
    #[must_use]
    pub fn best(&self) -> &Packing {
        let [a, b] = &self.members;
        if b.cost < a.cost { b } else { a }
    }

    /// Hands in a placement from elsewhere, in place of the more expensive one.
    pub fn join(&mut self, packing: Packing) {
        let [a, b] = &mut self.members;
        let worse = if a.cost > b.cost { a } else { b };
        if packing.cost < worse.cost {
            *worse = packing;
        }
    }

    /// One round: both workers take `effort`, unless `ended` says stop at the price reached.
    pub fn round(&mut self, problem: &Problem, effort: Effort, ended: Ended<'_>, counters: &mut Counters) {
        let divide = self.best().slots.len() >= DIVIDE;
        if divide {
            self.divided(problem, effort, ended, counters);
        } else {
            let seeds = [self.rng.next_u64(), self.rng.next_u64()];
            let [a, b] = &mut self.members;
            both(problem, [a, b], [None, None], seeds, effort, ended, counters);
            let (x, y) = (self.members[0].cost, self.members[1].cost);
            if x * 100 > y * (100 + LAG) {
                self.members[0] = self.members[1].clone();
            } else if y * 100 > x * (100 + LAG) {
                self.members[1] = self.members[0].clone();
            }
        }
    }

    fn divided(&mut self, problem: &Problem, effort: Effort, ended: Ended<'_>, counters: &mut Counters) {
        let mut base = self.best().clone();
        spare_kinds(problem, &mut base);
        let slots = base.slots.len();
        let mut masks = [vec![false; slots], vec![false; slots]];
        for slot in 0..slots {
            masks[self.rng.below(2)][slot] = true;
        }
        let seeds = [self.rng.next_u64(), self.rng.next_u64()];
        let mut a = base.clone();
        let mut b = base.clone();
        let [first, second] = &masks;
        both(
            problem,
            [&mut a, &mut b],
            [Some(first), Some(second)],
            seeds,
            effort,
            ended,
            counters,
        );
        let joined = join(problem, &base, &a, &b, first);
        let best = joined.unwrap_or(if a.cost <= b.cost { a } else { b });
        self.members = [best.clone(), best];
    }
}

/// Makes sure that there are empty VMs of each kind to be used in place of others, if there are
/// several kinds: workers that divide the VMs make none.
fn spare_kinds(problem: &Problem, packing: &mut Packing) {
    if problem.kinds.len() < 2 {
        return;
    }
    for kind in 0..problem.kinds.len() {
        let mut made = 0;
        let mut empty = 0;
        for slot in packing.slots.iter().filter(|s| s.origin == Origin::New(kind)) {
            made += 1;
            empty += usize::from(slot.boxes.is_empty());
        }
        for _ in empty..SPARES.min(problem.kinds[kind].max.saturating_sub(made) + empty) {
            packing.add_new(problem, kind);
        }
    }
}

/// Empty VMs of each kind.
const SPARES: usize = 6;

fn both(
    problem: &Problem,
    packings: [&mut Packing; 2],
    masks: [Option<&Vec<bool>>; 2],
    seeds: [u64; 2],
    effort: Effort,
    ended: Ended<'_>,
    counters: &mut Counters,
) {
    let work = |packing: &mut Packing, mask: Option<&Vec<bool>>, seed: u64| {
        let mut counters = Counters::default();
        let mut rng = Rng::new(seed);
        let mask = mask.map(Vec::as_slice);
        improve::improve(problem, packing, effort, mask, &mut rng, ended, &mut counters);
        counters
    };
    let [a, b] = packings;
    let done = std::thread::scope(|scope| {
        let other = scope.spawn(|| work(b, masks[1], seeds[1]));
        let mine = work(a, masks[0], seeds[0]);
        // A worker that panicked has done nothing that counts.
        [mine, other.join().unwrap_or_default()]
    });
    for c in done {
        counters.neighbourhoods += c.neighbourhoods;
        counters.nodes += c.nodes;
    }
}

/// Slots marked in `first` as `a` left them, the others as `b` did; `None` if limits that
/// neither broke alone are broken together.
fn join(problem: &Problem, base: &Packing, a: &Packing, b: &Packing, first: &[bool]) -> Option<Packing> {
    let mut joined = base.clone();
    for slot in 0..base.slots.len() {
        joined.clear(problem, slot);
    }
    for (slot, &mine) in first.iter().enumerate() {
        let from = if mine { a } else { b };
        for &(item, amount) in &from.slots[slot].boxes {
            joined.put(problem, slot, item, amount);
        }
    }
    let spread = problem
        .items
        .iter()
        .zip(&joined.nodes)
        .all(|(item, nodes)| nodes.len() >= item.min_nodes && nodes.len() <= item.max_nodes);
    let apart = |(item, nodes): (usize, &Vec<usize>)| {
        let vms = nodes.iter().map(|&node| joined.slots[node].origin);
        problem.items[item].rule.keeps_apart(vms)
    };
    let apart = joined.nodes.iter().enumerate().all(apart);
    (spread && apart && joined.used <= problem.max_vms && joined.used_new <= problem.max_new)
        .then_some(joined)
}
