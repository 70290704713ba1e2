//! From a plan and what is to a placement and its actions. Pure but for the clock that the search is
//! bounded by.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use serde_json::json;
use tokio::time::Instant;

use crate::cloud::{CloudVm, More, Offer};
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Plan, Topology, VmId};
use crate::solve::pose::{PoseError, pose};
use crate::solve::{Limits, SolveError, solve};
use crate::translate::translate;

use super::members::keep_unremovable;
use super::propose::{Effort, Proposal, Seen};
use super::reality::{Spares, told};

/// The VMs that a placement may use besides those of the allocation.
pub(super) struct Supply {
    /// What the cloud has and could give.
    pub offer: Offer,
    /// Of the VMs with names of their own, those that could be taken into use.
    pub spares: Spares,
}

impl Supply {
    /// Takes every VM that is not in use to be as the topology says: nobody can look at it.
    pub fn unseen(offer: Offer, allocation: &Allocation) -> Self {
        let unused = |vm: &&CloudVm| !allocation.vms.contains_key(&vm.name);
        let names = offer.vms.iter().filter(unused).map(|vm| vm.name.clone());
        let spares = Spares {
            clean: names.collect(),
            ..Spares::default()
        };
        Self { offer, spares }
    }
}

/// The whole way from a plan to its actions. Blocks for as long as the effort allows.
pub(super) fn work_out(
    topology: &Topology,
    allocation: &Allocation,
    plan: &Plan,
    supply: Supply,
    effort: Effort,
    stop: &AtomicBool,
) -> Result<Proposal, Fault> {
    let Supply { offer, spares } = supply;
    let clean: Vec<&VmId> = spares.clean.iter().chain(spares.unseen.keys()).collect();
    let max_new = match offer.more {
        More::Named => u32::try_from(clean.len()).ok(),
        More::Anonymous { at_most } => at_most,
    };
    let free = FreeNames::beside(allocation);
    let name = |index: usize| {
        clean
            .get(index)
            .map_or_else(|| free.nth(index), |name| (*name).clone())
    };
    let posed = pose(topology, allocation, &spares.occupied, plan, max_new, None).map_err(unposed)?;
    let begun = Instant::now();
    let limits = Limits {
        deadline: effort.deadline,
        exact: effort.exact,
        ..Limits::default()
    };
    let answer = solve(&posed.instance, &limits, &|| begun.elapsed(), stop).map_err(unsolved)?;
    let solve_time = begun.elapsed();
    let mut target = posed.target(&answer, allocation, name);
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
            occupied: spares.occupied,
            unseen: spares.unseen,
            silent: BTreeMap::new(),
            containers: BTreeMap::new(),
        },
        plan_id: None,
        trace: effort.trace,
    })
}

/// Names of VMs still to be made that no VM has yet: the allocation of an earlier answer, asked with again,
/// has some of them.
struct FreeNames {
    /// Numbers of those that are taken, ascending.
    taken: Vec<usize>,
}

impl FreeNames {
    fn beside(allocation: &Allocation) -> Self {
        let number = |id: &VmId| {
            let number = id.as_str().strip_prefix("new_vm")?.parse().ok()?;
            (VmId::new_vm(number) == *id).then_some(number)
        };
        let mut taken: Vec<usize> = allocation.vms.keys().filter_map(number).collect();
        taken.sort_unstable();
        Self { taken }
    }

    fn nth(&self, index: usize) -> VmId {
        let skip = |number, &taken: &usize| if taken <= number { number + 1 } else { number };
        VmId::new_vm(self.taken.iter().fold(index, skip))
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
        SolveError::TooLarge(_) => Fault::new(Code::PlanTooLarge, error.to_string()),
        SolveError::Refused(_) => Fault::new(Code::Internal, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Size, Vm};

    #[test]
    fn new_vms_take_no_name_that_is_taken() {
        let mut allocation = Allocation::default();
        for name in ["new_vm0", "new_vm2", "new_vm3", "new_vm05", "new_vmx", "i-1"] {
            let vm = Vm::empty(None, Size::new(1, 1));
            allocation.vms.insert(VmId::new(name), vm);
        }
        let free = FreeNames::beside(&allocation);
        let names: Vec<VmId> = (0..4).map(|index| free.nth(index)).collect();
        assert_eq!(names, [1, 4, 5, 6].map(VmId::new_vm));
    }
}
