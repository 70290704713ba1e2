//! The current state, as everyone sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde_json::json;
use uuid::Uuid;

use crate::execute::{Bindings, View};
use crate::fault::{Code, Fault};
use crate::model::intent::{Cordon, Intent, State, Wanted};
use crate::model::topology::Cloud;
use crate::model::{Allocation, Change, Registrations, TierId, Topology, VmId};

use crate::service::besides::Besides;
use crate::service::desired::{Desired, PlanThatHolds};
use crate::service::document::Document;
use crate::service::observed::identity::Known;
use crate::service::reconciler::Difference;

/// The state at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The topology; None before the first.
    pub topology: Option<Arc<Topology>>,
    /// How often the topology has changed.
    pub generation: u64,
    /// What is confirmed. Shared, so that a snapshot costs nothing: whoever changes it changes it in
    /// place where nobody holds one, and a copy of it where somebody does.
    pub allocation: Arc<Allocation>,
    /// Counts changes of the allocation since the start.
    pub revision: u64,
    /// The running execution.
    pub running: Option<Uuid>,
    /// Whether it waits for a person to decide.
    pub held: bool,
    /// The plan that holds; None before the first.
    pub desired: Option<Arc<Desired>>,
    /// The plan that was reached last.
    pub reached: Option<Arc<Desired>>,
    /// Tiers that the newest execution was to tell of a dependency, and did not.
    pub untold: Arc<BTreeSet<TierId>>,
    /// What differed from what should be at the last look.
    pub differences: Arc<Vec<Difference>>,
    /// Real names of VMs that the running execution has made.
    pub bindings: Arc<Bindings>,
    /// Nodes that have registered themselves.
    pub registered: Arc<Registrations>,
    /// Nodes that take nothing new.
    pub cordons: Arc<BTreeMap<VmId, Cordon>>,
    /// Intents that are not over, in the order in which they were taken.
    pub intents: Arc<Vec<Intent>>,
    /// What is wanted besides plans.
    pub besides: Besides,
    /// The ids of the VMs' engines, as they were last recorded.
    pub(in crate::service) engines: Arc<Known>,
    /// Whether containers without an owner may be ours, because an earlier version made them.
    pub(in crate::service) unlabelled: bool,
    /// The topology in the form of an answer; made when it is first asked for.
    pub(in crate::service) shown_topology: Arc<OnceLock<Document>>,
    /// The allocation in the form of an answer; made when it is first asked for.
    pub(in crate::service) shown_allocation: Arc<OnceLock<Document>>,
}

impl Snapshot {
    /// Applies what is now confirmed.
    pub(in crate::service) fn change(&mut self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let allocation = Arc::make_mut(&mut self.allocation);
        for change in changes {
            allocation.apply(change);
        }
        self.revision += 1;
        self.shown_allocation = Arc::default();
    }

    /// Takes in how far an intent is.
    pub(in crate::service) fn show_intent(&mut self, intent: &Intent) {
        let open = Arc::make_mut(&mut self.intents);
        let place = open.iter().position(|known| known.id == intent.id);
        match (place, intent.state.is_over()) {
            (Some(place), true) => drop(open.remove(place)),
            (Some(place), false) => {
                if let Some(known) = open.get_mut(place) {
                    known.clone_from(intent);
                }
            }
            (None, true) => {}
            (None, false) => open.push(intent.clone()),
        }
    }

    /// The topology's machines are those that have registered, where they do so themselves.
    pub(super) fn fill_in_members(&mut self) {
        let registered = Arc::clone(&self.registered);
        let registers = |topology: &Arc<Topology>| matches!(topology.infrastructure.cloud, Cloud::Nodes(_));
        if let Some(topology) = self.topology.take_if(|topology| registers(topology)) {
            self.topology = Some(Arc::new(Arc::unwrap_or_clone(topology).with_members(&registered)));
        }
    }

    /// What it would be if these VMs were given up.
    #[must_use]
    pub(in crate::service) fn without(&self, vms: &BTreeSet<VmId>) -> Self {
        let mut without = self.clone();
        Arc::make_mut(&mut without.allocation)
            .vms
            .retain(|vm, _| !vms.contains(vm));
        without
    }

    /// Why everything is to leave a node, if an intent wants that.
    #[must_use]
    pub(in crate::service) fn drained(&self, node: &VmId) -> Option<String> {
        let wanted = |intent: &&Intent| {
            let drains = matches!(&intent.wanted, Wanted::Drain { node: drained } if drained == node);
            drains && !intent.state.is_over()
        };
        let intent = self.intents.iter().find(wanted)?;
        let why = match intent.state {
            State::Running => "is being drained",
            _ => "is to be drained",
        };
        Some(format!("it {why} (intent {})", intent.id))
    }

    /// The topology.
    ///
    /// # Errors
    ///
    /// When none was put yet.
    pub fn topology(&self) -> Result<Arc<Topology>, Fault> {
        let missing = || {
            Fault::new(
                Code::TopologyMissing,
                "there is no topology yet: PUT one to /api/topology first",
            )
        };
        self.topology.clone().ok_or_else(missing)
    }

    /// The plan that holds, and whether it was reached.
    #[must_use]
    pub fn plan_that_holds(&self) -> PlanThatHolds {
        PlanThatHolds::of(self.desired.as_deref(), self.differences.as_ref().clone())
    }

    /// Whether the plan that holds is the one that was reached last, and not one that failed or was
    /// cancelled since.
    #[must_use]
    pub(in crate::service) fn wants_what_was_reached(&self) -> bool {
        let execution = |plan: &Option<Arc<Desired>>| plan.as_ref().map(|plan| plan.execution);
        self.reached.is_some() && execution(&self.desired) == execution(&self.reached)
    }

    /// What is confirmed, with names of new VMs.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            allocation: Arc::clone(&self.allocation),
            bindings: Arc::clone(&self.bindings),
        }
    }

    /// The error for a request that is impossible while an execution runs.
    ///
    /// # Errors
    ///
    /// When one is running.
    pub fn idle(&self) -> Result<(), Fault> {
        let Some(id) = self.running else { return Ok(()) };
        let message = if self.held {
            format!("execution {id} is held: resume it, roll it back or cancel it")
        } else {
            format!("execution {id} is running: wait for it, or cancel it")
        };
        Err(Fault::new(Code::ExecutionRunning, message).with([json!({ "execution": id })]))
    }
}
