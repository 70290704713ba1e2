//! The state of an execution, as a machine over its events that refuses illegal ones. Pure.

use jiff::Timestamp;

use crate::model::Allocation;
use crate::translate::Stage;

use super::asked::By;
use super::event::{Direction, Event, Lost, Outcome, Stamped, Unplaced};
use super::illegal::Illegal;
use super::status::{ActionState, Status};

/// An execution's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Each action's, through all stages: those of a second way out after those of the first, those
    /// of the way back last.
    pub actions: Vec<ActionState>,
    /// The second way out, where too few VMs came for the first.
    pub second: Option<Second>,
    /// Why there is none, where too few VMs came and it was looked for.
    pub unplaced: Option<Unplaced>,
    /// The way back, once it was begun.
    pub back: Option<Back>,
    /// What the cloud driver recorded last.
    pub note: Option<serde_json::Value>,
    /// How many times another service took it up.
    pub resumed: u32,
    /// Who asked first that it is cancelled.
    pub cancelled: Option<By>,
    /// Which direction a person chose last, after it was cut off.
    pub chosen: Option<Direction>,
    /// Whether it waits for a person to decide.
    pub held: bool,
    /// What was confirmed, and no longer ran at the end.
    pub lost: Vec<Lost>,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// The way out over the VMs that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Number of its first action.
    pub first: usize,
    /// What should be.
    pub target: Allocation,
    /// Its stages.
    pub stages: Vec<Stage>,
}

/// The way back from a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Back {
    /// Number of its first action.
    pub first: usize,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// How many containers had been lost when it began.
    pub lost: usize,
}

impl Progress {
    /// An execution with that many actions, none begun.
    #[must_use]
    pub fn new(actions: usize) -> Self {
        Self {
            actions: vec![ActionState::default(); actions],
            ..Self::default()
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

    /// Applies one event.
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
            Event::ActionStarted { action, attempt } => self.start(*action, *attempt, at)?,
            Event::AttemptFailed { action, error } => {
                self.running(*action, "attempt_failed")?.error = Some(error.clone());
            }
            Event::ActionProgressed {
                action,
                progress,
                hook,
                output,
                ..
            } => {
                let state = self.running(*action, "action_progressed")?;
                if output.is_none() {
                    state.progress = Some(progress.clone());
                }
                if hook.is_some() {
                    state.hook.clone_from(hook);
                }
            }
            // Only progress.
            Event::Pulling { .. } => {}
            Event::CloudNoted { note } => self.note = Some(note.clone()),
            Event::ActionSucceeded { action, finding } => {
                let state = self.running(*action, "action_succeeded")?;
                state.state = Status::Succeeded;
                state.finished_at = Some(at);
                state.error = None;
                state.output.clone_from(&finding.output);
            }
            Event::ActionFailed {
                action,
                error,
                code,
                output,
                left: _,
                unknown,
            } => {
                let state = self.failing(*action)?;
                state.state = Status::Failed;
                state.finished_at = Some(at);
                state.error = Some(error.clone());
                state.code = Some(code.clone());
                state.output.clone_from(output);
                state.unknown = *unknown;
            }
            Event::ActionSettled { action, left: _ } => {
                let state = self.action(*action)?;
                if !state.unknown {
                    return Err(refuse(*action, state, "action_settled"));
                }
                state.unknown = false;
            }
            Event::ActionSkipped { action, because } => self.skip(*action, *because)?,
            Event::Replanned { target, stages, .. } => self.turn(target, stages)?,
            Event::ReplanFailed(unplaced) => {
                self.short()?;
                self.unplaced = Some(unplaced.clone());
            }
            Event::RollbackBegun { stages } => self.turn_back(stages)?,
            Event::Resumed {} => {
                self.resumed += 1;
                self.held = false;
            }
            Event::Held {} => {
                self.not_cancelled()?;
                self.held = true;
            }
            Event::CancelRequested(by) => {
                self.cancelled.get_or_insert_with(|| by.clone());
                self.held = false;
            }
            Event::ResumeRequested(_) => self.choose(Direction::Forward)?,
            Event::RollbackRequested(_) => self.choose(Direction::Back)?,
            Event::Lost(lost) => self.lost.push(lost.clone()),
            Event::Finished { outcome } => self.finish(*outcome, at)?,
        }
        Ok(())
    }

