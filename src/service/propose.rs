//! From a plan to a proposal: the placement, and the actions that lead to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{CloudVm, More, Offer};
use crate::engine::Observed;
use crate::execute::no_limits;
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::topology::OnForeign;
use crate::model::{Allocation, Plan, Size, TierId, Topology, Vm, VmId};
use crate::solve::Answer;
use crate::translate::{Action, Stage, Translation};

use super::crowd::{crowded_out, overfull};
use super::leftovers::{Strays, remove_first, sweep, without_strays};
use super::nodes::{Nodes, source};
use super::reality::{Unlimited, told};
use super::requirements::{Asked, Confine, Unknown, asked, confined, fresh};
use super::topology::invalid;
use super::turns::Turns;
use super::work_out::{Supply, work_out};
use super::{Service, Snapshot};

/// What would be done for a plan, and how good it is.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The allocation to reach.
    pub target: Allocation,
    /// The way there.
    pub translation: Translation,
    /// How good the placement is.
    pub answer: Answer,
    /// So many steps of its prices are one of the topology's weights.
    pub unit: u64,
    /// How long the placement was searched for.
    pub solve_time: Duration,
    /// What the plan's author should know.
    pub warnings: Vec<Warning>,
    /// What the plan asks for.
    pub plan: BTreeMap<TierId, Size>,
    /// What is.
    pub seen: Seen,
    /// Under which id it is sealed, where it is.
    pub plan_id: Option<String>,
    /// The revision of the hooks that it is sealed with.
    pub hooks_revision: Option<String>,
    /// Whether the answer tells how the search went.
    pub trace: bool,
}

/// What a request wants besides a plan.
#[derive(Clone, Copy)]
pub(super) struct Wishes<'r> {
    /// Containers that are to be restarted where they are, if they are still unhealthy.
    pub restart: &'r BTreeSet<(VmId, TierId)>,
    /// Where things are to be, or not.
    pub confine: &'r Confine,
}

impl Wishes<'static> {
    /// Nothing.
    pub fn none() -> Self {
        static RESTART: BTreeSet<(VmId, TierId)> = BTreeSet::new();
        static CONFINE: Confine = Confine {
            leave: BTreeMap::new(),
            only: BTreeMap::new(),
        };
        Self {
            restart: &RESTART,
            confine: &CONFINE,
        }
    }
}

/// What is, as far as it could be seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// VMs that the cloud knows.
    pub vms: Vec<CloudVm>,
    /// The confirmed allocation, with what the engines report of it.
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

/// Says what bounds the number of VMs, where no placement was found.
pub(super) fn bounded(mut fault: Fault, bounds: &[String]) -> Fault {
    if fault.code == Code::Infeasible && !bounds.is_empty() {
        let of_vms = |detail: &Value| {
            let code = detail.get("code").and_then(Value::as_str);
            matches!(code, Some("too_few_vms" | "ports_exhausted" | "together"))
        };
        if fault.details.iter().any(of_vms) {
            fault.message = format!("{}; {}", fault.message, bounds.join("; "));
        }
        fault.details.extend(
            bounds
                .iter()
                .map(|bound| json!({ "code": "cloud_bound", "reason": bound })),
        );
    }
    fault
}

/// Says which VMs could not be used, where no placement was found. One that can't be reached is then
/// what stands in the way.
fn for_lack_of(fault: Fault, unusable: Vec<Fault>) -> Fault {
    if fault.code != Code::Infeasible {
        return fault;
    }
    let Some(first) = unusable.first() else {
        return fault;
    };
    let messages: Vec<&str> = unusable.iter().map(|fault| fault.message.as_str()).collect();
    Fault {
        code: first.code,
        message: format!("{}; {}", messages.join("; "), fault.message),
        ..fault
    }
}

/// Says which nodes are none for which tiers, where no placement was found.
fn rejected(mut fault: Fault, asked: &Asked) -> Fault {
    if fault.code == Code::Infeasible {
        let lonely = asked.lonely();
        if !lonely.is_empty() {
            fault.message = format!("{}; {}", lonely.join("; "), fault.message);
        }
        fault.details.extend(asked.rejections());
    }
    fault
}

