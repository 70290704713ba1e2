//! From a plan to a proposal: the placement, and the actions that lead to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::{CloudVm, More, Offer, Standing};
use crate::engine::Observed;
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::topology::Cloud as CloudSpec;
use crate::model::{Allocation, Plan, Size, TierId, Topology, Vm, VmId};
use crate::solve::pose::{PoseError, pose};
use crate::solve::{Answer, EndedBy, Limits, SolveError, solve};
use crate::translate::{Translation, translate};

use super::leftovers::sweep;
use super::members::keep_unremovable;
use super::reality::told;
use super::topology::invalid;
use super::turns::Turns;
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

    /// Answers a what-if. State is neither read nor changed.
    ///
    /// # Errors
    ///
    /// When the question is not valid or has no solution.
    pub async fn solve(&self, question: Value) -> Result<Proposal, Fault> {
        let what_if = WhatIf::parse(&question, self.inner.settings.solve_deadline)?;
        let WhatIf {
            topology,
            allocation,
            plan,
            effort,
            warnings,
        } = what_if;
        let offer = imagined(&topology);
        let mut proposal = self
            .place(&self.inner.what_ifs, topology, allocation, plan, offer, effort)
            .await?;
        proposal.warnings.extend(warnings);
        Ok(proposal)
    }
}

/// Answers a what-if without any service: what `mapek solve` runs.
///
/// # Errors
///
/// As [`Service::solve`].
pub fn what_if(question: &Value, deadline: Duration, stop: &AtomicBool) -> Result<Proposal, Fault> {
    let WhatIf {
        topology,
        allocation,
        plan,
        effort,
        warnings,
    } = WhatIf::parse(question, deadline)?;
    let mut proposal = work_out(&topology, &allocation, &plan, imagined(&topology), effort, stop)?;
    proposal.warnings.extend(warnings);
    Ok(proposal)
}

/// A stateless question.
pub struct WhatIf {
    topology: Arc<Topology>,
    allocation: Allocation,
    plan: Plan,
    effort: Effort,
    warnings: Vec<Warning>,
}

impl WhatIf {
    /// Reads `{"topology", "allocation", "plan", "deadline_ms"?, "exact"?}`.
    fn parse(question: &Value, deadline: Duration) -> Result<Self, Fault> {
        let bad = |message: &str| Fault::new(Code::RequestInvalid, message);
        let part = |key: &str| question.get(key).filter(|value| !value.is_null());
        if !question.is_object() {
            return Err(bad("should be an object with topology, allocation and plan"));
        }
        let topology = part("topology").ok_or_else(|| bad("topology is missing"))?;
        let plan = part("plan").ok_or_else(|| bad("plan is missing"))?;
        let parsed = Topology::parse(topology)
            .map_err(|problems| invalid(Code::TopologyInvalid, "topology", &problems))?;
        let topology = Arc::new(parsed.topology);
        let mut warnings = parsed.warnings;
        let empty = json!({});
        let step = topology.infrastructure.cpu_mode.step();
        let (allocation, notes) = Allocation::parse(part("allocation").unwrap_or(&empty), "allocation", step)
            .map_err(|problems| invalid(Code::AllocationInvalid, "allocation", &problems))?;
        warnings.extend(notes);
        let (plan, notes) =
            Plan::parse(plan, &topology).map_err(|problems| invalid(Code::PlanInvalid, "plan", &problems))?;
        warnings.extend(notes);
        let deadline = match part("deadline_ms") {
            None => deadline,
            Some(given) => match given.as_f64() {
                Some(ms) if (1.0..=86_400_000.0).contains(&ms) => Duration::from_secs_f64(ms / 1000.0),
                _ => {
                    return Err(bad(
                        "deadline_ms should be a number of milliseconds from 1 to 86400000",
                    ));
                }
            },
        };
        let exact = match part("exact") {
            None => false,
            Some(given) => given
                .as_bool()
                .ok_or_else(|| bad("exact should be true or false"))?,
        };
        // "Until proven" has no deadline unless the question sets one.
        let day = Duration::from_secs(86_400);
        let deadline = if exact && part("deadline_ms").is_none() {
            day
        } else {
            deadline
        };
        Ok(Self {
            topology,
            allocation,
            plan,
            effort: Effort { deadline, exact },
            warnings,
        })
    }
}

