//! What a confirmed action changes in the allocation. Pure.

use std::collections::BTreeMap;

use crate::model::{Allocation, Container, Size, TierId, Vm, VmId};
use crate::translate::Action;

use super::event::{Finding, FoundVm, Left};

/// Real names of VMs that were made: from `new_vm0` to the name that it got.
pub type Bindings = BTreeMap<VmId, FoundVm>;

/// The real name of a VM of the plan.
#[must_use]
pub fn real_name<'a>(bindings: &'a Bindings, planned: &'a VmId) -> &'a VmId {
    bindings.get(planned).map_or(planned, |found| &found.name)
}

/// Applies a confirmed action to the allocation. `shape` is what a new VM has.
pub fn confirm(
    allocation: &mut Allocation,
    bindings: &mut Bindings,
    shape: Size,
    action: &Action,
    finding: &Finding,
) {
    if let (Action::CreateVm { vm }, Some(found)) = (action, &finding.vm) {
        bindings.insert(vm.clone(), found.clone());
        let entry = allocation.vms.entry(found.name.clone());
        entry.or_insert_with(|| Vm::empty(found.ip.clone(), shape));
        return;
    }
    let vm = real_name(bindings, action.vm()).clone();
    match action {
        Action::CreateContainer {
            container,
            size,
            cores,
            ..
        }
        | Action::UpdateContainer {
            container,
            size,
            cores,
            ..
        } => {
            if let Some(vm) = allocation.vms.get_mut(&vm) {
                let was = vm.used.get(container);
                let held = Container {
                    size: *size,
                    cores: cores.clone(),
                    owed: was.map(|was| was.owed).unwrap_or_default(),
                    revision: match action {
                        Action::CreateContainer { revision, .. } => revision.clone(),
                        _ => was.and_then(|was| was.revision.clone()),
                    },
                    addresses: match action {
                        Action::CreateContainer { .. } => finding.addresses.clone(),
                        _ => was.and_then(|was| was.addresses.clone()),
                    },
                    digest: match action {
                        Action::CreateContainer { digest, .. } => digest.clone(),
                        _ => was.and_then(|was| was.digest.clone()),
                    },
                };
                vm.used.insert(container.clone(), held);
            }
        }
        Action::ReplaceContainer {
            container,
            size,
            cores,
            revision,
            digest,
            ..
        } => {
            if let Some(vm) = allocation.vms.get_mut(&vm) {
                let held = Container {
                    size: *size,
                    cores: cores.clone(),
                    owed: vm.used.get(container).map(|was| was.owed).unwrap_or_default(),
                    revision: Some(revision.clone()),
                    addresses: finding.addresses.clone(),
                    digest: digest.clone(),
                };
                vm.used.insert(container.clone(), held);
            }
        }
        Action::DeleteContainer { container, .. } => {
            if let Some(vm) = allocation.vms.get_mut(&vm) {
                vm.used.remove(container);
            }
        }
        Action::DeleteVm { .. } => {
            allocation.vms.remove(&vm);
        }
        Action::RunScaleHook { container, .. } => {
            if let Some(held) = held(allocation, &vm, container) {
                held.owed.scale = false;
            }
        }
        // Those that were told that something is about to be removed must also be told when it has
        // been.
        Action::RunTierHook { leaving, .. } if !leaving.is_empty() => {}
        Action::RunTierHook { container, .. } => {
            if let Some(held) = held(allocation, &vm, container) {
                held.owed.tier = None;
            }
        }
        Action::CreateVm { .. } => {}
    }
}

fn held<'a>(allocation: &'a mut Allocation, vm: &VmId, tier: &TierId) -> Option<&'a mut Container> {
    allocation.vms.get_mut(vm)?.used.get_mut(tier)
}

/// Applies what a failed action left behind to the allocation.
pub fn settle(allocation: &mut Allocation, bindings: &Bindings, action: &Action, left: &Left) {
    let name = real_name(bindings, action.vm());
    let Some(tier) = action.container() else {
        if matches!((action, left), (Action::DeleteVm { .. }, Left::Nothing)) {
            allocation.vms.remove(name);
        }
        return;
    };
    let Some(vm) = allocation.vms.get_mut(name) else {
        return;
    };
    match left.container() {
        Some(mut container) => {
            let was = vm.used.get(tier);
            container.owed = was.map(|was| was.owed).unwrap_or_default();
            container.revision = container.revision.or_else(|| was?.revision.clone());
            container.addresses = container.addresses.or_else(|| was?.addresses.clone());
            container.digest = container.digest.or_else(|| was?.digest.clone());
            vm.used.insert(tier.clone(), container);
        }
        None => drop(vm.used.remove(tier)),
    }
}
