//! What is done before an execution ends, about actions whose effect was not known when they
//! failed, and about VMs that were asked for and that nobody is going to use.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::fault::Fault;
use crate::translate::Action;

use super::clean_up::clean_up;
use super::event::Event;
use super::page::Page;
use super::record::Execution;
use super::retry;
use super::runner::{Halt, Run};
use super::status::Status;

impl Run {
    /// Looks up the outcome of actions whose effect was not known when they failed, with growing
    /// pauses, for as long as an action is tried. If it can't be found out, the record continues to
    /// say that it is not known.
    pub(super) async fn settle(&self) -> Result<(), Fault> {
        let until = Instant::now() + self.world.retry_for;
        for attempt in 1.. {
            let execution = self.recorder.execution(self.id).await?;
            let looks: Vec<_> = execution
                .unknown()
                .map(|(index, action)| self.look_up(&execution, index, action))
                .collect();
            let open: Vec<Result<bool, Fault>> = stream::iter(looks)
                .buffer_unordered(self.world.parallel)
                .collect()
                .await;
            let open: Vec<bool> = open.into_iter().collect::<Result<_, _>>()?;
            let wait = retry::wait(attempt, 1.0);
            let late = Instant::now() + wait >= until;
            if !open.contains(&true) || late || self.halted() == Halt::Stop {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Returns whether it is still not known.
    async fn look_up(&self, execution: &Execution, index: usize, action: &Action) -> Result<bool, Fault> {
        let page = Page::new(self, execution, index);
        let settled = clean_up(&self.world, &self.recorder.view(), action, &page, true).await;
        if settled.unknown {
            return Ok(true);
        }
        tracing::info!(execution = %self.id, action = index, "it is known now what became of it: {action}");
        let left = settled.left;
        self.record(Event::ActionSettled { action: index, left }).await?;
        Ok(false)
    }

    /// Gives back what was asked of the cloud, all at once, for VMs whose own actions were never
    /// begun. Returns what a person should know about what could not be given back.
    pub(super) async fn give_back(&self) -> Result<Option<String>, Fault> {
        let execution = self.recorder.execution(self.id).await?;
        let states = execution.progress.actions.iter();
        let unmade = execution.actions().zip(states).filter(|((_, action), state)| {
            matches!(action, Action::CreateVm { .. })
                && matches!(state.state, Status::Pending | Status::Skipped)
        });
        let mut trouble = Vec::new();
        for ((index, action), _) in unmade {
            let page = Page::new(self, &execution, index);
            let settled = clean_up(&self.world, &self.recorder.view(), action, &page, true).await;
            if let Some(remark) = settled.remark {
                trouble.push(format!("{action} was not begun, but {remark}"));
            }
        }
        Ok((!trouble.is_empty()).then(|| trouble.join("; ")))
    }
}
