//! Which hooks are owed, according to what events confirm. Pure.
//!
//! A container is owed its scale hooks from its creation or update until they succeed, and its
//! dependency hook from the first change of a dependency until that hook succeeds. This is part of
//! what is confirmed about the container, so that it stays on record if an execution ends in
//! between. A container that is removed is owed nothing.

use std::collections::BTreeSet;

use crate::model::topology::Tier;
use crate::model::{Allocation, Change, Container, Since, Size, TierId, Topology, VmId};
use crate::translate::Action;

use super::effect::{Bindings, real_name};
use super::event::{Event, Outcome};
use super::record::Execution;
use super::status::Status;

/// After `action` has changed its container, or may have: its scale hooks are owed.
pub(super) fn after(topology: &Topology, allocation: &mut Allocation, bindings: &Bindings, action: &Action) {
    let (Action::CreateContainer { container, .. }
    | Action::UpdateContainer { container, .. }
    | Action::ReplaceContainer { container, .. }) = action
    else {
        return;
    };
    scale(topology, allocation, bindings, (action.vm(), container));
}

/// A hook that prepares its end has begun in the container, which was then not removed or replaced:
/// its scale hooks are owed, so that it works again.
pub(super) fn drained(
    topology: &Topology,
    execution: &Execution,
    allocation: &mut Allocation,
    bindings: &Bindings,
    number: usize,
) {
    let state = execution.progress.actions.get(number);
    if state.is_some_and(|state| state.hook.is_some())
        && let Some(
            Action::DeleteContainer { vm, container, .. } | Action::ReplaceContainer { vm, container, .. },
        ) = execution.action(number)
    {
        scale(topology, allocation, bindings, (vm, container));
    }
}

fn scale(
    topology: &Topology,
    allocation: &mut Allocation,
    bindings: &Bindings,
    (vm, container): (&VmId, &TierId),
) {
    let hooks = topology.tiers.get(container).map(|tier| &tier.on_node_scale);
    if hooks.is_none_or(Vec::is_empty) {
        return;
    }
    let vm = allocation.vms.get_mut(real_name(bindings, vm));
    if let Some(held) = vm.and_then(|vm| vm.used.get_mut(container)) {
        held.owed.scale = true;
    }
}

/// A container that was told of a coming removal is owed its dependency hook from then on: the
/// removal may not happen.
pub(super) fn told_early(allocation: &mut Allocation, bindings: &Bindings, action: &Action, since: Since) {
    let Action::RunTierHook {
        vm,
        container,
        leaving,
        ..
    } = action
    else {
        return;
    };
    let vm = allocation.vms.get_mut(real_name(bindings, vm));
    if let Some(held) = vm.and_then(|vm| vm.used.get_mut(container))
        && !leaving.is_empty()
    {
        held.owed.tier.get_or_insert(since);
    }
}

/// What is where, to see whether it has changed.
pub(super) fn sizes(allocation: &Allocation) -> Vec<(VmId, TierId, Container)> {
    let of_vm = |(id, vm): (&VmId, &crate::model::Vm)| {
        let held = vm.used.iter();
        let held = held.map(|(tier, held)| (id.clone(), tier.clone(), held.clone()));
        held.collect::<Vec<_>>()
    };
    allocation.vms.iter().flat_map(of_vm).collect()
}

/// Adds the dependency hooks that are owed for what `changes` in number, size, place or revision.
/// `allocation` is what was confirmed before.
pub(super) fn add(
    topology: &Topology,
    execution: &Execution,
    event: &Event,
    (allocation, bindings): (&Allocation, &Bindings),
    changes: &mut Vec<Change>,
) {
    // What was seen before the plan was placed again was not done by the execution.
    let unsure = unsure(execution, event);
    if matches!(event, Event::Replanned { .. }) || (changes.is_empty() && unsure.is_none()) {
        return;
    }
    let since = execution.since();
    for change in changes.iter_mut() {
        let Change::Container { vm, tier, is } = change else {
            continue;
        };
        if is.owed.tier.is_some() {
            continue;
        }
        let was = allocation.container(vm, tier);
        // A successor knows nothing of what its predecessor was told.
        let replaced = was.is_some_and(|was| was.is_replaced_by(is));
        // A hook without a dependency is never run.
        if let Some(spec) = topology.tiers.get(tier)
            && spec.on_dependency_scale.is_some()
            && !spec.depends_on.is_empty()
            && (replaced
                || (was.is_none()
                    && (dependency_changed(execution, spec) || told_late(execution, spec, vm, bindings))))
        {
            is.owed.tier = Some(since);
        }
    }
    let changed = changes.iter().flat_map(|one| resized(allocation, one));
    let changed: BTreeSet<TierId> = changed.chain(unsure.cloned()).collect();
    if changed.is_empty() {
        return;
    }
    let told = topology.tiers.values().filter(|tier| {
        let depends = tier.depends_on.iter().any(|other| changed.contains(other));
        tier.on_dependency_scale.is_some() && depends
    });
    for tier in told {
        for (vm, held) in allocation.places(&tier.id) {
            let gone = |change: &Change| matches!(change, Change::VmGone { vm: gone } if gone == vm);
            if held.owed.tier.is_some() || changes.iter().any(gone) {
                continue;
            }
            let mut is = held.clone();
            is.owed.tier = Some(since);
            let (vm, tier) = (vm.clone(), tier.id.clone());
            changes.push(Change::Container { vm, tier, is });
        }
    }
}

