//! One look at what runs, compared with what should run. Pure.

use std::collections::BTreeMap;

use crate::engine::Observed;
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Plan, Topology, Vm, VmId, Whereabouts};

use crate::service::reconciler::difference::{Kind, Look, Place};
use crate::service::reconciler::drift::differences;

/// What differs on one VM.
pub fn on_vm(
    topology: &Topology,
    whereabouts: &Whereabouts<'_>,
    (name, vm): (&VmId, &Vm),
    seen: Result<&[Observed], &Fault>,
) -> Look {
    let place = |container: &str| Place {
        vm: Some(name.clone()),
        container: container.to_owned(),
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(fault) => {
            // If the cloud has taken a VM away, what was on it is certainly gone.
            let (kind, what) = match fault.code {
                Code::CloudRefused => (Kind::Missing, "VM gone"),
                Code::EngineChanged => (Kind::EngineChanged, "VM unreachable"),
                _ => (Kind::Unreachable, "VM unreachable"),
            };
            let unknown = |tier: &crate::model::TierId| {
                let details = vec![format!("{what}: {}", fault.message)];
                (place(tier.as_str()), (kind, details))
            };
            return vm.used.keys().map(unknown).collect();
        }
    };
    let there: BTreeMap<&str, &Observed> = seen.iter().map(|one| (one.name.as_str(), one)).collect();
    let names = vm
        .used
        .keys()
        .map(|tier| tier.as_str())
        .chain(there.keys().copied());
    let mut look = Look::new();
    for name in names {
        let found = differences(topology, whereabouts, vm.used.get(name), there.get(name).copied());
        // The first is the worst.
        if let Some(first) = found.first() {
            let details = found.iter().map(ToString::to_string).collect();
            look.insert(place(name), (Kind::from(first), details));
        }
    }
    look
}

/// The tiers of which the allocation holds something else than the last reached plan asks for,
/// because a repair failed or a VM was given up.
pub fn short(plan: &Plan, allocation: &Allocation) -> Look {
    let held = allocation.totals();
    let mut look = Look::new();
    for (tier, wanted) in &plan.tiers {
        let has = held.get(tier).copied().unwrap_or_default();
        if !wanted.fits(has) {
            let details = vec![format!("the plan asks for {wanted}, and {has} are held")];
            let place = Place {
                vm: None,
                container: tier.to_string(),
            };
            look.insert(place, (Kind::Short, details));
        }
    }
    look
}

/// The containers that are owed hooks which the topology names.
pub fn owed(topology: &Topology, allocation: &Allocation) -> Look {
    let mut look = Look::new();
    for (id, vm) in &allocation.vms {
        for (tier, held) in &vm.used {
            let Some(spec) = topology.tiers.get(tier) else {
                continue;
            };
            let mut details = Vec::new();
            if held.owed.scale && !spec.on_node_scale.is_empty() {
                details.push("its scale hook has not succeeded since it was created or updated".to_owned());
            }
            if held.owed.tier.is_some() && spec.on_dependency_scale.is_some() {
                details.push("its tier hook has not succeeded since a dependency changed".to_owned());
            }
            if !details.is_empty() {
                let (vm, container) = (Some(id.clone()), tier.to_string());
                look.insert(Place { vm, container }, (Kind::HookOwed, details));
            }
        }
    }
    look
}
