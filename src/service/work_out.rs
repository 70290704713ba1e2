//! From a plan and what is to a placement and its actions. Pure but for the clock that the search is
//! bounded by.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::json;

use crate::cloud::{More, Offer};
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Plan, Topology, Vm, VmId};
use crate::solve::pose::{PoseError, pose};
use crate::solve::{Limits, SolveError, solve};
use crate::translate::translate;

use super::members::keep_unremovable;
use super::propose::{Effort, Proposal, Seen};
use super::reality::told;

/// The whole way from a plan to its actions. Blocks for as long as the effort allows.
pub(super) fn work_out(
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
