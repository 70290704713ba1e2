//! The course of an execution: the way out, a second one where too few VMs come, the way back after
//! a failure, and the end; from the begin, or from wherever an earlier run was cut off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::model::VmId;
use crate::model::topology::OnFailure;
use crate::translate::Stage;

use super::beside::Heard;
use super::effect::real_name;
use super::event::{Direction, Event, Lost, Outcome, Stamped, Unplaced};
use super::last_look::last_look;
use super::record::Execution;
use super::retry;
use super::room::without_room;
use super::status::Status;
use super::world::{View, World};

/// Where events are recorded, and what they add up to.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// Records an event; what it returns is on disk.
    async fn record(&self, execution: Uuid, event: Stamped) -> Result<(), Fault>;

    /// What is confirmed so far.
    fn view(&self) -> View;

    /// The present state of the execution.
    async fn execution(&self, id: Uuid) -> Result<Execution, Fault>;

    /// Places the plan once more, on the VMs that are there: [`Event::Replanned`], not recorded yet.
    async fn replan(&self, id: Uuid, world: Arc<World>) -> Result<Event, Fault>;

    /// The safe way from what is confirmed back to what was before the execution.
    async fn way_back(&self, id: Uuid) -> Result<Vec<Stage>, Fault>;
}

/// A request that the execution begins no further action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Halt {
    /// Go on.
    #[default]
    No,
    /// Somebody cancelled the execution.
    Cancel,
    /// The service is stopping; it takes the execution up when it starts again.
    Stop,
}

/// How a run ended: the outcome, or None where it is to be taken up again; and why it is no success.
pub type Ending = (Option<Outcome>, Option<Fault>);

/// Carries an execution out.
pub async fn run(
    world: Arc<World>,
    recorder: Arc<dyn Recorder>,
    id: Uuid,
    direction: Direction,
    halt: watch::Receiver<Halt>,
) -> Ending {
    let run = Run {
        slots: Semaphore::new(world.parallel),
        world,
        recorder,
        id,
        halt,
        vms: std::sync::Mutex::default(),
        heard: Heard::default(),
    };
    match run.whole(direction).await {
        Ok(ending) => ending,
        Err(fault) => {
            tracing::error!(execution = %id, error = %fault, "the execution can't be recorded any further; it is taken up on the next start");
            (None, Some(fault))
        }
    }
}

pub(super) struct Run {
    pub(super) world: Arc<World>,
    pub(super) recorder: Arc<dyn Recorder>,
    pub(super) id: Uuid,
    halt: watch::Receiver<Halt>,
    /// Limits the actions at the same time.
    pub(super) slots: Semaphore,
    /// Limits the actions on one VM at the same time.
    pub(super) vms: std::sync::Mutex<BTreeMap<VmId, Arc<Semaphore>>>,
    /// What is known of the VMs for a little while.
    pub(super) heard: Heard,
}

impl Run {
    /// An error says that the record can't be kept, so that nothing more may be done.
    async fn whole(&self, direction: Direction) -> Result<Ending, Fault> {
        let execution = self.recorder.execution(self.id).await?;
        if execution.progress.is_untouched() {
            // They were looked at for the plan just now.
            self.world.vms.keys().for_each(|vm| self.heard.of(vm));
        }
        let (mut failure, mut trouble) = (None, None);
        if execution.progress.back.is_none() {
            if direction == Direction::Forward && self.halted() == Halt::No {
                failure = self.out().await?;
            } else {
                self.give_up_running(&execution).await?;
            }
            if self.halted() == Halt::Stop {
                return Ok((None, failure));
            }
            self.settle().await?;
            trouble = self.give_back().await?;
            if self.halted() == Halt::Stop {
                return Ok((None, failure));
            }
            if self.halted() == Halt::Cancel {
                return self.cancelled(failure, trouble.as_deref()).await;
            }
            let execution = self.recorder.execution(self.id).await?;
            let left = execution
                .progress
                .actions
                .iter()
                .skip(execution.progress.leg())
                .any(|action| action.state != Status::Succeeded);
            if !left && direction == Direction::Forward {
                let Some(lost) = self.look_once_more(&execution).await? else {
                    return Ok((None, None));
                };
                failure = lost;
                if failure.is_none() {
                    return self.finish(Outcome::Succeeded, None).await;
                }
            }
            if self.halted() == Halt::Cancel {
                return self.cancelled(failure, trouble.as_deref()).await;
            }
            if failure.is_none() && direction == Direction::Forward {
                failure = execution.failure();
            }
            failure = failure.map(|failure| with(failure, trouble.as_deref()));
            if direction == Direction::Forward && execution.frozen.on_failure != OnFailure::Rollback {
                return self.finish(Outcome::Failed, failure).await;
            }
            let stages = match self.recorder.way_back(self.id).await {
                Err(refused) if refused.code == Code::UnsafePlan => {
                    // What is there is kept, and nothing that says otherwise is recorded.
                    let told = match failure {
                        Some(first) => Fault {
                            message: format!("{}; it is not undone: {}", first.message, refused.message),
                            ..first
                        },
                        None => refused,
                    };
                    return self.finish(Outcome::Failed, Some(told)).await;
                }
                stages => stages?,
            };
            self.record(Event::RollbackBegun { stages }).await?;
        }
        self.back(failure, trouble).await
    }