/// What the cloud of a what-if could give: no driver is asked.
fn imagined(topology: &Topology) -> Offer {
    let named = |name: VmId, ip: Option<String>| CloudVm {
        name,
        ip,
        endpoint: String::new(),
        standing: Standing::Ready,
    };
    match &topology.infrastructure.cloud {
        CloudSpec::Embedded => Offer::of_named(vec![named(VmId::new(crate::cloud::LOCALHOST), None)]),
        CloudSpec::Hosts(hosts) => Offer::of_named(
            hosts
                .iter()
                .map(|host| named(host.name.clone(), host.ip.clone()))
                .collect(),
        ),
        CloudSpec::AutoScaling(_) => Offer {
            more: More::Anonymous { at_most: None },
            ..Offer::of_named(Vec::new())
        },
    }
}

/// The whole way from a plan to its actions. Blocks for as long as the effort allows.
fn work_out(
    topology: &Topology,
    allocation: &Allocation,
    plan: &Plan,
    offer: Offer,
    effort: Effort,
    stop: &AtomicBool,
) -> Result<Proposal, Fault> {
    let spare: Vec<VmId> = match offer.more {
        More::Named => {
            let unused = offer
                .vms
                .iter()
                .filter(|vm| !allocation.vms.contains_key(&vm.name));
            unused.map(|vm| vm.name.clone()).collect()
        }
        More::Anonymous { .. } => Vec::new(),
    };
    let max_new = match offer.more {
        More::Named => u32::try_from(spare.len()).ok(),
        More::Anonymous { at_most } => at_most,
    };
    let name = |index: usize| spare.get(index).cloned().unwrap_or_else(|| VmId::new_vm(index));
    let posed = pose(topology, allocation, plan, max_new, None).map_err(unposed)?;
    let begun = Instant::now();
    let limits = Limits {
        deadline: effort.deadline,
        exact: effort.exact,
        ..Limits::default()
    };
    let answer = solve(&posed.instance, &limits, &|| begun.elapsed(), stop).map_err(unsolved)?;
    let solve_time = begun.elapsed();
    let mut target = posed.target(&answer, allocation, name);
    keep_least(topology, allocation, &mut target, name);
    let kept = keep_unremovable(allocation, &mut target, offer.removable);
    let warnings = kept
        .into_iter()
        .map(|vm| told(format!("VM '{vm}' is kept, idle: {}", offer.bounds.join("; "))))
        .collect();
    for (id, vm) in &mut target.vms {
        if vm.ip.is_none() {
            vm.ip = offer
                .vms
                .iter()
                .find(|known| known.name == *id)
                .and_then(|known| known.ip.clone());
        }
    }
    let translation = translate(topology, allocation, &target);
    Ok(Proposal {
        target,
        translation,
        answer,
        solve_time,
        warnings,
        plan: plan.tiers.clone(),
        seen: Seen {
            vms: offer.vms,
            allocation: allocation.clone(),
            containers: BTreeMap::new(),
        },
        plan_id: None,
    })
}

/// Keeps, or makes, idle VMs up to the topology's `min_vms`: outside of the objective, which knows
/// only VMs with containers.
fn keep_least(
    topology: &Topology,
    allocation: &Allocation,
    target: &mut Allocation,
    name: impl Fn(usize) -> VmId,
) {
    let least = usize::try_from(topology.infrastructure.min_vms).unwrap_or(usize::MAX);
    let idle: BTreeMap<&VmId, &Vm> = allocation
        .vms
        .iter()
        .filter(|(id, _)| !target.vms.contains_key(*id))
        .collect();
    let missing = least.saturating_sub(target.vms.len());
    for (id, vm) in idle.into_iter().take(missing) {
        target
            .vms
            .insert(id.clone(), Vm::empty(vm.ip.clone(), vm.capacity));
    }
    for vm in (0..).map(name).take(least + target.vms.len()) {
        if target.vms.len() >= least {
            break;
        }
        target
            .vms
            .entry(vm)
            .or_insert_with(|| Vm::empty(None, topology.infrastructure.vm));
    }
}

fn unposed(error: PoseError) -> Fault {
    Fault::new(Code::PlanInvalid, error.to_string())
}

fn unsolved(error: SolveError) -> Fault {
    match error {
        SolveError::Infeasible(infeasible) => {
            let reasons = infeasible
                .reasons
                .iter()
                .map(|reason| json!({ "code": reason.code.as_str(), "reason": reason.text }));
            let repair = infeasible
                .repair
                .iter()
                .map(|repair| json!({ "repair": repair.text }));
            Fault::new(Code::Infeasible, infeasible.to_string()).with(reasons.chain(repair))
        }
        SolveError::Undecided => Fault::new(Code::Undecided, error.to_string()),
        SolveError::Stopped => Fault::new(Code::Stopping, error.to_string()),
        SolveError::TooLarge(_) => Fault::new(Code::Infeasible, error.to_string()),
        SolveError::Refused(_) => Fault::new(Code::Internal, error.to_string()),
    }
}
