//! A lower bound for re-plans: containers kept are placed exactly, new ones only counted.
//!
//! The program decides which existing VMs are used, which containers on them are kept and with
//! how much, and how many VMs are new. A new container is not given a VM: it draws on the room
//! of all VMs together, a VM's worth at most each. Every placement is a solution of this
//! program at the same price, so its optimum, and any bound on it, is a bound on placements.
//!
//! Where new VMs can be larger than any that exists, a tier may be in fewer containers than now, but only by having VMs
//! made for it: containers too large for the others draw on the room of those ([`Most::small`]).
//!
//! It has a few variables for each container that exists, none for each pair of tier and VM,
//! and HiGHS closes it quickly where the whole program is out of reach.

#![allow(clippy::indexing_slicing)] // resources are those of the problem

use super::evidence::{Bound, Certificate, Prover};
use super::highs;
use super::problem::{Item, Kind, Problem};
use super::resources::{Amounts, LEAST, NOTHING, RESOURCES, larger, smaller, within};

mod program;

pub use program::solve as program;

/// A bound from the relaxation, and what it would keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaxed {
    /// What is proven.
    pub bound: Bound,
    /// A beginning for a placement; none where HiGHS found no solution.
    pub guide: Option<Guide>,
    /// Shadow prices of room, where they are known.
    pub toll: Option<Toll>,
}

impl Relaxed {
    /// A bound and nothing else.
    #[must_use]
    pub const fn bound(bound: Bound) -> Self {
        Self {
            bound,
            guide: None,
            toll: None,
        }
    }
}

/// Half a placement: VMs to use and containers to keep, before new containers are placed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guide {
    /// Existing VMs to use.
    pub open: Vec<usize>,
    /// New VMs to use: of which kinds.
    pub news: Vec<usize>,
    /// Containers to keep: VM, item, amount.
    pub keep: Vec<(usize, usize, Amounts)>,
}

/// Prices of room: of one step of each resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Toll {
    /// Of any VM.
    pub room: [f64; RESOURCES],
    /// What containers pay besides that only large VMs can hold.
    pub large: [f64; RESOURCES],
}

/// What one VM has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Of VMs that exist, and of kinds that are no larger.
    pub small: Amounts,
    /// Of all.
    pub largest: Amounts,
    /// For each resource: the least of the others that VMs have which are no larger, and have the most of this one.
    beside: [Amounts; RESOURCES],
}

impl Most {
    /// In a problem.
    #[must_use]
    pub fn of(problem: &Problem) -> Self {
        let largest = problem
            .existing
            .iter()
            .copied()
            .fold(problem.largest_new(), larger);
        let existing = problem.existing.iter().copied().fold(NOTHING, larger);
        // Where nothing exists, no kind is special.
        let small = if problem.existing.is_empty() {
            largest
        } else {
            existing
        };
        let kinds = problem.kinds.iter().map(|kind| kind.capacity);
        let others = || {
            problem
                .existing
                .iter()
                .copied()
                .chain(kinds.clone().filter(|&has| within(has, small)))
        };
        let beside = |r: usize| others().filter(|has| has[r] == small[r]).reduce(smaller);
        Self {
            small,
            largest,
            beside: std::array::from_fn(|r| beside(r).unwrap_or(NOTHING)),
        }
    }

    /// What goes to waste when a tier is on as few VMs as it can be without large ones: as what a problem says of each tier for all VMs.
    #[must_use]
    pub fn waste(&self, it: &Item) -> Amounts {
        if !self.matters_to(it.demand) {
            return it.waste;
        }
        let count = self.fewest(it.demand).max(it.min_nodes) as i64;
        let mut waste = NOTHING;
        for full in (0..RESOURCES).filter(|&r| LEAST[r] > 0) {
            if it.demand[full] != count.saturating_mul(self.small[full]) {
                continue;
            }
            for other in (0..RESOURCES).filter(|&r| r != full) {
                waste[other] = waste[other].max(count * self.beside[full][other] - it.demand[other]);
            }
        }
        waste
    }

    /// Whether VMs of a kind are larger than those that exist, in anything.
    #[must_use]
    pub fn is_large(&self, kind: &Kind) -> bool {
        !within(kind.capacity, self.small)
    }

    /// Whether a demand can be in fewer containers on large VMs.
    #[must_use]
    pub fn matters_to(&self, demand: Amounts) -> bool {
        self.small != self.largest && !within(demand, self.small)
    }

    /// Fewest containers of a demand without large VMs.
    #[must_use]
    pub fn fewest(&self, demand: Amounts) -> usize {
        let each = (0..RESOURCES)
            .filter(|&r| demand[r] > 0)
            .map(|r| match self.small[r] {
                // None of the VMs that exist has any: any number of them is too few.
                0 => super::problem::VM_CAP,
                has => usize::try_from((demand[r] + has - 1) / has).unwrap_or(super::problem::VM_CAP),
            });
        each.max().unwrap_or(0)
    }
}

/// Solves the relaxation, with whole numbers or (`integer` false) without. `None` if HiGHS came
/// to nothing in the time.
#[must_use]
pub fn solve(problem: &Problem, integer: bool, seconds: f64) -> Option<Relaxed> {
    let setting = Setting {
        integer,
        seconds,
        toll: None,
        elsewhere: 0,
        most: None,
    };
    let raw = program::solve(problem, setting)?;
    Some(Relaxed {
        bound: Bound {
            value: highs::round_up(raw.bound)?,
            by: Prover::Relaxation,
            certificate: Certificate::Stated { raw: raw.bound },
        },
        guide: raw.guide,
        toll: raw.toll,
    })
}

/// What is solved, and how.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Whole numbers, or their relaxation.
    pub integer: bool,
    /// Time for HiGHS.
    pub seconds: f64,
    /// Price of one step of each resource, in place of the demand that all VMs together must
    /// have room for. Then no VM is new.
    pub toll: Option<Toll>,
    /// So many VMs at the end of the list stand for others elsewhere and cost nothing.
    pub elsewhere: usize,
    /// What one VM has at most, where that is not to be seen from the VMs given.
    pub most: Option<Most>,
}

/// What HiGHS said.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Nothing is below this price; without the toll on demand and on all waste, which is constant.
    pub bound: f64,
    /// What it would keep.
    pub guide: Option<Guide>,
    /// Shadow prices of room, of a program without whole numbers.
    pub toll: Option<Toll>,
}
