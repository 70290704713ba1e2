//! Carrying out stages: which actions are done, how many at a time, how often they are tried. What
//! they do is recorded before and after each effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument;

use crate::fault::{Code, Fault};
use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{Allocation, VmId};
use crate::translate::{Action, Stage};

use super::beside::still_room;
use super::clean_up::clean_up;
use super::consequence::follows;
use super::dependency::await_dependencies;
use super::effect::real_name;
use super::event::{Event, Finding};
use super::failure::{did_not_come, told};
use super::first_look::first_look;
use super::page::Page;
use super::perform::{Failure, perform};
use super::record::Execution;
use super::retry;
use super::runner::{Halt, Run};
use super::status::Status;

impl Run {
    /// Runs stages, the first action of which has the number `first`. Returns the first
    /// failure; after one, what does not depend on it is done only where that is asked for.
    pub(super) async fn stages(&self, mut first: usize, stages: &[Stage]) -> Result<Option<Fault>, Fault> {
        let mut failure = None;
        for stage in stages {
            let failed = self.stage(first, stage).await?;
            let execution = self.recorder.execution(self.id).await?;
            // An earlier run may have left the failure on record.
            let on_record = || execution.failed_among(first..first + stage.len());
            failure = failure.or(failed).or_else(on_record);
            first += stage.len();
            match self.halted() {
                Halt::No => {}
                // What an earlier run was in the middle of is finished: nothing ends before that.
                Halt::Cancel if execution.runs_from(first) => continue,
                Halt::Cancel | Halt::Stop => break,
            }
            if failure.is_some() && !goes_on(&execution) {
                break;
            }
        }
        Ok(failure)
    }

    /// Runs the actions of one stage, several at a time. All that were begun are waited for, even
    /// after one has failed.
    async fn stage(&self, first: usize, stage: &[Action]) -> Result<Option<Fault>, Fault> {
        let execution = self.recorder.execution(self.id).await?;
        let over = AtomicBool::new(false);
        let mut actions = Vec::new();
        for (action, index) in stage.iter().zip(first..) {
            let Some(state) = execution.progress.actions.get(index) else {
                continue;
            };
            match state.state {
                Status::Pending | Status::Running => {}
                Status::Succeeded | Status::Failed | Status::Skipped => continue,
            }
            if state.state == Status::Pending
                && let Some(because) = self.blocked(&execution, first, action)
            {
                self.record(Event::ActionSkipped {
                    action: index,
                    because,
                })
                .await?;
                continue;
            }
            actions.push(
                self.unless_over(index, state.attempts, action, &execution, &over)
                    .boxed(),
            );
        }
        let actions: FuturesUnordered<_> = actions.into_iter().collect();
        let results: Vec<Result<Option<Fault>, Fault>> = actions.collect().await;
        let mut failure = None;
        for result in results {
            failure = failure.or(result?);
        }
        Ok(failure)
    }

    /// The failed action of an earlier stage that keeps this one from being done.
    fn blocked(&self, execution: &Execution, before: usize, action: &Action) -> Option<usize> {
        let first = execution.progress.leg();
        let undone = |index: usize| {
            let state = execution.progress.actions.get(index).map(|action| action.state);
            matches!(state, Some(Status::Failed | Status::Skipped))
        };
        execution
            .actions()
            .skip(first)
            .take_while(|(other, _)| *other < before)
            .find(|(other, failed)| undone(*other) && follows(&self.world.topology, failed, action))
            .map(|(other, _)| other)
    }

    async fn unless_over(
        &self,
        index: usize,
        attempts: u32,
        action: &Action,
        execution: &Execution,
        over: &AtomicBool,
    ) -> Result<Option<Fault>, Fault> {
        // The VM's slot first, so that whoever waits for it does not hold up other VMs.
        let vm = self.slots_of(action.vm());
        let _on_vm = vm.acquire().await;
        let _overall = self.slots.acquire().await;
        // One that was begun before is finished in any case: its effect is unknown.
        if attempts == 0 && (over.load(Ordering::Relaxed) || self.halted() != Halt::No) {
            return Ok(None);
        }
        let result = self.action(index, attempts, action, execution).await;
        let out = execution.progress.back.is_none();
        let go_on = match &result {
            Ok(None) => true,
            // It must be known how many VMs come before the plan is placed on them.
            Ok(Some(fault)) if out && execution.frozen.on_shortage == OnShortage::Replan => {
                execution.frozen.on_failure == OnFailure::Continue || did_not_come(action, Some(fault.code))
            }
            Ok(Some(_)) => out && execution.frozen.on_failure == OnFailure::Continue,
            Err(_) => false,
        };
        if !go_on {
            over.store(true, Ordering::Relaxed);
        }
        result
    }

