//! Improvement by large neighbourhoods: again and again, a few VMs are refilled at the least price.
//!
//! These few are chosen at random from a fixed seed, with a preference for VMs where something can
//! be gained: tiers in more pieces than they need, VMs that are almost empty, existing VMs that
//! would be deleted although a container could be kept there.

#![allow(clippy::indexing_slicing)] // slots and items are those of the packing

use super::answer::Counters;
use super::neighbourhood;
use super::packing::Packing;
use super::problem::Problem;
use super::rng::Rng;
use super::rules::Origin;
use super::watch::Watch;

/// Steps of one call.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Neighbourhoods to try.
    pub steps: u64,
    /// Nodes for each.
    pub nodes: u64,
}

/// When an improvement is over.
#[derive(Clone, Copy)]
pub struct Ended<'a> {
    /// Nothing can cost less.
    pub floor: i64,
    /// Time is up, or the caller left.
    pub watch: Watch<'a>,
}

impl Ended<'_> {
    fn at(&self, cost: i64) -> bool {
        cost <= self.floor || self.watch.cut().is_some()
    }
}

/// Improves `packing` in place until the effort is spent or `ended` ends it. With `mine`, only
/// slots marked there are touched.
pub fn improve(
    problem: &Problem,
    packing: &mut Packing,
    effort: Effort,
    mine: Option<&[bool]>,
    rng: &mut Rng,
    ended: Ended<'_>,
    counters: &mut Counters,
) {
    // Without tiers to place there is nothing to move, and nothing to choose from.
    if problem.items.is_empty() {
        return;
    }
    let mut picker = Picker {
        mine,
        chosen: Vec::new(),
    };
    for _ in 0..effort.steps {
        if ended.at(packing.cost) {
            return;
        }
        let slots = picker.pick(problem, packing, rng);
        if slots.len() < 2 {
            continue;
        }
        let done = neighbourhood::refill(problem, packing, &slots, effort.nodes, &ended.watch);
        counters.neighbourhoods += 1;
        counters.nodes += done.nodes;
    }
}

/// Fewest VMs in most neighbourhoods. Those of two or three cost less each, but the search then
/// gets stuck sooner, at a more expensive placement.
const MIN_VMS: usize = 4;
/// Most VMs in one neighbourhood.
const MAX_VMS: usize = 8;

struct Picker<'a> {
    /// The slots that may be chosen; `None`: all, and new ones.
    mine: Option<&'a [bool]>,
    chosen: Vec<usize>,
}

