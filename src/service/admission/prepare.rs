//! The result of a request, checked before anything is done: the plan, its actions, and everything
//! that they need.

use std::sync::Arc;

use serde_json::Value;

use crate::execute::{World, preflight};
use crate::fault::{Code, Fault};
use crate::model::Topology;
use crate::model::topology::{OnFailure, OnShortage};
use crate::translate::{Action, Stage};

use crate::service::admission::Request;
use crate::service::admission::checks::{cordoned, refuse, unconfirmed, unseen};
use crate::service::planner::place::Outdated;
use crate::service::planner::sealed::Course;
use crate::service::planner::{Seen, Wishes};
use crate::service::{Service, Snapshot};

/// The result of a request, with everything that it needs.
pub(in crate::service) struct Prepared {
    pub(super) plan: Value,
    pub(super) course: Course,
    pub(super) world: World,
    pub(super) on_failure: OnFailure,
    pub(super) on_shortage: OnShortage,
}

impl Service {
    /// The result of a request, based on a snapshot. Nothing is changed or recorded.
    ///
    /// # Errors
    ///
    /// When it can't be carried out, as far as that can be known beforehand.
    pub(in crate::service) async fn prepare(
        &self,
        snapshot: &Arc<Snapshot>,
        request: &Request,
    ) -> Result<Prepared, Fault> {
        let topology = snapshot.topology()?;
        let (plan, course) = self.course(snapshot, request).await?;
        if request.reconcile.is_some() && request.intent.is_none() && course.stages.is_empty() {
            let message = "no action would change anything about it";
            return Err(Fault::new(Code::Conflict, message));
        }
        let on_failure = request.on_failure.unwrap_or(topology.infrastructure.on_failure);
        let on_shortage = request.on_shortage.unwrap_or(topology.infrastructure.on_shortage);
        let other_ways = on_failure == OnFailure::Rollback || on_shortage == OnShortage::Replan;
        let needs_hooks = needs_hooks(&topology, &course.stages) || (other_ways && names_hooks(&topology));
        let world = self.world(&topology, &course.seen, needs_hooks).await?;
        refuse(preflight(&world, &snapshot.view(), &course.seen.containers, &course.stages).await)?;
        refuse(cordoned(snapshot, &course))?;
        refuse(unseen(&course))?;
        refuse(unconfirmed(&course))?;
        Ok(Prepared {
            plan,
            course,
            world,
            on_failure,
            on_shortage,
        })
    }

    /// The plan of a request and its actions: as they were shown, or worked out now.
    async fn course(&self, snapshot: &Arc<Snapshot>, request: &Request) -> Result<(Value, Course), Fault> {
        if let Some(id) = &request.plan_id {
            let seal = self.sealed(id).await?;
            let plan = request.plan.clone().unwrap_or_else(|| seal.plan.clone());
            return Ok((plan, self.unseal(snapshot, seal, request.plan.as_ref()).await?));
        }
        let missing = || Fault::new(Code::JsonUnreadable, "the body is empty; it should be a plan");
        let plan = request.plan.clone().ok_or_else(missing)?;
        if let Some(set) = &request.set {
            return Ok((plan, self.set_by_hand(snapshot, set).await?));
        }
        let wishes = Wishes {
            word: request.word,
            restart: &request.restart,
            confine: &request.confine,
            renewed: request.app.as_deref(),
            outdated: Outdated::for_what(request.reconcile.is_some() || request.intent.is_some()),
        };
        let proposal = self.propose(snapshot, &plan, wishes).await?;
        Ok((plan, proposal.into()))
    }

    /// The handles that an execution works with.
    pub(in crate::service) async fn world(
        &self,
        topology: &Arc<Topology>,
        seen: &Seen,
        needs_hooks: bool,
    ) -> Result<World, Fault> {
        let hooks = if needs_hooks {
            self.inner.platform.hooks(topology).await?
        } else {
            None
        };
        let settings = &self.inner.settings;
        Ok(World {
            cloud: self.inner.platform.cloud(topology)?,
            engines: self.inner.platform.engines(),
            vms: seen.vms.iter().map(|vm| (vm.name.clone(), vm.clone())).collect(),
            hooks,
            hook_deadline: settings.hook_deadline,
            from: seen.allocation.clone(),
            parallel: settings.parallel,
            parallel_on_vm: settings.parallel_on_vm,
            retry_for: settings.retry_for,
            outside: Arc::clone(&settings.outside),
            topology: Arc::clone(topology),
        })
    }
}

/// Whether any of these actions runs hooks, or makes a container in which some are to run before it
/// is stopped.
pub(in crate::service) fn needs_hooks(topology: &Topology, stages: &[Stage]) -> bool {
    let hook = |action: &Action| match action {
        Action::CreateContainer { container, .. } => {
            let tier = topology.tiers.get(container);
            tier.is_some_and(|tier| !tier.on_node_stop.is_empty())
        }
        Action::RunScaleHook { .. } | Action::RunTierHook { .. } => true,
        Action::DeleteContainer { hooks, .. } | Action::ReplaceContainer { hooks, .. } => !hooks.is_empty(),
        _ => false,
    };
    stages.iter().flatten().any(hook)
}

/// Whether a topology names any hook.
pub(in crate::service) fn names_hooks(topology: &Topology) -> bool {
    topology.tiers.values().any(|tier| tier.hooks().next().is_some())
}