    fn slots_of(&self, vm: &VmId) -> Arc<Semaphore> {
        let mut vms = self.vms.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let slots = vms
            .entry(vm.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.world.parallel_on_vm)));
        Arc::clone(slots)
    }

    /// Tries an action until it succeeds, fails for good, or has been tried long enough.
    async fn action(
        &self,
        index: usize,
        before: u32,
        action: &Action,
        execution: &Execution,
    ) -> Result<Option<Fault>, Fault> {
        let id = self.id;
        // Counted from the first failure: an attempt may take long for good reasons.
        let mut until = None;
        let old = self.old(execution, action).await;
        let page = Page::new(self, execution, index);
        for attempt in before + 1.. {
            self.record(Event::ActionStarted {
                action: index,
                attempt,
            })
            .await?;
            tracing::info!(execution = %id, action = index, attempt, "{action}");
            let Failure {
                fault, output, again, ..
            } = match self
                .attempt(&old, action, &page, execution)
                .instrument(
                    tracing::debug_span!("action", execution = %id, action = index, attempt, what = %action),
                )
                .await
            {
                Ok(finding) => {
                    self.heard.of(action.vm());
                    self.record(Event::ActionSucceeded {
                        action: index,
                        finding,
                    })
                    .await?;
                    return Ok(None);
                }
                Err(failure) => failure,
            };
            self.heard.not(action.vm());
            let wait = retry::wait(attempt.saturating_sub(before), self.world.outside.chance());
            let until = *until.get_or_insert_with(|| Instant::now() + self.world.retry_for);
            if again && self.halted() == Halt::No && Instant::now() + wait < until {
                tracing::warn!(execution = %id, action = index, attempt, error = %fault, "trying again: {action}");
                self.record(Event::AttemptFailed {
                    action: index,
                    error: fault.message,
                })
                .await?;
                tokio::time::sleep(wait).await;
                continue;
            }
            if again && self.halted() == Halt::Stop {
                // Unknown, and to be found out at the next start.
                return Err(Fault::new(Code::Stopping, fault.message));
            }
            tracing::error!(execution = %id, action = index, code = %fault.code, error = %fault, "failed: {action}");
            let fault = self.fail(index, action, &page, (fault, output), again).await?;
            return Ok(Some(fault));
        }
        Ok(None)
    }

    /// Tries an action once. A VM that was made is there for others only when it was looked at.
    async fn attempt(
        &self,
        old: &Allocation,
        action: &Action,
        page: &Page<'_>,
        execution: &Execution,
    ) -> Result<Finding, Failure> {
        let view = self.recorder.view();
        await_dependencies(&self.world, &view, execution, action, page).await?;
        still_room(&self.world, &view, &self.heard, action).await?;
        let whereabouts = match action {
            Action::CreateContainer { .. } | Action::ReplaceContainer { .. } => {
                &execution.lasting(&view.allocation, &view.bindings)
            }
            _ => &*view.allocation,
        };
        let finding = perform(&self.world, &view, (old, whereabouts), action, page).await?;
        if let (Action::CreateVm { vm }, Some(found)) = (action, &finding.vm) {
            first_look(&self.world, execution, vm, found).await?;
        }
        Ok(finding)
    }

    /// The allocation that a dependency hook is given as the one before: that before the first change
    /// which the container was not told of.
    async fn old(&self, execution: &Execution, action: &Action) -> Allocation {
        let Action::RunTierHook { vm, container, .. } = action else {
            return Allocation::default();
        };
        let view = self.recorder.view();
        let held = view
            .allocation
            .container(real_name(&view.bindings, vm), container);
        let here = execution.since();
        let since = held.and_then(|held| held.owed.tier).unwrap_or(here);
        if since.execution != self.id {
            match self.recorder.execution(since.execution).await {
                Ok(earlier) => return earlier.before(since.back),
                Err(error) => {
                    tracing::warn!(%error, "what was there before is no longer kept; telling only of this execution: {action}");
                }
            }
        } else if since.back != here.back {
            return execution.before(since.back);
        }
        if here.back {
            execution.before(true)
        } else {
            self.world.from.clone()
        }
    }

    /// Records a failure with what is really there. `unsure` says that the effect may have happened.
    pub(super) async fn fail(
        &self,
        index: usize,
        action: &Action,
        page: &Page<'_>,
        (mut fault, output): (Fault, Option<String>),
        unsure: bool,
    ) -> Result<Fault, Fault> {
        let settled = clean_up(&self.world, &self.recorder.view(), action, page, unsure).await;
        if let Some(remark) = settled.remark {
            fault.message = format!("{}; {remark}", fault.message);
        }
        let (error, code) = (fault.message.clone(), fault.code.as_str().to_owned());
        self.record(Event::ActionFailed {
            action: index,
            error,
            code,
            output: output.clone(),
            left: settled.left,
            unknown: settled.unknown,
        })
        .await?;
        Ok(told(action, index, fault, output))
    }

    /// Ends actions that an earlier run left in the middle, without trying them again: looks up
    /// what became of them.
    pub(super) async fn give_up_running(&self, execution: &Execution) -> Result<(), Fault> {
        for (index, action) in execution.actions() {
            let state = execution.progress.actions.get(index).map(|action| action.state);
            if state == Some(Status::Running) {
                let fault = Fault::new(
                    Code::Cancelled,
                    "it was cut off in the middle, and not taken up again",
                );
                let page = Page::new(self, execution, index);
                self.fail(index, action, &page, (fault, None), true).await?;
            }
        }
        Ok(())
    }
}

/// Whether actions that do not depend on a failure are done all the same.
fn goes_on(execution: &Execution) -> bool {
    execution.frozen.on_failure == OnFailure::Continue
        && execution.progress.back.is_none()
        && !execution.is_short()
}
