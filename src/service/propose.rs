//! From a plan to a proposal: the placement, and the actions that lead to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::{CloudVm, Offer};
use crate::engine::Observed;
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::{Allocation, Plan, Size, TierId, Topology, VmId};
use crate::solve::{Answer, EndedBy};
use crate::translate::Translation;

use super::leftovers::sweep;
use super::topology::invalid;
use super::turns::Turns;
use super::work_out::work_out;
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
}

/// What is, as far as it could be seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// VMs that the cloud knows.
    pub vms: Vec<CloudVm>,
    /// The confirmed allocation, with what the engines report of it.
    pub allocation: Allocation,
    /// What the engines of the allocation's VMs were seen to run.
    pub containers: BTreeMap<VmId, Vec<Observed>>,
}

impl Proposal {
    /// As translate and solve answer it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let stages = &self.translation.stages;
        let texts: Vec<Vec<String>> = stages
            .iter()
            .map(|stage| stage.iter().map(ToString::to_string).collect())
            .collect();
        let milliseconds = self.solve_time.as_secs_f64() * 1000.0;
        let mut answer = json!({
            "actions": texts,
            "stages": stages,
            "interrupts": self.translation.interrupts,
            "allocation": self.target,
            "objective": self.answer.objective,
            "bound": self.answer.bound,
            "gap": self.answer.gap,
            "proven_optimal": self.answer.proven_optimal,
            "ended_by": ended_by(self.answer.ended_by),
            "solve_ms": (milliseconds * 1000.0).round() / 1000.0,
            "warnings": self.warnings,
        });
        if let (Some(answer), Some(id)) = (answer.as_object_mut(), &self.plan_id) {
            answer.insert("plan_id".to_owned(), json!(id));
        }
        answer
    }
}

fn ended_by(ended: EndedBy) -> &'static str {
    match ended {
        EndedBy::Proof => "proof",
        EndedBy::WorkLimit => "work_limit",
        EndedBy::Deadline => "deadline",
        EndedBy::Stopped => "stopped",
    }
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

/// How long and how hard a placement is searched for.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// After that, the best found is the answer.
    pub deadline: Duration,
    /// Search until proven.
    pub exact: bool,
}

/// Whom a search stops for when he goes away.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Service {
    /// Places a plan on what is.
    pub(super) async fn propose(&self, snapshot: &Snapshot, plan: &Value) -> Result<Proposal, Fault> {
        let topology = snapshot.topology()?;
        let (plan, warnings) =
            Plan::parse(plan, &topology).map_err(|problems| invalid(Code::PlanInvalid, "plan", &problems))?;
        let cloud = self.inner.platform.cloud(&topology)?;
        let offer = self.to_the_end(async move { Ok(cloud.offer().await?) }).await?;
        let effort = Effort {
            deadline: self.inner.settings.solve_deadline,
            exact: false,
        };
        let reality = self.reality(snapshot, &topology, &offer).await?;
        let bounds = offer.bounds.clone();
        let mut proposal = self
            .place(
                &self.inner.solvers,
                Arc::clone(&topology),
                reality.allocation,
                plan,
                offer,
                effort,
            )
            .await
            .map_err(|fault| bounded(fault, &bounds))?;
        sweep(
            &topology,
            &proposal.target,
            &reality.seen,
            &mut proposal.translation.stages,
        );
        proposal.warnings.extend(warnings);
        proposal.warnings.extend(reality.warnings);
        proposal.seen.containers = reality.seen;
        Ok(proposal)
    }

    /// Looks at what is.
    pub(super) async fn see(&self, snapshot: &Snapshot, topology: &Arc<Topology>) -> Result<Seen, Fault> {
        let cloud = self.inner.platform.cloud(topology)?;
        let offer = self.to_the_end(async move { Ok(cloud.offer().await?) }).await?;
        let reality = self.reality(snapshot, topology, &offer).await?;
        Ok(Seen {
            vms: offer.vms,
            allocation: reality.allocation,
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
        offer: Offer,
        effort: Effort,
    ) -> Result<Proposal, Fault> {
        let turn = turns.take().await?;
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = StopOnDrop(Arc::clone(&stop));
        let span = tracing::debug_span!("solve");
        let outer = tracing::Span::current();
        let task = move || {
            let _turn = turn;
            let (_outer, _inside) = (outer.entered(), span.entered());
            work_out(&topology, &allocation, &plan, offer, effort, &stop)
        };
        let result = self
            .inner
            .runtime
            .spawn_blocking(task)
            .await
            .unwrap_or_else(|error| Err(super::crashed(&error)));
        self.inner.metrics.solved(&result);
        result
    }
}
