//! One task carries intents out, one after the other, even if the client goes away. It does so with
//! executions like any other.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::execute::Outcome;
use crate::fault::{Code, Fault};
use crate::model::intent::{Intent, State, Wanted};
use crate::service::Service;
use crate::service::admission::Begun;

use super::reasons::reasons_of;

/// How often an intent is tried again that waits for something.
const AGAIN: Duration = Duration::from_secs(2);

/// The result of an attempt to carry an intent out.
pub(super) enum Attempt {
    /// Its execution has begun, and is recorded with the intent.
    Begun,
    /// What is wanted is already so.
    Done,
    /// Another request was faster, or it was taken back.
    Later,
    /// It can't begin now, for these reasons, which may pass.
    Waits(Vec<String>),
    /// It can't be done, for these reasons.
    Refused(Vec<String>),
}

impl Attempt {
    pub(super) fn of(begun: Result<Begun, Fault>) -> Self {
        match begun {
            Ok(_) => Self::Begun,
            Err(fault) => Self::failed(&fault),
        }
    }

    pub(super) fn failed(fault: &Fault) -> Self {
        match fault.code {
            Code::ExecutionRunning | Code::Stopping | Code::Overloaded | Code::Cancelled => Self::Later,
            code if passes(code) => Self::Waits(vec![fault.message.clone()]),
            _ => Self::Refused(reasons_of(fault)),
        }
    }
}

impl Service {
    /// Starts to carry intents out, for as long as the service lives.
    pub fn carry_out_intents(&self) {
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let mut changes = service.changes();
            loop {
                let open = Arc::clone(&changes.borrow_and_update().intents);
                for intent in open.iter() {
                    service.go_on(intent.clone()).await;
                }
                service.tell_apps().await;
                let waiting = !service.snapshot().intents.is_empty();
                let pause = if waiting { AGAIN } else { Duration::from_hours(1) };
                // An error means that the service has ended.
                if let Ok(Err(_)) = tokio::time::timeout(pause, changes.changed()).await {
                    return;
                }
            }
        });
    }

    /// Takes an intent as far as it can go now.
    async fn go_on(&self, intent: Intent) {
        let id = intent.id;
        let result = match (intent.state, intent.execution) {
            (State::Running, Some(execution)) => self.follow(intent, execution).await,
            (State::Pending, _) => self.set_out(intent).await,
            _ => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(intent = %id, %error, "an intent could not be carried on; it is tried again");
        }
    }

    /// Checks how its execution has ended.
    async fn follow(&self, mut intent: Intent, execution: Uuid) -> Result<(), Fault> {
        let (outcome, failure) = match self.execution(execution).await {
            Ok(record) => {
                if let Some(outcome) = record.progress.outcome {
                    // Where that could not be written when it ended.
                    let frozen = record.frozen.clone();
                    self.with_store(move |store| store.settle(&frozen, outcome))
                        .await?;
                }
                (record.progress.outcome, record.failure())
            }
            Err(fault) if fault.code == Code::NotFound => {
                let message = "its execution is no longer in the history";
                (Some(Outcome::Failed), Some(Fault::new(Code::NotFound, message)))
            }
            Err(fault) => return Err(fault),
        };
        let Some(outcome) = outcome else { return Ok(()) };
        intent.state = match outcome {
            Outcome::Succeeded => State::Done,
            Outcome::Failed | Outcome::Cancelled | Outcome::RolledBack | Outcome::RollbackFailed => {
                State::Failed
            }
        };
        if intent.state == State::Failed {
            intent.reasons = vec![format!("its execution ended as {}", outcome.as_str())];
            intent.reasons.extend(failure.map(|failure| failure.message));
        } else {
            intent.reasons.clear();
        }
        tracing::info!(intent = %intent.id, state = intent.state.as_str(), "an intent is over");
        self.with_store(move |store| store.keep_if_open(intent)).await
    }

    /// Begins the execution that an intent needs, or says why not.
    async fn set_out(&self, mut intent: Intent) -> Result<(), Fault> {
        let snapshot = self.snapshot();
        if snapshot.running.is_some() {
            return Ok(());
        }
        let attempt = match self.attempt(&snapshot, &intent).await {
            Ok(attempt) => attempt,
            Err(fault) => Attempt::failed(&fault),
        };
        match attempt {
            Attempt::Begun | Attempt::Later => return Ok(()),
            Attempt::Done => {
                intent.state = State::Done;
                // What it waited for.
                intent.reasons.clear();
            }
            // It is tried again; that it waits is told once.
            Attempt::Waits(reasons) => {
                let reasons: Vec<String> = reasons.iter().map(|why| format!("waits: {why}")).collect();
                if intent.reasons == reasons {
                    return Ok(());
                }
                intent.reasons = reasons;
            }
            Attempt::Refused(reasons) => {
                intent.state = State::Refused;
                intent.reasons = reasons;
                if let Wanted::Drain { node } = &intent.wanted {
                    intent.reasons.push(format!(
                        "node '{node}' stays cordoned; uncordon it to use it again"
                    ));
                }
            }
        }
        tracing::info!(intent = %intent.id, state = intent.state.as_str(), "an intent goes on");
        self.with_store(move |store| store.keep_if_open(intent)).await
    }
}

/// Whether a fault may be over soon without anybody's help.
pub(super) const fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::EngineUnreachable
            | Code::EngineTimeout
            | Code::CloudUnreachable
            | Code::CloudTimeout
            | Code::HooksUnavailable
            | Code::JournalUnavailable
            | Code::Undecided
            | Code::Conflict
    )
}
