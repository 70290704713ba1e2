//! The state of an execution, as a machine over its events that refuses illegal ones. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::event::{Event, Outcome, Stamped};

/// Where one action stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// Begun; its effect may or may not have happened.
    Running,
    /// Its effect is confirmed.
    Succeeded,
    /// It failed.
    Failed,
}

/// One action's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ActionState {
    /// Where it stands.
    pub state: Status,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was first begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The failure's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Output of hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// An execution's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Each action's, through all stages.
    pub actions: Vec<ActionState>,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// An event that can't happen in the state that the execution is in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// There is no such action.
    #[error("there is no action {0}")]
    NoAction(usize),
    /// The action is not in a state for it.
    #[error("action {action} is {state:?}: it can't have the event {event}")]
    Action {
        /// Which.
        action: usize,
        /// Its state.
        state: Status,
        /// The event.
        event: &'static str,
    },
    /// The execution has ended.
    #[error("the execution has ended")]
    Ended,
    /// The execution can't have succeeded, since an action has not.
    #[error("action {0} has not succeeded, so the execution can't have")]
    Unfinished(usize),
}

impl Progress {
    /// An execution with that many actions, none begun.
    #[must_use]
    pub fn new(actions: usize) -> Self {
        Self {
            actions: vec![ActionState::default(); actions],
            outcome: None,
            finished_at: None,
        }
    }

    /// Replays a record.
    ///
    /// # Errors
    ///
    /// The first event that can't have happened.
    pub fn replay<'e>(
        actions: usize,
        events: impl IntoIterator<Item = &'e Stamped>,
    ) -> Result<Self, Illegal> {
        let mut progress = Self::new(actions);
        for stamped in events {
            progress.apply(stamped)?;
        }
        Ok(progress)
    }

    /// Takes one event in.
    ///
    /// # Errors
    ///
    /// When the event can't happen now; nothing has changed then.
    pub fn apply(&mut self, stamped: &Stamped) -> Result<(), Illegal> {
        if self.outcome.is_some() {
            return Err(Illegal::Ended);
        }
        let at = stamped.at;
        match &stamped.event {
            Event::ActionStarted { action, attempt } => {
                let state = self.action(*action)?;
                match state.state {
                    Status::Pending | Status::Running => {}
                    Status::Succeeded | Status::Failed => {
                        return Err(refuse(*action, state, "action_started"));
                    }
                }
                state.state = Status::Running;
                state.attempts = *attempt;
                state.started_at.get_or_insert(at);
            }
            Event::ActionSucceeded { action, finding } => {
                let state = self.running(*action, "action_succeeded")?;
                state.state = Status::Succeeded;
                state.finished_at = Some(at);
                state.output.clone_from(&finding.output);
            }
            Event::ActionFailed {
                action,
                error,
                code,
                output,
            } => {
                let state = self.running(*action, "action_failed")?;
                state.state = Status::Failed;
                state.finished_at = Some(at);
                state.error = Some(error.clone());
                state.code = Some(code.clone());
                state.output.clone_from(output);
            }
            Event::Finished { outcome } => {
                let unfinished = self
                    .actions
                    .iter()
                    .position(|action| action.state != Status::Succeeded);
                if let (Outcome::Succeeded, Some(action)) = (*outcome, unfinished) {
                    return Err(Illegal::Unfinished(action));
                }
                self.outcome = Some(*outcome);
                self.finished_at = Some(at);
            }
        }
        Ok(())
    }

    fn action(&mut self, action: usize) -> Result<&mut ActionState, Illegal> {
        self.actions.get_mut(action).ok_or(Illegal::NoAction(action))
    }

    fn running(&mut self, action: usize, event: &'static str) -> Result<&mut ActionState, Illegal> {
        let state = self.action(action)?;
        match state.state {
            Status::Running => Ok(state),
            Status::Pending | Status::Succeeded | Status::Failed => Err(refuse(action, state, event)),
        }
    }
}

fn refuse(action: usize, state: &ActionState, event: &'static str) -> Illegal {
    Illegal::Action {
        action,
        state: state.state,
        event,
    }
}
