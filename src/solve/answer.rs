//! What the solver answers: a placement, what it costs, and how well that is proven.
//!
//! Plain data. It computes nothing; `verify` recomputes everything from it.

use super::instance::{Amount, TierIx};

/// Where a VM of the answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VmRef {
    /// Index into [`super::Instance::vms`].
    Existing(usize),
    /// The k-th VM still to be made, counted from 0.
    New(usize),
}

/// One VM in use and the containers on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedVm {
    /// Which VM.
    pub vm: VmRef,
    /// Containers, by tier index, each tier at most once; never empty.
    pub containers: Vec<(TierIx, Amount)>,
}

/// Why the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Bound and objective met.
    Proof,
    /// The fixed amount of work was done: the answer does not depend on the machine's speed.
    WorkLimit,
    /// The clock cut the search: a faster machine may answer better.
    Deadline,
    /// The caller asked it to stop.
    Stopped,
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
}

/// A checked placement.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// VMs in use, existing ones first by index, then new ones.
    pub placement: Vec<PlacedVm>,
    /// The placement is the current allocation itself: nothing is to be done, not even to VMs
    /// that stand idle.
    pub unchanged: bool,
    /// Weighted cost of the placement.
    pub objective: u64,
    /// No placement can cost less than this.
    pub bound: u64,
    /// (objective − bound) / objective, 0 when both are 0.
    pub gap: f64,
    /// Whether `bound == objective`.
    pub proven_optimal: bool,
    /// Why the search ended.
    pub ended_by: EndedBy,
    /// Work done.
    pub counters: Counters,
}
