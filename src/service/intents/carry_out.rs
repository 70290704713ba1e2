//! Carrying intents out, one after the other, by one task: whoever asked need not stay. What an intent takes is an
//! execution like any other.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::execute::Outcome;
use crate::fault::{Code, Fault};
use crate::model::intent::{Intent, State, Wanted};

use crate::service::Service;

/// How often an intent is tried again that waits for something.
const AGAIN: Duration = Duration::from_secs(2);

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
                let waiting = !service.snapshot().intents.is_empty();
                let pause = if waiting { AGAIN } else { Duration::from_hours(1) };
                // That it ended says that the service has.
                if let Ok(Err(_)) = tokio::time::timeout(pause, changes.changed()).await {
                    return;
                }
            }
        });
    }

    /// Takes an intent as far as it goes now.
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

    /// Looks what has become of the execution.
    async fn follow(&self, mut intent: Intent, execution: Uuid) -> Result<(), Fault> {
        let (outcome, failure) = match self.execution(execution).await {
            Ok(record) => (record.progress.outcome, record.failure()),
            Err(fault) if fault.code == Code::NotFound => {
                let message = "its execution is kept no longer";
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

    /// Begins what an intent takes, or says why not.
    async fn set_out(&self, mut intent: Intent) -> Result<(), Fault> {
        let snapshot = self.snapshot();
        if snapshot.running.is_some() {
            return Ok(());
        }
        let begun = match self.request(&snapshot, &intent).await {
            Ok(Some(request)) => self.begin(request).await.map(|begun| Some(begun.id)),
            Ok(None) => Ok(None),
            Err(fault) => Err(fault),
        };
        match begun {
            // It is on record with the execution.
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {
                intent.state = State::Done;
                // What it waited for.
                intent.reasons.clear();
            }
            // Somebody else was faster.
            Err(fault)
                if matches!(
                    fault.code,
                    Code::ExecutionRunning | Code::Stopping | Code::Overloaded
                ) =>
            {
                return Ok(());
            }
            // It may pass, and is tried again; that it waits is told once.
            Err(fault) if passes(fault.code) => {
                let reasons = vec![format!("waits: {}", fault.message)];
                if intent.reasons == reasons {
                    return Ok(());
                }
                intent.reasons = reasons;
            }
            Err(fault) => {
                intent.state = State::Refused;
                intent.reasons = reasons_of(&fault);
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
const fn passes(code: Code) -> bool {
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

/// A refusal as reasons, each once.
fn reasons_of(fault: &Fault) -> Vec<String> {
    let mut reasons = vec![fault.message.clone()];
    for detail in &fault.details {
        let text = |key: &str| detail.get(key).and_then(Value::as_str);
        let told = match (text("code"), text("node")) {
            (Some("rejected"), node) => {
                let why = detail.get("reasons").and_then(Value::as_array);
                let why: Vec<&str> = why.into_iter().flatten().filter_map(Value::as_str).collect();
                let tier = text("tier").unwrap_or_default();
                let node = node.map_or_else(|| "a new VM".to_owned(), |node| format!("'{node}'"));
                Some(format!("{tier} on {node}: {}", why.join(", ")))
            }
            _ => text("repair").map(|repair| format!("what would help: {repair}")),
        };
        if let Some(told) = told.filter(|told| !reasons.contains(told)) {
            reasons.push(told);
        }
    }
    reasons
}