/// What the tiers of a plan ask of the nodes of an offer, and of those that it could give besides.
///
/// # Errors
///
/// When they ask too much of too many nodes.
pub(super) fn asked_of(
    topology: &Topology,
    plan: &Plan,
    nodes: &Nodes,
    offer: &Offer,
    confine: &Confine,
    unknown: Unknown,
) -> Result<Asked, Fault> {
    let more = match offer.more {
        More::Named => false,
        More::Anonymous { at_most } => at_most != Some(0),
    };
    let fresh = if more {
        fresh(nodes, source(topology), &topology.infrastructure.kinds())
    } else {
        Vec::new()
    };
    asked(topology, &plan.tiers, nodes, fresh, confine, unknown)
}

/// Containers without limits on the VMs that a placement sets out from or uses: as warnings, or, where the
/// topology wants that, as a refusal of what would put more beside them.
fn unlimited(
    topology: &Topology,
    proposal: &Proposal,
    unlimited: &BTreeMap<VmId, Vec<Unlimited>>,
) -> Result<Vec<Warning>, Fault> {
    let used =
        |vm: &VmId| proposal.target.vms.contains_key(vm) || proposal.seen.allocation.vms.contains_key(vm);
    let refuses = topology.infrastructure.foreign == OnForeign::Refuse;
    let grows = grows(&proposal.translation.stages);
    let mut warnings = Vec::new();
    let mut messages = Vec::new();
    let mut places = Vec::new();
    for (vm, containers) in unlimited.iter().filter(|(vm, _)| used(vm)) {
        for Unlimited { container, lacks } in containers {
            let message = no_limits(vm, container, lacks);
            if refuses && grows.contains(vm) {
                messages.push(message);
                places.push(json!({ "vm": vm, "container": container }));
            } else {
                warnings.push(told(message));
            }
        }
    }
    if messages.is_empty() {
        return Ok(warnings);
    }
    let message = format!(
        "{}; set its limits with `docker update`, or stop it (infrastructure.foreign is \"refuse\")",
        messages.join("; ")
    );
    Err(Fault::new(Code::ForeignUnlimited, message).with(places))
}

/// The VMs on which something is started, or gets more than it has.
fn grows(stages: &[Stage]) -> BTreeSet<&VmId> {
    let grows = |action: &&Action| match action {
        Action::CreateContainer { .. } | Action::ReplaceContainer { .. } => true,
        Action::UpdateContainer { size, was, .. } => size.cpu > was.cpu || size.mem > was.mem,
        Action::CreateVm { .. }
        | Action::DeleteVm { .. }
        | Action::DeleteContainer { .. }
        | Action::RunScaleHook { .. }
        | Action::RunTierHook { .. } => false,
    };
    stages.iter().flatten().filter(grows).map(Action::vm).collect()
}

/// How long and how hard a placement is searched for.
#[derive(Clone, Copy, Debug, utoipa::ToSchema)]
pub struct Effort {
    /// Milliseconds after which the best found is the answer.
    #[schema(rename = "deadline_ms", value_type = Option<f64>, minimum = 1, maximum = 86400000, example = 500)]
    pub deadline: Duration,
    /// Search until the answer is proven to be the cheapest.
    #[schema(value_type = Option<bool>, example = false)]
    pub exact: bool,
    /// Answer also with what was found and proven on the way.
    #[schema(value_type = Option<bool>, example = false)]
    pub trace: bool,
}