    /// The way out, from wherever it stands: where too few VMs come and that is wished for, a second
    /// one over those that did.
    async fn out(&self) -> Result<Option<Fault>, Fault> {
        loop {
            let execution = self.recorder.execution(self.id).await?;
            let go_on = execution.frozen.on_failure == OnFailure::Continue;
            if let Some(second) = &execution.progress.second {
                let missing = self.pull(second.first, &second.stages).await?;
                if missing.is_some() && !go_on {
                    return Ok(missing);
                }
                return self.stages(second.first, &second.stages).await;
            }
            let missing = self.pull(0, &execution.frozen.stages).await?;
            if missing.is_some() && !go_on {
                return Ok(missing);
            }
            let failure = self.stages(0, &execution.frozen.stages).await?;
            let execution = self.recorder.execution(self.id).await?;
            if self.halted() != Halt::No || !execution.is_short() {
                return Ok(execution.failure().or(failure));
            }
            if let Some(failure) = self.replan(&execution).await?
                && execution.frozen.on_failure != OnFailure::Continue
            {
                return Ok(Some(failure));
            }
        }
    }

    /// Places the plan on the VMs that are there. It is recorded before anything is done, so that it
    /// happens once, whatever becomes of this process. Returns why it can't be.
    async fn replan(&self, execution: &Execution) -> Result<Option<Fault>, Fault> {
        let id = self.id;
        match self.recorder.replan(id, Arc::clone(&self.world)).await {
            Ok(event) => {
                tracing::warn!(execution = %id, "fewer VMs came than were asked for: the plan is placed on those that are there");
                self.record(event).await?;
                Ok(None)
            }
            // There is no need of it any more, or another process sees to it.
            Err(_) if self.halted() != Halt::No => Ok(None),
            Err(fault) => {
                tracing::error!(execution = %id, error = %fault, "fewer VMs came than were asked for, and the plan can't be placed on those that are there");
                let unplaced = Unplaced::of(fault);
                self.record(Event::ReplanFailed(unplaced.clone())).await?;
                Ok(execution.failure().map(|failed| unplaced.after(failed)))
            }
        }
    }

    /// The way back, from wherever it stands.
    async fn back(&self, failure: Option<Fault>, mut trouble: Option<String>) -> Result<Ending, Fault> {
        let execution = self.recorder.execution(self.id).await?;
        let Some(back) = execution.progress.back.clone() else {
            return Err(Fault::new(Code::Internal, "there is nothing to roll back"));
        };
        let failure = failure.or_else(|| execution.failure());
        let failed = self.stages(back.first, &back.stages).await?;
        if self.halted() != Halt::Stop {
            self.settle().await?;
            trouble = self.give_back().await?.or(trouble);
        }
        if self.halted() == Halt::Stop {
            return Ok((None, failure));
        }
        if self.halted() == Halt::Cancel {
            return self.cancelled(failure, trouble.as_deref()).await;
        }
        let after = self.recorder.execution(self.id).await?;
        let mut left = after.progress.actions.iter().skip(back.first);
        if failed.is_none() && left.any(|action| action.state == Status::Pending) {
            return Ok((None, failure));
        }
        let failed = match failed {
            None => match self.look_once_more(&after).await? {
                Some(lost) => lost,
                None => return Ok((None, failure)),
            },
            failed => failed,
        };
        let failed = match failed {
            Some(failed) => Some(with(failed, trouble.as_deref())),
            None => self.stayed(&after, trouble),
        };
        match failed {
            None => self.finish(Outcome::RolledBack, failure).await,
            Some(undo) => {
                let told = match failure {
                    Some(first) => Fault {
                        message: format!("{}; undoing failed, too: {}", first.message, undo.message),
                        ..first
                    },
                    None => undo,
                };
                self.finish(Outcome::RollbackFailed, Some(told)).await
            }
        }
    }

