//! What events add up to: the allocation, and the state of an execution. Pure.

use std::sync::Arc;

use crate::execute::{
    ActionState, Bindings, Event, Execution, FoundVm, Frozen, Progress, Stamped, confirm, real_name, settle,
};
use crate::fault::{Code, Fault};
use crate::journal::JournalError;
use crate::model::{Allocation, Change, Topology, VmId};
use crate::translate::Action;

use super::Snapshot;

/// What an event confirms.
#[derive(Debug, Default, PartialEq)]
pub struct Confirmed {
    /// What becomes different in the allocation.
    pub changes: Vec<Change>,
    /// The real name of a VM of the plan.
    pub bound: Option<(VmId, FoundVm)>,
}

/// What an event of an execution confirms. The work is that of the VM which the event is about, not
/// that of all VMs.
pub fn confirmed(
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
            let shape = topology.infrastructure.vm;
            let made = finding.vm.as_ref().map(|found| &found.name);
            on_one_vm(action, made, allocation, bindings, |allocation, bindings| {
                confirm(allocation, bindings, shape, action, finding);
            })
        }
        Event::ActionFailed {
            action,
            left: Some(left),
            ..
        }
        | Event::ActionSettled {
            action,
            left: Some(left),
        } => {
            let Some(action) = execution.action(*action) else {
                return Confirmed::default();
            };
            on_one_vm(action, None, allocation, bindings, |allocation, bindings| {
                settle(allocation, bindings, action, left);
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

/// What `work` changes, which knows no other VM than the action's, and the one that it `made`.
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

/// How an execution stood before an event, should the event not be kept.
pub enum Before {
    /// One action's state is all that the event touches.
    Action(usize, ActionState),
    /// All of it: for events of which there are few.
    All(Box<Progress>),
}

impl Before {
    /// As it stands, where `event` comes next.
    #[must_use]
    pub fn of(progress: &Progress, event: &Event) -> Self {
        let action = event.action();
        match action.and_then(|index| Some((index, progress.actions.get(index)?.clone()))) {
            Some((index, state)) => Self::Action(index, state),
            None => Self::All(Box::new(progress.clone())),
        }
    }

    /// As if the event had not come.
    pub fn restore(self, progress: &mut Progress) {
        match self {
            Self::Action(index, state) => {
                if let Some(action) = progress.actions.get_mut(index) {
                    *action = state;
                }
            }
            Self::All(before) => *progress = *before,
        }
    }
}

/// An execution that was cut off, as the running one. The allocation was kept with its events; the
/// names of new VMs are read from them again.
pub fn take_up(
    (frozen, events): (Frozen, Vec<Stamped>),
    now: &mut Snapshot,
) -> Result<Execution, JournalError> {
    let impossible = |illegal| JournalError::Unreadable(format!("an impossible history: {illegal}"));
    let mut execution = Execution {
        progress: Progress::new(frozen.actions().count()),
        frozen,
    };
    let bindings = Arc::make_mut(&mut now.bindings);
    let nothing = Allocation::default();
    for stamped in &events {
        execution.progress.apply(stamped).map_err(impossible)?;
        if let Some(topology) = &now.topology {
            let confirmed = confirmed(topology, &execution, &stamped.event, &nothing, bindings);
            bindings.extend(confirmed.bound);
        }
    }
    now.running = Some(execution.frozen.id);
    now.held = execution.progress.held;
    Ok(execution)
}

/// An execution that has ended, from its events.
pub fn replay((frozen, events): (Frozen, Vec<Stamped>)) -> Result<Execution, Fault> {
    Execution::replay(frozen, &events).map_err(|illegal| {
        Fault::new(
            Code::JournalUnavailable,
            format!("the journal holds an impossible history: {illegal}"),
        )
    })
}
