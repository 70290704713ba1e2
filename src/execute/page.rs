//! The page of the record that an action which makes a VM writes on.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::cloud::{CloudError, CloudErrorKind, Notebook, Wish};
use crate::engine::Effect;
use crate::fault::Fault;
use crate::model::VmId;
use crate::translate::Action;

use super::event::Event;
use super::record::Execution;
use super::runner::{Halt, Run};

/// Names of the VMs that are made in one go with that of the action `index`: on the way out, or on
/// the way back.
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

/// What an action that makes a VM writes on: the execution's record.
pub(super) struct Page<'r> {
    run: &'r Run,
    action: usize,
    fellows: Vec<VmId>,
    /// What was told last, so that nothing is told twice.
    told: Mutex<String>,
}

impl<'r> Page<'r> {
    pub(super) fn new(run: &'r Run, execution: &Execution, action: usize) -> Self {
        Self {
            run,
            action,
            fellows: fellows(execution, action),
            told: Mutex::default(),
        }
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
            .ledger
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
