//! What events add up to: the allocation, and the state of an execution. Pure.

use crate::execute::{Bindings, Event, Execution, Frozen, Progress, Stamped, confirm, settle};
use crate::fault::{Code, Fault};
use crate::journal::JournalError;
use crate::model::{Allocation, Topology};

use super::Snapshot;

/// Takes into the allocation what an event confirms. Answers whether it confirms anything.
pub fn take_in(
    topology: &Topology,
    execution: &Execution,
    event: &Event,
    allocation: &mut Allocation,
    bindings: &mut Bindings,
) -> bool {
    let action = |index: usize| execution.actions().nth(index).map(|(_, action)| action);
    match event {
        Event::ActionSucceeded {
            action: index,
            finding,
        } => {
            let Some(action) = action(*index) else {
                return false;
            };
            confirm(allocation, bindings, topology.infrastructure.vm, action, finding);
            true
        }
        Event::ActionFailed {
            action: index,
            left: Some(left),
            ..
        } => {
            let Some(action) = action(*index) else {
                return false;
            };
            settle(allocation, bindings, action, left);
            true
        }
        Event::Replanned { from, .. } => {
            *allocation = from.clone().into();
            true
        }
        Event::Lost(lost) => {
            let vm = allocation.vms.get_mut(&lost.vm);
            vm.is_some_and(|vm| vm.used.remove(&lost.container).is_some())
        }
        Event::ActionStarted { .. }
        | Event::ActionProgressed { .. }
        | Event::CloudNoted { .. }
        | Event::AttemptFailed { .. }
        | Event::ActionFailed { .. }
        | Event::ActionSkipped { .. }
        | Event::ReplanFailed(_)
        | Event::RollbackBegun { .. }
        | Event::Resumed {}
        | Event::Finished { .. } => false,
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
    for stamped in &events {
        execution.progress.apply(stamped).map_err(impossible)?;
        if let Some(topology) = &now.topology {
            let mut ignored = Allocation::default();
            take_in(
                topology,
                &execution,
                &stamped.event,
                &mut ignored,
                &mut now.bindings,
            );
        }
    }
    now.running = Some(execution.frozen.id);
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
