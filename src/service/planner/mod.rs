//! The planner: from a plan to a proposal, which is the placement and the actions that lead to it. Nothing is changed.

mod by_hand;
mod names;
pub(super) mod pins;
pub(super) mod place;
mod placement;
mod propose;
mod reasons;
mod replan;
pub(super) mod safety;
pub(super) mod sealed;
mod tags;
mod unsolved;
mod untold;
mod what_if;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cloud::CloudVm;
use crate::engine::Observed;
use crate::fault::Fault;
use crate::model::problem::Warning;
use crate::model::{Allocation, Size, TierId, Vm, VmId};
use crate::solve::Answer;
use crate::translate::Translation;

use crate::service::besides::Word;
use crate::service::requirements::Confine;

use place::Outdated;

pub use placement::Placement;
pub(super) use propose::asked_of;
pub use what_if::{WhatIf, check_what_if, what_if};

/// What would be done for a plan, and how good it is.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The allocation to reach.
    pub target: Allocation,
    /// The stages that lead there.
    pub translation: Translation,
    /// How good the placement is.
    pub answer: Answer,
    /// How many steps of its prices make one of the topology's weights.
    pub unit: u64,
    /// How long the placement was searched for.
    pub solve_time: Duration,
    /// What the plan's author should know.
    pub warnings: Vec<Warning>,
    /// What the plan asks for.
    pub plan: BTreeMap<TierId, Size>,
    /// What is there.
    pub seen: Seen,
    /// The id under which it is sealed, if it is.
    pub plan_id: Option<String>,
    /// The revision of the hooks that it is sealed with.
    pub hooks_revision: Option<String>,
    /// Whether the answer should contain the course of the search.
    pub trace: bool,
}

/// What a request wants in addition to a plan.
#[derive(Clone, Copy)]
pub(in crate::service) struct Wishes<'r> {
    /// Containers to restart where they are, if they are still unhealthy.
    pub restart: &'r BTreeSet<(VmId, TierId)>,
    /// Where things are to be, or not.
    pub confine: &'r Confine,
    /// Whose word counts where the plan and what is wanted besides name the same.
    pub word: Word,
    /// What becomes of what is outdated.
    pub outdated: Outdated,
    /// The app whose outdated containers are replaced in any case.
    pub renewed: Option<&'r str>,
}

impl Wishes<'static> {
    /// Nothing.
    pub fn none() -> Self {
        static RESTART: BTreeSet<(VmId, TierId)> = BTreeSet::new();
        static CONFINE: Confine = Confine {
            leave: BTreeSet::new(),
            only: BTreeMap::new(),
            vms: None,
        };
        Self {
            restart: &RESTART,
            confine: &CONFINE,
            word: Word::Plan,
            outdated: Outdated::Replaced,
            renewed: None,
        }
    }
}

/// What is there, as far as it could be seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// VMs that the cloud knows.
    pub vms: Vec<CloudVm>,
    /// The confirmed allocation, with what the engines report about it.
    pub allocation: Allocation,
    /// VMs that could be taken into use beside what others run there.
    pub occupied: BTreeMap<VmId, Vm>,
    /// VMs that could be taken into use and could not be looked at, and why.
    pub unseen: BTreeMap<VmId, Fault>,
    /// VMs in use that could not be looked at, and why.
    pub silent: BTreeMap<VmId, Fault>,
    /// What the engines of the allocation's VMs were seen to run.
    pub containers: BTreeMap<VmId, Vec<Observed>>,
}

/// How long and how hard a placement is searched for.
#[derive(Clone, Copy, Debug, utoipa::ToSchema)]
pub struct Effort {
    /// Milliseconds after which the best placement found is the answer.
    #[schema(rename = "deadline_ms", value_type = Option<f64>, minimum = 1, maximum = 86400000, example = 500)]
    pub deadline: Duration,
    /// Search until the answer is proven to be the cheapest.
    #[schema(value_type = Option<bool>, example = false)]
    pub exact: bool,
    /// Whether the answer should contain what was found and proven on the way.
    #[schema(value_type = Option<bool>, example = false)]
    pub trace: bool,
}
