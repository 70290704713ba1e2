//! Goes through the stages of an execution, recording before and after each effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::translate::Action;

use super::event::{Event, Outcome, Stamped};
use super::perform::{Failure, perform};
use super::record::Frozen;
use super::world::{View, World};

/// Where events are recorded, and what they add up to.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records an event; what it answers with is on disk.
    async fn record(&self, execution: Uuid, event: Stamped) -> Result<(), Fault>;

    /// What is confirmed so far.
    fn view(&self) -> View;
}

/// A wish that the execution begins no further action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Halt {
    /// Go on.
    #[default]
    No,
    /// Somebody cancelled the execution.
    Cancel,
    /// The service is stopping.
    Stop,
}

/// Carries an execution out. Answers with how it ended, and why where it failed.
pub async fn run(
    world: Arc<World>,
    ledger: Arc<dyn Ledger>,
    frozen: Arc<Frozen>,
    halt: watch::Receiver<Halt>,
) -> (Outcome, Option<Fault>) {
    let run = Run {
        world,
        ledger,
        id: frozen.id,
        halt,
    };
    let mut first = 0;
    let mut failure = None;
    for stage in &frozen.stages {
        failure = run.stage(first, stage).await;
        if failure.is_some() || *run.halt.borrow() != Halt::No {
            break;
        }
        first += stage.len();
    }
    let outcome = match (&failure, *run.halt.borrow()) {
        (Some(_), _) => Outcome::Failed,
        (None, _) if first == frozen.actions().count() => Outcome::Succeeded,
        (None, Halt::Cancel) => Outcome::Cancelled,
        (None, Halt::Stop | Halt::No) => Outcome::Stopped,
    };
    if let Err(fault) = run.record(Event::Finished { outcome }).await {
        tracing::error!(execution = %run.id, error = %fault, "the end of the execution could not be recorded");
        return (Outcome::Failed, Some(failure.unwrap_or(fault)));
    }
    (outcome, failure)
}

struct Run {
    world: Arc<World>,
    ledger: Arc<dyn Ledger>,
    id: Uuid,
    halt: watch::Receiver<Halt>,
}

impl Run {
    async fn record(&self, event: Event) -> Result<(), Fault> {
        self.ledger
            .record(
                self.id,
                Stamped {
                    at: Timestamp::now(),
                    event,
                },
            )
            .await
    }

    /// Runs the actions of one stage, several at a time. All that were begun are waited for, even
    /// after one has failed; none is begun after that. Answers with the first failure.
    async fn stage(&self, first: usize, stage: &[Action]) -> Option<Fault> {
        let failed = AtomicBool::new(false);
        let actions: Vec<_> = stage
            .iter()
            .zip(first..)
            .map(|(action, index)| self.unless_over(index, action, &failed).boxed())
            .collect();
        let faults: Vec<Option<Fault>> = stream::iter(actions)
            .buffer_unordered(self.world.parallel)
            .collect()
            .await;
        faults.into_iter().flatten().next()
    }

    async fn unless_over(&self, index: usize, action: &Action, failed: &AtomicBool) -> Option<Fault> {
        if failed.load(Ordering::Relaxed) || *self.halt.borrow() != Halt::No {
            return None;
        }
        let fault = self.action(index, action).await;
        if fault.is_some() {
            failed.store(true, Ordering::Relaxed);
        }
        fault
    }

    async fn action(&self, index: usize, action: &Action) -> Option<Fault> {
        let id = self.id;
        if let Err(fault) = self
            .record(Event::ActionStarted {
                action: index,
                attempt: 1,
            })
            .await
        {
            return Some(fault);
        }
        tracing::info!(execution = %id, action = index, "{action}");
        let view = self.ledger.view();
        let event = match perform(&self.world, &view, action).await {
            Ok(finding) => Event::ActionSucceeded {
                action: index,
                finding,
            },
            Err(Failure { fault, output }) => {
                tracing::error!(execution = %id, action = index, code = %fault.code, error = %fault, "failed: {action}");
                let failed = Event::ActionFailed {
                    action: index,
                    error: fault.message.clone(),
                    code: fault.code.as_str().to_owned(),
                    output: output.clone(),
                };
                let told = told(action, index, &fault, output);
                return Some(
                    self.record(failed)
                        .await
                        .err()
                        .map_or(told.clone(), |unrecorded| {
                            unrecorded.with([serde_json::json!({ "after": told.message })])
                        }),
                );
            }
        };
        self.record(event).await.err()
    }
}

/// The failure as the answer to the request tells it: with the action, and the hook's output.
fn told(action: &Action, index: usize, fault: &Fault, output: Option<String>) -> Fault {
    let message = format!("{action}: {}", fault.message);
    let particulars = serde_json::json!({ "action": index, "text": action.to_string(), "output": output });
    Fault {
        code: fault.code,
        message,
        details: fault.details.clone(),
    }
    .with([particulars])
}

/// What a halted execution is answered with.
impl Halt {
    /// The fault, unless it goes on.
    #[must_use]
    pub fn fault(self) -> Option<Fault> {
        match self {
            Self::No => None,
            Self::Cancel => Some(Fault::new(
                Code::Cancelled,
                "the execution was cancelled; what was done is kept",
            )),
            Self::Stop => Some(Fault::new(
                Code::Stopping,
                "the service is stopping; what was done is kept",
            )),
        }
    }
}
