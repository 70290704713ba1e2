//! What one action records about its own work: progress of a VM that it makes, and the runs of its
//! hooks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::cloud::{CloudError, CloudErrorKind, Notebook, Wish};
use crate::engine::{Effect, RunId};
use crate::fault::Fault;
use crate::hooks::Runs;
use crate::model::VmId;
use crate::model::topology::HookName;
use crate::translate::{Action, Place};

use super::event::{Event, HookRun};
use super::record::Execution;
use super::runner::{Halt, Run};

/// Names of the VMs that are made together with that of the action `index`: on the way out, or in
/// the rollback.
fn fellows(execution: &Execution, index: usize) -> Vec<VmId> {
    let first = execution
        .progress
        .back
        .as_ref()
        .map_or(usize::MAX, |back| back.first);
    execution
        .actions()
        .filter(|(other, action)| {
            matches!(action, Action::CreateVm { .. }) && (*other < first) == (index < first)
        })
        .map(|(_, action)| action.vm().clone())
        .collect()
}

/// Records an action's own events in the execution's record.
pub(super) struct Page<'r> {
    run: &'r Run,
    action: usize,
    fellows: Vec<VmId>,
    /// What was told last, so that nothing is told twice.
    told: Mutex<String>,
    /// The run of a hook that was begun last.
    hook: Mutex<Option<HookRun>>,
}

/// The part for one of the action's hooks.
pub(super) struct HookLine<'p> {
    page: &'p Page<'p>,
    number: usize,
    name: &'p HookName,
}

#[async_trait]
impl Runs for HookLine<'_> {
    fn earlier(&self) -> Option<RunId> {
        let hook = self.page.hook()?;
        (hook.number == self.number).then_some(hook.run)
    }

    async fn begin(&self, run: &RunId) -> Result<(), String> {
        let hook = HookRun {
            number: self.number,
            run: run.clone(),
        };
        self.page
            .run
            .record(Event::ActionProgressed {
                action: self.page.action,
                progress: format!("running {}", self.name),
                hook: Some(hook.clone()),
                starts: None,
                output: None,
            })
            .await
            .map_err(|fault| fault.message)?;
        *self.page.lock_hook() = Some(hook);
        Ok(())
    }

    async fn said(&self, text: String) {
        let event = Event::ActionProgressed {
            action: self.page.action,
            progress: format!("running {}", self.name),
            hook: None,
            starts: None,
            output: Some(text),
        };
        // It is news, and not worth failing for.
        if let Err(fault) = self.page.run.record(event).await {
            tracing::warn!(error = %fault, "could not record what a hook says");
        }
    }
}

impl<'r> Page<'r> {
    pub(super) fn new(run: &'r Run, execution: &Execution, action: usize) -> Self {
        Self {
            run,
            action,
            fellows: fellows(execution, action),
            told: Mutex::default(),
            hook: Mutex::new(
                execution
                    .progress
                    .actions
                    .get(action)
                    .and_then(|state| state.hook.clone()),
            ),
        }
    }

    /// Records that a container which the action depends on is about to be started again. It is on disk when
    /// this answers.
    pub(super) async fn starts(&self, place: Place) -> Result<(), Fault> {
        let Place { vm, container } = &place;
        let doing = format!("starting container '{container}' on vm '{vm}' again, which it depends on");
        tracing::info!(execution = %self.run.id, action = self.action, "{doing}");
        let event = Event::ActionProgressed {
            action: self.action,
            progress: doing,
            hook: None,
            starts: Some(place),
            output: None,
        };
        self.run.record(event).await
    }

    /// The run of a hook that was begun last, by any process.
    pub(super) fn hook(&self) -> Option<HookRun> {
        self.lock_hook().clone()
    }

    /// The part for the action's hook with that number.
    pub(super) fn line<'p>(&'p self, number: usize, name: &'p HookName) -> HookLine<'p> {
        HookLine {
            page: self,
            number,
            name,
        }
    }

    fn lock_hook(&self) -> MutexGuard<'_, Option<HookRun>> {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(fault: Fault) -> CloudError {
        CloudError {
            message: format!(
                "what is about to be done could not be recorded: {}",
                fault.message
            ),
            kind: CloudErrorKind::Failing,
            effect: Effect::None,
        }
    }
}

#[async_trait]
impl Notebook for Page<'_> {
    fn fellows(&self) -> Vec<VmId> {
        self.fellows.clone()
    }

    async fn read(&self) -> Result<Option<Value>, CloudError> {
        let execution = self
            .run
            .recorder
            .execution(self.run.id)
            .await
            .map_err(Self::unwritten)?;
        Ok(execution.progress.note)
    }

    async fn write(&self, note: Value) -> Result<(), CloudError> {
        self.run
            .record(Event::CloudNoted { note })
            .await
            .map_err(Self::unwritten)
    }

    async fn tell(&self, progress: &str) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if *told == progress {
                return;
            }
            progress.clone_into(&mut told);
        }
        tracing::info!(execution = %self.run.id, action = self.action, "{progress}");
        let event = Event::ActionProgressed {
            action: self.action,
            progress: progress.to_owned(),
            hook: None,
            starts: None,
            output: None,
        };
        // It is news, and not worth failing for.
        if let Err(fault) = self.run.record(event).await {
            tracing::warn!(error = %fault, "could not record how far an action is");
        }
    }

    fn wish(&self) -> Wish {
        match self.run.halted() {
            Halt::No => Wish::Go,
            Halt::Cancel => Wish::GiveUp,
            Halt::Stop => Wish::Pause,
        }
    }
}