/// The tier whose number or size a failed action may have changed; nobody knows.
fn unsure<'e>(execution: &'e Execution, event: &Event) -> Option<&'e TierId> {
    let Event::ActionFailed {
        action,
        unknown: true,
        ..
    } = event
    else {
        return None;
    };
    match execution.action(*action)? {
        Action::UpdateContainer { size, was, .. } if size == was => None,
        Action::CreateContainer { container, .. }
        | Action::UpdateContainer { container, .. }
        | Action::ReplaceContainer { container, .. }
        | Action::DeleteContainer { container, .. } => Some(container),
        Action::CreateVm { .. }
        | Action::DeleteVm { .. }
        | Action::RunScaleHook { .. }
        | Action::RunTierHook { .. } => None,
    }
}

/// The tiers that a change makes more, fewer, or places elsewhere, or gives another revision.
fn resized(allocation: &Allocation, change: &Change) -> Vec<TierId> {
    let size = |vm, tier| allocation.container(vm, tier).map(|held| held.size);
    match change {
        Change::Container { vm, tier, is } if size(vm, tier) != Some(is.size) => vec![tier.clone()],
        Change::Container { vm, tier, is }
            if allocation
                .container(vm, tier)
                .is_some_and(|was| was.is_replaced_by(is)) =>
        {
            vec![tier.clone()]
        }
        Change::ContainerGone { tier, .. } => vec![tier.clone()],
        Change::VmGone { vm } => {
            let used = allocation.vms.get(vm).map(|vm| &vm.used);
            used.into_iter().flat_map(|used| used.keys().cloned()).collect()
        }
        Change::Container { .. } | Change::Vm { .. } => Vec::new(),
    }
}

/// The tiers that an execution was to tell of a dependency and did not, since it ended before. Those of their
/// containers that are there are owed it; those that were never made are told when they are.
#[must_use]
pub fn untold(execution: &Execution) -> BTreeSet<TierId> {
    match execution.progress.outcome {
        // What was undone is nothing to tell of.
        None | Some(Outcome::Succeeded | Outcome::RolledBack) => return BTreeSet::new(),
        Some(Outcome::Failed | Outcome::Cancelled | Outcome::RollbackFailed) => {}
    }
    let actions = execution.actions().zip(&execution.progress.actions);
    let open = actions.filter(|(_, state)| state.state != Status::Succeeded);
    open.filter_map(|((_, action), _)| match action {
        Action::RunTierHook { container, .. } => Some(container.clone()),
        _ => None,
    })
    .collect()
}

/// Whether an execution is to tell a container of its dependencies although it changes none of them: what it is
/// to be told of happened before.
fn told_late(execution: &Execution, tier: &Tier, vm: &VmId, bindings: &Bindings) -> bool {
    let changes = |action: &Action| {
        let of = action.container();
        let changes = match action {
            Action::CreateContainer { .. }
            | Action::DeleteContainer { .. }
            | Action::ReplaceContainer { .. } => true,
            Action::UpdateContainer { size, was, .. } => size != was,
            Action::CreateVm { .. }
            | Action::DeleteVm { .. }
            | Action::RunScaleHook { .. }
            | Action::RunTierHook { .. } => false,
        };
        changes && of.is_some_and(|of| tier.depends_on.contains(of))
    };
    let tells = |action: &Action| {
        let here = real_name(bindings, action.vm()) == vm && action.container() == Some(&tier.id);
        here && matches!(action, Action::RunTierHook { .. })
    };
    let mut actions = execution.actions().map(|(_, action)| action);
    actions.any(tells) && !execution.actions().any(|(_, action)| changes(action))
}

/// Whether a dependency of the tier was changed in the present direction of the execution: a
/// container that starts after that is told of it, too.
fn dependency_changed(execution: &Execution, tier: &Tier) -> bool {
    let was = &execution.frozen.from.allocation;
    let leg = execution.progress.leg();
    let done = execution.actions().zip(&execution.progress.actions).skip(leg);
    let mut done = done.filter(|(_, state)| state.state == Status::Succeeded);
    done.any(|((_, action), _)| {
        let changes = match action {
            Action::CreateContainer { .. } | Action::ReplaceContainer { .. } => true,
            Action::UpdateContainer { size, was, .. } => size != was,
            // What earlier executions left behind held nothing.
            Action::DeleteContainer {
                vm,
                container,
                was: held,
                ..
            } => {
                *held != Size::ZERO
                    && (execution.progress.back.is_some() || was.container(vm, container).is_some())
            }
            Action::CreateVm { .. }
            | Action::DeleteVm { .. }
            | Action::RunScaleHook { .. }
            | Action::RunTierHook { .. } => false,
        };
        changes
            && action
                .container()
                .is_some_and(|other| tier.depends_on.contains(other))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