impl Picker<'_> {
    fn add(&mut self, slot: usize) {
        let free = self.mine.is_none_or(|mine| mine[slot]);
        if free && self.chosen.len() < MAX_VMS && !self.chosen.contains(&slot) {
            self.chosen.push(slot);
        }
    }

    fn pick(&mut self, problem: &Problem, packing: &mut Packing, rng: &mut Rng) -> Vec<usize> {
        self.chosen.clear();
        let mut size = MIN_VMS + rng.below(MAX_VMS - MIN_VMS);
        // If there are several kinds of new VM, one of another kind may replace one or two.
        if problem.kinds.len() > 1 && rng.below(2) == 0 {
            size = 2 + rng.below(3);
            self.spare(problem, packing, rng);
        }
        match rng.below(10) {
            0..=3 => self.divided_tier(problem, packing, rng),
            4 | 5 => self.light_vm(packing, rng),
            6 | 7 => self.idle_existing(problem, packing, rng),
            8 if self.mine.is_none() => self.spare(problem, packing, rng),
            _ => {}
        }
        let mut tries = 0;
        while self.chosen.len() < size && tries < 4 * MAX_VMS {
            tries += 1;
            // New VMs are all alike, so if there are no others, being related says little.
            let kinds = if problem.existing.is_empty() { 2 } else { 4 };
            let slot = match rng.below(kinds) {
                0 => used(packing, rng),
                1 => roomy(packing, rng),
                _ => self.related(problem, packing, rng),
            };
            if let Some(slot) = slot {
                self.add(slot);
            }
        }
        let mut slots = std::mem::take(&mut self.chosen);
        rng.shuffle(&mut slots);
        slots
    }

    /// Some VMs of a tier that is in more pieces than it needs.
    fn divided_tier(&mut self, problem: &Problem, packing: &Packing, rng: &mut Rng) {
        for _ in 0..24 {
            let item = rng.below(problem.items.len());
            let nodes = &packing.nodes[item];
            if nodes.len() > problem.items[item].min_nodes {
                let from = rng.below(nodes.len());
                for at in 0..nodes.len().min(2 + rng.below(2)) {
                    self.add(nodes[(from + at) % nodes.len()]);
                }
                return;
            }
        }
    }

    /// The VM with the most room of a sample, to be emptied.
    fn light_vm(&mut self, packing: &Packing, rng: &mut Rng) {
        for _ in 0..2 {
            if let Some(slot) = roomy(packing, rng) {
                self.add(slot);
            }
        }
    }

    /// An existing VM that is not used, and VMs that hold what it holds now.
    fn idle_existing(&mut self, problem: &Problem, packing: &Packing, rng: &mut Rng) {
        let existing = problem.existing.len();
        for _ in 0..16.min(existing) {
            let vm = rng.below(existing);
            let idle = packing.slots[vm].boxes.is_empty();
            let lost = problem.held[vm]
                .iter()
                .find(|h| !packing.nodes[h.0].is_empty() && !packing.nodes[h.0].contains(&vm));
            if let (true, _) | (_, Some(_)) = (idle, lost) {
                self.add(vm);
                if let Some(&(item, _)) = lost {
                    let nodes = &packing.nodes[item];
                    self.add(nodes[rng.below(nodes.len())]);
                }
                return;
            }
        }
    }

    /// A new VM that is not used yet.
    fn spare(&mut self, problem: &Problem, packing: &mut Packing, rng: &mut Rng) {
        let existing = problem.existing.len();
        let several = problem.kinds.len() > 1;
        let kind = if several {
            rng.below(problem.kinds.len())
        } else {
            0
        };
        let wanted = Origin::New(kind);
        let new = existing..packing.slots.len();
        let is_spare = |s: &usize| packing.slots[*s].boxes.is_empty() && packing.slots[*s].origin == wanted;
        let spare = match (self.mine, several) {
            (Some(mine), _) => new.rev().find(|s| mine[*s] && is_spare(s)),
            (None, true) => new.rev().find(is_spare),
            (None, false) => new.into_iter().find(is_spare),
        };
        let may_make = || {
            let made = match several {
                true => packing.made(problem)[kind],
                false => packing.slots.len() - existing,
            };
            problem
                .kinds
                .get(kind)
                .is_some_and(|k| made < k.max.min(problem.max_new))
        };
        match spare {
            Some(slot) => self.add(slot),
            None if self.mine.is_none() && may_make() && (several || rng.below(4) == 0) => {
                let slot = packing.add_new(problem, kind);
                self.add(slot);
            }
            None => {}
        }
    }

    /// A VM that shares a tier with one already chosen, now or in the placement: the other can take
    /// what one gives up.
    fn related(&self, problem: &Problem, packing: &Packing, rng: &mut Rng) -> Option<usize> {
        let from = &packing.slots[*self.chosen.get(rng.below(self.chosen.len().max(1)))?];
        let held = problem.held_by(from.origin);
        let items = from.boxes.iter().chain(held).map(|b| b.0);
        let item = items.clone().nth(rng.below(items.count().max(1)))?;
        let slots = packing.nodes[item].iter().chain(&problem.items[item].held_on);
        slots.clone().nth(rng.below(slots.count().max(1))).copied()
    }
}

/// A random VM in use.
fn used(packing: &Packing, rng: &mut Rng) -> Option<usize> {
    (0..32)
        .map(|_| rng.below(packing.slots.len()))
        .find(|&s| !packing.slots[s].boxes.is_empty())
}

/// The one with the most room of a few random VMs in use.
fn roomy(packing: &Packing, rng: &mut Rng) -> Option<usize> {
    let sample: Vec<usize> = (0..6).filter_map(|_| used(packing, rng)).collect();
    sample
        .into_iter()
        .max_by_key(|&s| packing.slots[s].free[0] + packing.slots[s].free[1])
}