    /// Whether nothing was begun yet, and nobody has taken it up.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.resumed == 0 && self.actions.iter().all(|action| action.state == Status::Pending)
    }

    fn start(&mut self, action: usize, attempt: u32, at: Timestamp) -> Result<(), Illegal> {
        if self.back.as_ref().is_some_and(|back| action < back.first) {
            return Err(Illegal::OnTheWayBack(action));
        }
        if self.second.as_ref().is_some_and(|second| action < second.first) {
            return Err(Illegal::OnTheSecondWay(action));
        }
        let cancelled = self.not_cancelled();
        let state = self.action(action)?;
        match state.state {
            Status::Pending => cancelled?,
            // An action whose effect is unknown is finished all the same.
            Status::Running => {}
            Status::Succeeded | Status::Failed | Status::Skipped => {
                return Err(refuse(action, state, "action_started"));
            }
        }
        state.state = Status::Running;
        state.attempts = attempt;
        state.started_at.get_or_insert(at);
        Ok(())
    }

    fn choose(&mut self, direction: Direction) -> Result<(), Illegal> {
        self.not_cancelled()?;
        self.chosen = Some(direction);
        self.held = false;
        Ok(())
    }

    fn not_cancelled(&self) -> Result<(), Illegal> {
        match self.cancelled {
            None => Ok(()),
            Some(_) => Err(Illegal::Cancelled),
        }
    }

    fn skip(&mut self, action: usize, because: usize) -> Result<(), Illegal> {
        let cause = self.action(because)?;
        match cause.state {
            Status::Failed | Status::Skipped => {}
            Status::Pending | Status::Running | Status::Succeeded => {
                return Err(refuse(because, cause, "action_skipped"));
            }
        }
        let state = self.action(action)?;
        match state.state {
            Status::Pending => {
                state.state = Status::Skipped;
                state.because = Some(because);
                Ok(())
            }
            Status::Running | Status::Succeeded | Status::Failed | Status::Skipped => {
                Err(refuse(action, state, "action_skipped"))
            }
        }
    }

    /// Returns the first failure, where a plan may be placed anew for it.
    fn short(&self) -> Result<usize, Illegal> {
        if self.back.is_some() || self.second.is_some() || self.unplaced.is_some() {
            return Err(Illegal::Replan);
        }
        self.none_running()?;
        let mut actions = self.actions.iter();
        actions
            .position(|action| action.state == Status::Failed)
            .ok_or(Illegal::Replan)
    }

    fn turn(&mut self, target: &Allocation, stages: &[Stage]) -> Result<(), Illegal> {
        self.not_cancelled()?;
        let because = self.short()?;
        for action in &mut self.actions {
            if action.state == Status::Pending {
                action.state = Status::Skipped;
                action.because = Some(because);
            }
        }
        self.second = Some(Second {
            first: self.grow(stages),
            target: target.clone(),
            stages: stages.to_vec(),
        });
        Ok(())
    }

    /// Adds the actions of more stages. Returns the number of the first.
    fn grow(&mut self, stages: &[Stage]) -> usize {
        let first = self.actions.len();
        let count = stages.iter().map(Vec::len).sum::<usize>();
        self.actions.resize(first + count, ActionState::default());
        first
    }

    fn turn_back(&mut self, stages: &[Stage]) -> Result<(), Illegal> {
        if self.back.is_some() {
            return Err(Illegal::Back);
        }
        self.not_cancelled()?;
        self.none_running()?;
        self.back = Some(Back {
            first: self.grow(stages),
            stages: stages.to_vec(),
            lost: self.lost.len(),
        });
        Ok(())
    }

    fn finish(&mut self, outcome: Outcome, at: Timestamp) -> Result<(), Illegal> {
        self.none_running()?;
        if outcome != Outcome::Cancelled {
            self.not_cancelled()?;
        }
        let first_back = self.back.as_ref().map(|back| back.first);
        match (outcome, first_back) {
            (Outcome::Succeeded, None) => self.all_succeeded(self.leg())?,
            (Outcome::RolledBack, Some(first)) => {
                self.all_succeeded(first)?;
                if let Some(action) = self.actions.iter().position(|action| action.unknown) {
                    return Err(Illegal::Unknown(action));
                }
            }
            (Outcome::Failed, None) | (Outcome::Cancelled, _) | (Outcome::RollbackFailed, Some(_)) => {}
            (Outcome::Succeeded | Outcome::Failed, Some(_))
            | (Outcome::RolledBack | Outcome::RollbackFailed, None) => return Err(Illegal::Back),
        }
        self.outcome = Some(outcome);
        self.finished_at = Some(at);
        Ok(())
    }

    /// The number of the first action of the way that the execution is on: the way out, the second
    /// way out, or the way back.
    #[must_use]
    pub fn leg(&self) -> usize {
        match (&self.back, &self.second) {
            (Some(back), _) => back.first,
            (None, Some(second)) => second.first,
            (None, None) => 0,
        }
    }

    /// The containers that were lost in the direction that the execution goes in.
    #[must_use]
    pub fn lost_here(&self) -> &[Lost] {
        let before = self.back.as_ref().map_or(0, |back| back.lost);
        self.lost.get(before..).unwrap_or_default()
    }

    fn none_running(&self) -> Result<(), Illegal> {
        match self
            .actions
            .iter()
            .position(|action| action.state == Status::Running)
        {
            Some(action) => Err(Illegal::StillRunning(action)),
            None => Ok(()),
        }
    }

    fn all_succeeded(&self, first: usize) -> Result<(), Illegal> {
        if let Some(lost) = self.lost_here().first() {
            return Err(Illegal::Lost(lost.container.clone()));
        }
        let mut actions = self.actions.iter().enumerate().skip(first);
        match actions.find(|(_, action)| action.state != Status::Succeeded) {
            Some((action, _)) => Err(Illegal::Unfinished(action)),
            None => Ok(()),
        }
    }

    fn action(&mut self, action: usize) -> Result<&mut ActionState, Illegal> {
        self.actions.get_mut(action).ok_or(Illegal::NoAction(action))
    }

    /// An action that may fail now: it is under way, or what it needs is known to be missing before it is begun.
    fn failing(&mut self, action: usize) -> Result<&mut ActionState, Illegal> {
        let state = self.action(action)?;
        match state.state {
            Status::Pending | Status::Running => Ok(state),
            Status::Succeeded | Status::Failed | Status::Skipped => {
                Err(refuse(action, state, "action_failed"))
            }
        }
    }

    fn running(&mut self, action: usize, event: &'static str) -> Result<&mut ActionState, Illegal> {
        let state = self.action(action)?;
        match state.state {
            Status::Running => Ok(state),
            Status::Pending | Status::Succeeded | Status::Failed | Status::Skipped => {
                Err(refuse(action, state, event))
            }
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
