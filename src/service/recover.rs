//! Taking up an execution that an earlier service left in the middle.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::execute::{By, Direction, Event, Execution, Halt, Stamped, World};
use crate::fault::{Code, Fault};
use crate::model::Topology;

use super::Service;
use super::carry::{names_hooks, needs_hooks};

/// What becomes of an execution that was cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRestart {
    /// It is carried to its end.
    #[default]
    Resume,
    /// What was done is undone.
    Rollback,
    /// It waits for somebody to say.
    Hold,
}

impl Service {
    /// Takes up the execution that was cut off, where there is one, as `on_restart` says.
    ///
    /// # Errors
    ///
    /// When it can't be taken up; it is held then.
    pub async fn recover(&self, on_restart: OnRestart) -> Result<(), Fault> {
        let Some(id) = self.snapshot().running else {
            return Ok(());
        };
        let direction = match on_restart {
            OnRestart::Resume => Direction::Forward,
            OnRestart::Rollback => Direction::Back,
            OnRestart::Hold => {
                tracing::warn!(execution = %id, "an execution was cut off; it is held: resume it, roll it back or cancel it");
                return Ok(());
            }
        };
        self.take_up(id, direction, Halt::No, By::itself()).await
    }

    /// Takes up an execution that is held.
    ///
    /// # Errors
    ///
    /// When there is no such execution, it has ended, or runs already.
    pub async fn take_up(&self, id: Uuid, direction: Direction, halt: Halt, by: By) -> Result<(), Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.take_up_here(id, direction, halt, by).await })
            .await
    }

    async fn take_up_here(&self, id: Uuid, direction: Direction, halt: Halt, by: By) -> Result<(), Fault> {
        let execution = self.execution(id).await?;
        if execution.progress.outcome.is_some() {
            let message = format!(
                "execution {id} has {}; there is nothing to take up",
                execution.state()
            );
            return Err(Fault::new(Code::ExecutionEnded, message));
        }
        if self.lock_running().is_some() {
            return Err(Fault::new(
                Code::ExecutionRunning,
                format!("execution {id} is running already"),
            ));
        }
        let topology = self.snapshot().topology()?;
        let world = self.world_again(&topology, &execution).await?;
        // A wish to cancel is on record already.
        if by != By::itself() && halt == Halt::No {
            let wish = match direction {
                Direction::Forward => "resume_requested",
                Direction::Back => "rollback_requested",
            };
            self.note_wish(wish, id, by).await?;
        }
        let event = Stamped {
            at: Timestamp::now(),
            event: Event::Resumed {},
        };
        self.with_book(move |book| book.record(id, &event)).await?;
        tracing::warn!(execution = %id, ?direction, "taking up an execution that was cut off");
        let _ended = self.launch(id, world, direction, halt);
        Ok(())
    }

    /// The handles for an execution that is on record.
    async fn world_again(&self, topology: &Arc<Topology>, execution: &Execution) -> Result<World, Fault> {
        let cloud = self.inner.platform.cloud(topology)?;
        let offer = cloud.offer().await?;
        let hooks = if needs_hooks(&execution.frozen.stages) || names_hooks(topology) {
            self.inner.platform.hooks(topology).await?
        } else {
            None
        };
        let revision = hooks.as_ref().map(|hooks| &hooks.revision);
        if revision.is_some() && revision != execution.frozen.hooks_revision.as_ref() {
            tracing::warn!(execution = %execution.frozen.id, "the hooks have changed since the execution began");
        }
        let settings = &self.inner.settings;
        Ok(World {
            cloud,
            engines: self.inner.platform.engines(),
            vms: offer.vms.into_iter().map(|vm| (vm.name.clone(), vm)).collect(),
            hooks,
            hook_deadline: settings.hook_deadline,
            from: execution.frozen.from.clone().into(),
            parallel: settings.parallel,
            parallel_on_vm: settings.parallel_on_vm,
            retry_for: settings.retry_for,
            topology: Arc::clone(topology),
        })
    }
}
