//! What events confirm: the changes to the allocation and to the hooks that are owed. Pure.

use crate::model::{Allocation, Change, Topology, VmId};
use crate::translate::Action;

use super::effect::{Bindings, confirm, real_name, settle};
use super::event::{Event, FoundVm};
use super::owed;
use super::record::Execution;

/// What an event confirms.
#[derive(Debug, Default, PartialEq)]
pub struct Confirmed {
    /// The changes to the allocation.
    pub changes: Vec<Change>,
    /// The real name of a VM of the plan.
    pub bound: Option<(VmId, FoundVm)>,
}

/// What an event of an execution confirms. The work is that of the event's VM only, not of all VMs,
/// except if it makes tiers owe a hook.
#[must_use]
pub fn confirmed(
    topology: &Topology,
    execution: &Execution,
    event: &Event,
    allocation: &Allocation,
    bindings: &Bindings,
) -> Confirmed {
    let mut confirmed = of_event(topology, execution, event, allocation, bindings);
    owed::add(
        topology,
        execution,
        event,
        (allocation, bindings),
        &mut confirmed.changes,
    );
    confirmed
}

fn of_event(
    topology: &Topology,
    execution: &Execution,
    event: &Event,
    allocation: &Allocation,
    bindings: &Bindings,
) -> Confirmed {
    match event {
        Event::ActionSucceeded { action, finding } => {
            let Some(action) = execution.action(*action) else {
                return Confirmed::default();
            };
            let made = finding.vm.as_ref().map(|found| &found.name);
            let infrastructure = &topology.infrastructure;
            let shape = made.map_or(infrastructure.vm, |name| infrastructure.size_of(name));
            on_one_vm(action, made, allocation, bindings, |allocation, bindings| {
                confirm(allocation, bindings, shape, action, finding);
                owed::after(topology, allocation, bindings, action);
                owed::told_early(allocation, bindings, action, execution.since());
            })
        }
        Event::ActionFailed {
            action: number,
            left: Some(left),
            ..
        }
        | Event::ActionSettled {
            action: number,
            left: Some(left),
        } => {
            let Some(action) = execution.action(*number) else {
                return Confirmed::default();
            };
            on_one_vm(action, None, allocation, bindings, |allocation, bindings| {
                let was = owed::sizes(allocation);
                settle(allocation, bindings, action, left);
                if owed::sizes(allocation) != was {
                    owed::after(topology, allocation, bindings, action);
                }
                owed::drained(topology, execution, allocation, bindings, *number);
            })
        }
        // It may have had its effect: the hooks that would then be owed are run to be sure.
        Event::ActionFailed {
            action,
            left: None,
            unknown: true,
            ..
        } => {
            let Some(action) = execution.action(*action) else {
                return Confirmed::default();
            };
            on_one_vm(action, None, allocation, bindings, |allocation, bindings| {
                owed::after(topology, allocation, bindings, action);
            })
        }
        Event::Replanned { from, .. } => Confirmed {
            changes: Change::between(allocation, &from.clone().into()),
            bound: None,
        },
        Event::Lost(lost) => {
            let there = allocation.container(&lost.vm, &lost.container).map(|_| {
                let (vm, tier) = (lost.vm.clone(), lost.container.clone());
                Change::ContainerGone { vm, tier }
            });
            Confirmed {
                changes: there.into_iter().collect(),
                bound: None,
            }
        }
        Event::ActionStarted { .. }
        | Event::ActionProgressed { .. }
        | Event::CloudNoted { .. }
        | Event::Pulling { .. }
        | Event::AttemptFailed { .. }
        | Event::ActionFailed { .. }
        | Event::ActionSettled { .. }
        | Event::ActionSkipped { .. }
        | Event::ReplanFailed(_)
        | Event::RollbackBegun { .. }
        | Event::Resumed {}
        | Event::Held {}
        | Event::CancelRequested(_)
        | Event::ResumeRequested(_)
        | Event::RollbackRequested(_)
        | Event::Finished { .. } => Confirmed::default(),
    }
}

/// What `work` changes. It knows no VM other than the action's, and the one that it `made`.
fn on_one_vm(
    action: &Action,
    made: Option<&VmId>,
    allocation: &Allocation,
    bindings: &Bindings,
    work: impl FnOnce(&mut Allocation, &mut Bindings),
) -> Confirmed {
    let planned = action.vm();
    let names = [Some(real_name(bindings, planned)), made];
    let vms = names.into_iter().flatten().filter_map(|name| {
        let vm = allocation.vms.get(name)?;
        Some((name.clone(), vm.clone()))
    });
    let before = Allocation { vms: vms.collect() };
    let known = bindings
        .get(planned)
        .map(|found| (planned.clone(), found.clone()));
    let (mut after, mut bound) = (before.clone(), Bindings::from_iter(known));
    work(&mut after, &mut bound);
    let bound = bound.remove(planned).map(|found| (planned.clone(), found));
    Confirmed {
        changes: Change::between(&before, &after),
        bound: bound.filter(|(_, found)| bindings.get(planned) != Some(found)),
    }
}
