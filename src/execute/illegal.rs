//! What can't have happened to an execution. Pure.

use crate::model::TierId;

use super::status::Status;

/// An event that can't happen in the state that the execution is in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// There is no such action.
    #[error("there is no action {0}")]
    NoAction(usize),
    /// The action is not in a state for it.
    #[error("action {action} is {state:?}: it can't have the event {event}")]
    Action {
        /// Its number.
        action: usize,
        /// Its state.
        state: Status,
        /// The event.
        event: &'static str,
    },
    /// The execution has ended.
    #[error("the execution has ended")]
    Ended,
    /// The execution can't end in this way while an action is running.
    #[error("action {0} is running, so the execution can't end or turn back")]
    StillRunning(usize),
    /// The execution can't have succeeded, since an action has not.
    #[error("action {0} has not succeeded, so the execution can't have")]
    Unfinished(usize),
    /// The execution can't have been undone, since the outcome of an action is not known.
    #[error("what became of action {0} is not known, so the execution can't have been undone")]
    Unknown(usize),
    /// The execution can't have succeeded, since a container has been lost.
    #[error("container {0} has been lost, so the execution can't have succeeded")]
    Lost(TierId),
    /// The action belongs to the way out, and the execution is being rolled back.
    #[error("the execution is on its way back, so action {0} can't be begun")]
    OnTheWayBack(usize),
    /// The action belongs to the first stages, and the plan has been placed again.
    #[error("the plan was placed again, so action {0} can't be begun")]
    OnTheSecondWay(usize),
    /// A plan is placed again at most once, on the way out, and after a VM did not come.
    #[error("a plan is placed again at most once, on the way out, and after an action has failed")]
    Replan,
    /// The execution has been cancelled: nothing more is begun, and it can only end as cancelled.
    #[error("the execution was cancelled, so nothing more is begun and it can only end as cancelled")]
    Cancelled,
    /// The execution is already being rolled back, or never ran.
    #[error("the way back is begun once, and before it can end")]
    Back,
}