/// Stops the search when the client disconnects.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Service {
    /// Places a plan on what is. Containers that are to be restarted are, where they are still unhealthy.
    pub(super) async fn propose(
        &self,
        snapshot: &Snapshot,
        plan: &Value,
        wishes: Wishes<'_>,
    ) -> Result<Proposal, Fault> {
        let topology = snapshot.topology()?;
        let (plan, warnings) =
            Plan::parse(plan, &topology).map_err(|problems| invalid(Code::PlanInvalid, "plan", &problems))?;
        let cloud = self.inner.platform.cloud(&topology)?;
        let offer = self.to_the_end(async move { Ok(cloud.offer().await?) }).await?;
        let effort = Effort {
            deadline: self.inner.settings.solve_deadline,
            exact: false,
            trace: false,
        };
        let mut reality = self.reality(snapshot, &topology, &offer, &plan.tiers).await?;
        reality.restart(wishes.restart);
        let bounds = offer.bounds.clone();
        let spares = std::mem::take(&mut reality.spares);
        let unusable = spares.unusable.clone();
        let overfull = overfull(&reality.allocation, &reality.crowds);
        let asked = asked_of(
            &topology,
            &plan,
            &reality.nodes,
            &offer,
            wishes.confine,
            Unknown::IsFalse,
        )?;
        let supply = Supply {
            offer,
            spares,
            conditions: asked.conditions(snapshot.cordons.keys().cloned().collect()),
        };
        let placed_for = if wishes.confine.only.is_empty() {
            Arc::clone(&topology)
        } else {
            Arc::new(confined(&topology, wishes.confine))
        };
        let place = |allocation, supply| {
            let topology = Arc::clone(&placed_for);
            self.place(
                &self.inner.solvers,
                topology,
                allocation,
                plan.clone(),
                supply,
                effort,
            )
        };
        let mut strays = Strays::Last;
        let mut placed = place(reality.allocation.clone(), supply.clone()).await;
        if placed.as_ref().is_err_and(|fault| fault.code == Code::Infeasible)
            && let Some(without) = without_strays(&topology, &reality.allocation, &reality.seen)
        {
            strays = Strays::First;
            placed = place(without, supply).await;
        }
        let mut proposal = placed
            .map_err(|fault| crowded_out(fault, &reality.crowds))
            .map_err(|fault| rejected(fault, &asked))
            .map_err(|fault| for_lack_of(bounded(fault, &bounds), unusable))?;
        proposal.seen.allocation = reality.allocation;
        proposal.warnings.extend(overfull.into_iter().map(told));
        proposal.warnings.extend(asked.lonely().into_iter().map(told));
        let open = unlimited(&topology, &proposal, &reality.unlimited)?;
        proposal.warnings.extend(open);
        sweep(
            &topology,
            &proposal.target,
            &reality.seen,
            strays,
            &mut proposal.translation.stages,
        );
        remove_first(reality.surplus, &mut proposal.translation.stages);
        proposal.warnings.extend(warnings);
        proposal.warnings.extend(reality.warnings);
        let unseen = reality.silent.values().map(|fault| {
            told(format!(
                "{}; it could not be looked at, and is taken to be as it was confirmed",
                fault.message
            ))
        });
        proposal.warnings.extend(unseen);
        proposal.seen.silent = reality.silent;
        proposal.seen.containers = reality.seen;
        Ok(proposal)
    }

    /// Looks at what is.
    pub(super) async fn see(
        &self,
        snapshot: &Snapshot,
        topology: &Arc<Topology>,
        wanted: &BTreeMap<TierId, Size>,
    ) -> Result<Seen, Fault> {
        let cloud = self.inner.platform.cloud(topology)?;
        let offer = self.to_the_end(async move { Ok(cloud.offer().await?) }).await?;
        let reality = self.reality(snapshot, topology, &offer, wanted).await?;
        Ok(Seen {
            vms: offer.vms,
            allocation: reality.allocation,
            occupied: reality.spares.occupied,
            unseen: reality.spares.unseen,
            silent: reality.silent,
            containers: reality.seen,
        })
    }

    /// Runs the solver off the async threads. It is stopped when the caller goes away.
    pub(super) async fn place(
        &self,
        turns: &Turns,
        topology: Arc<Topology>,
        allocation: Allocation,
        plan: Plan,
        supply: Supply,
        effort: Effort,
    ) -> Result<Proposal, Fault> {
        let long = effort.deadline > self.inner.settings.solve_deadline;
        let turn = turns.take(long).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = StopOnDrop(Arc::clone(&stop));
        let span = tracing::debug_span!("solve");
        let outer = tracing::Span::current();
        let task = move || {
            let _turn = turn;
            let (_outer, _inside) = (outer.entered(), span.entered());
            work_out(&topology, &allocation, &plan, supply, effort, &stop)
        };
        let result = self
            .off_async(task)
            .await
            .unwrap_or_else(|| Err(super::crashed()));
        self.inner.metrics.solved(&result);
        result
    }
}
