//! What follows from events: the allocation, and the state of an execution. Pure.

use std::sync::Arc;

use crate::execute::{ActionState, Event, Execution, Frozen, Progress, Stamped, confirmed};
use crate::fault::{Code, Fault};
use crate::journal::JournalError;
use crate::model::Allocation;

use crate::service::Snapshot;

/// The state of an execution before an event, in case the event can't be recorded.
pub enum Before {
    /// One action's state is all that the event touches.
    Action(usize, ActionState),
    /// All of it: for rare events.
    All(Box<Progress>),
}

impl Before {
    /// The present state, before `event`.
    #[must_use]
    pub fn of(progress: &Progress, event: &Event) -> Self {
        let action = event.action();
        match action.and_then(|index| Some((index, progress.actions.get(index)?.clone()))) {
            Some((index, state)) => Self::Action(index, state),
            None => Self::All(Box::new(progress.clone())),
        }
    }

    /// Restores the state as if the event had not come.
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

/// An execution that was cut off, as the running one. The allocation was stored with its events;
/// the names of new VMs are read from them again.
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