    /// What was not undone although every action of the way back has succeeded.
    fn stayed(&self, execution: &Execution, trouble: Option<String>) -> Option<Fault> {
        let view = self.recorder.view();
        let stayed = execution.not_undone(&view.allocation, &view.bindings);
        let mut said: Vec<String> = stayed
            .iter()
            .map(|action| format!("what became of \"{action}\" was not known in time, and is not undone"))
            .collect();
        let mut was = execution.frozen.from.clone().into();
        said.extend(without_room(&mut was, &view.allocation).into_iter().map(|(vm, container)| {
            format!("container '{container}' on VM '{vm}' no longer has room beside the other containers there")
        }));
        said.extend(trouble);
        let advice = "GET /api/inspect shows what is there; the next plan puts it right";
        (!said.is_empty())
            .then(|| Fault::new(Code::EngineUnreachable, format!("{}; {advice}", said.join("; "))))
    }

    /// Makes sure, before the end, that what is confirmed still runs on every VM that an action was
    /// about. Returns the first container that does not and could not be started; None where the
    /// service stops before that can be found out.
    async fn look_once_more(&self, execution: &Execution) -> Result<Option<Option<Fault>>, Fault> {
        let view = self.recorder.view();
        let vms = execution
            .actions()
            .map(|(_, action)| real_name(&view.bindings, action.vm()).clone())
            .collect();
        let mut lost = execution.progress.lost_here().to_vec();
        let stop = || self.halted() == Halt::Stop;
        let Some(found) = last_look(&self.world, &view, vms, &stop).await else {
            return Ok(None);
        };
        for more in found {
            self.record(Event::Lost(more.clone())).await?;
            lost.push(more);
        }
        Ok(Some(lost.first().map(Lost::fault)))
    }

    async fn cancelled(&self, failure: Option<Fault>, trouble: Option<&str>) -> Result<Ending, Fault> {
        let failure = failure.or_else(|| trouble.and_then(|_| Halt::Cancel.fault()));
        let failure = failure.map(|failure| with(failure, trouble));
        self.finish(Outcome::Cancelled, failure).await
    }

    /// Records the end. A request to cancel may have been recorded a moment before it, and then the
    /// execution has no other end.
    async fn finish(&self, outcome: Outcome, failure: Option<Fault>) -> Result<Ending, Fault> {
        let outcome = match self.record(Event::Finished { outcome }).await {
            Err(_) if outcome != Outcome::Cancelled && self.halted() == Halt::Cancel => {
                let outcome = Outcome::Cancelled;
                self.record(Event::Finished { outcome }).await?;
                outcome
            }
            result => {
                result?;
                outcome
            }
        };
        Ok((Some(outcome), failure))
    }

    pub(super) fn halted(&self) -> Halt {
        *self.halt.borrow()
    }

    /// Records; where the disk is full or the like, waits until there is room again, unless the
    /// service is to stop.
    pub(super) async fn record(&self, event: Event) -> Result<(), Fault> {
        let stamped = Stamped {
            at: self.world.outside.now(),
            event,
        };
        let mut attempt = 0;
        loop {
            match self.recorder.record(self.id, stamped.clone()).await {
                Err(fault) if fault.code == Code::JournalUnavailable && self.halted() != Halt::Stop => {
                    attempt += 1;
                    tracing::error!(execution = %self.id, error = %fault, "waiting until the record can be written");
                    tokio::time::sleep(retry::wait(attempt, 1.0)).await;
                }
                result => return result,
            }
        }
    }
}

/// A failure with what else a person should know.
fn with(failure: Fault, trouble: Option<&str>) -> Fault {
    match trouble {
        Some(trouble) => Fault {
            message: format!("{}; {trouble}", failure.message),
            ..failure
        },
        None => failure,
    }
}

impl Halt {
    /// The answer about an execution that was halted.
    #[must_use]
    pub fn fault(self) -> Option<Fault> {
        let kept = "what was done is kept";
        match self {
            Self::No => None,
            Self::Cancel => Some(Fault::new(
                Code::Cancelled,
                format!("the execution was cancelled; {kept}"),
            )),
            Self::Stop => {
                let message = "the service is stopping; it takes the execution up when it starts again";
                Some(Fault::new(Code::Stopping, message))
            }
        }
    }
}

/// How long attempts go on, unless set otherwise.
pub const RETRY_FOR: Duration = Duration::from_secs(30);
