//! The solver's answer: a placement, its cost, and how well that is proven.
//!
//! Plain data. It computes nothing; `verify` recomputes everything from it.

use std::time::Duration;

use super::evidence::{Finder, Prover};
use super::instance::{Amount, TierIx};

/// Where a VM of the answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VmRef {
    /// Index into [`super::Instance::vms`].
    Existing(usize),
    /// A VM still to be made.
    New {
        /// Counted from 0, over all shapes.
        number: usize,
        /// Index into [`super::Instance::shapes`].
        shape: usize,
    },
}

/// One VM in use, and the containers on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedVm {
    /// Which VM.
    pub vm: VmRef,
    /// Containers, by tier index, each tier at most once; never empty.
    pub containers: Vec<(TierIx, Amount)>,
}

/// Why the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum EndedBy {
    /// Bound and objective are equal, and no placement with that objective has fewer actions.
    Proof,
    /// The plan asks for what runs now, so nothing was searched for.
    Unchanged,
    /// The search has done all the work that it intends to do.
    WorkLimit,
    /// The clock cut the search: a faster machine may answer better.
    Deadline,
    /// The caller asked it to stop.
    Stopped,
}

impl EndedBy {
    /// Its name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How much was done, to compare runs on machines of different speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Neighbourhoods searched.
    pub neighbourhoods: u64,
    /// Nodes of the solver's own trees.
    pub nodes: u64,
    /// Mixed-integer or linear programs handed to HiGHS.
    pub programs: u64,
    /// All work that went through a meter, in ticks.
    pub ticks: u64,
    /// Bounds that a placement showed to be false, and that were dropped. Always 0, unless a method
    /// has a mistake.
    pub refused: u64,
}

/// What was found or proven, when, and by which method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Since the solve began.
    pub at: Duration,
    /// What.
    pub what: Progress,
}

/// One step of a solve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A placement, cheaper than those before.
    Found {
        /// Its cost.
        objective: u64,
        /// The method that found it.
        by: Finder,
    },
    /// A bound, higher than those before.
    Proved {
        /// The bound.
        bound: u64,
        /// The method that proved it.
        by: Prover,
    },
}

/// A checked placement.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// VMs in use, existing ones first by index, then new ones.
    pub placement: Vec<PlacedVm>,
    /// VMs kept, or made, with nothing on them.
    pub idle: Vec<VmRef>,
    /// The placement is the current allocation itself, and no VM is needlessly idle: there is
    /// nothing to do.
    pub unchanged: bool,
    /// Weighted cost of the placement.
    pub objective: u64,
    /// No placement can cost less than this.
    pub bound: u64,
    /// The method that proved the bound.
    pub proved_by: Prover,
    /// (objective − bound) / objective, 0 when both are 0.
    pub gap: f64,
    /// Whether `bound == objective`.
    pub proven_optimal: bool,
    /// Why the search ended.
    pub ended_by: EndedBy,
    /// Work done.
    pub counters: Counters,
    /// The steps on the way.
    pub trace: Vec<Step>,
}
