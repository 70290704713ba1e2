//! The runner's task: gets the world ready for an execution on record, carries it out, and goes on
//! doing so until its end is on record or the service stops. Recovery is the same path: all that
//! differs is that the world has to be looked up again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

use crate::execute::{self, Direction, Event, Halt, Outcome, World};
use crate::fault::{Code, Fault};

use crate::service::Service;

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its id.
    pub id: Uuid,
    /// How; None if the service takes it up again when it starts.
    pub outcome: Option<Outcome>,
    /// Why, unless it succeeded.
    pub fault: Option<Fault>,
}

impl Ended {
    /// The success, or the fault with the execution's id.
    ///
    /// # Errors
    ///
    /// Unless it succeeded.
    pub fn success(self) -> Result<Self, Fault> {
        let json = serde_json::json!({ "execution": self.id, "outcome": self.outcome });
        match self.fault {
            Some(fault) => Err(fault.with([json])),
            None => Ok(self),
        }
    }
}

/// The runner of the execution that has not ended, or that ended last.
pub(in crate::service) struct Runner {
    pub(in crate::service) id: Uuid,
    pub(in crate::service) halt: watch::Sender<Halt>,
    pub(in crate::service) ended: watch::Receiver<Option<Ended>>,
}

/// What a runner is started with.
pub(in crate::service) struct Launch {
    pub(in crate::service) id: Uuid,
    pub(in crate::service) direction: Direction,
    /// None for an execution that is taken up.
    pub(in crate::service) world: Option<World>,
}

/// The first pause after something did not answer, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// Pauses that double.
#[derive(Default)]
pub(in crate::service) struct Pauses(u32);

impl Pauses {
    fn next(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.0));
        self.0 = self.0.saturating_add(1);
        doubled.min(LONGEST)
    }

    /// Waits, but no longer than until the runner is told something new.
    async fn wait(&mut self, halted: &mut watch::Receiver<Halt>) {
        // An error means that there is nobody left to tell it anything: the service is gone.
        let _ = tokio::time::timeout(self.next(), halted.changed()).await;
    }

    /// Waits.
    pub(in crate::service) async fn sleep(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

impl Service {
    /// Starts a runner. Only the supervisor may do that, since it knows that there is no other one.
    pub(in crate::service) fn launch(&self, launch: Launch, halt: Halt) -> Runner {
        let (id, direction) = (launch.id, launch.direction);
        let (halt, halted) = watch::channel(halt);
        let (tell, ended) = watch::channel(None);
        let service = self.clone();
        let span = tracing::debug_span!("execution", execution = %id, ?direction);
        let whole = async move {
            let (outcome, failure) = service.carry_out(launch, halted.clone()).await;
            let fault = match outcome {
                Some(Outcome::Succeeded) => None,
                Some(_) => failure.or_else(|| halted.borrow().fault()),
                None => halted.borrow().fault().or(failure),
            };
            tracing::info!(execution = %id, outcome = outcome.map(Outcome::as_str), "ended");
            tell.send_replace(Some(Ended { id, outcome, fault }));
        };
        // With the request's id on every line, even long after the request was answered.
        self.inner.runtime.spawn(whole.instrument(span).in_current_span());
        Runner { id, halt, ended }
    }

    async fn carry_out(&self, launch: Launch, mut halted: watch::Receiver<Halt>) -> execute::Ending {
        let Launch {
            id,
            direction,
            mut world,
        } = launch;
        // One that has just begun is not taken up.
        let mut resumed = world.is_some();
        let mut pauses = Pauses::default();
        let mut told = String::new();
        loop {
            let ready = match world.take() {
                Some(world) => world,
                None => match self.ready_again(id, &mut halted, &mut told).await {
                    Some(world) => world,
                    None => return (None, None),
                },
            };
            let run = async {
                if !resumed {
                    self.resumed(id).await?;
                    resumed = true;
                }
                tracing::info!(execution = %id, ?direction, "under way");
                Ok(self.run(id, ready, direction, halted.clone()).await)
            };
            let (outcome, failure) = run.await.unwrap_or_else(|fault| (None, Some(fault)));
            let stopping = *halted.borrow() == Halt::Stop;
            if outcome.is_some() || stopping {
                return (outcome, failure);
            }
            // It ended although it was not told to: the record refused an event, or there is a
            // defect.
            if let Ok(execution) = self.execution(id).await
                && let Some(outcome) = execution.progress.outcome
            {
                return (Some(outcome), execution.failure());
            }
            let cancelled = failure.is_some_and(|fault| fault.code == Code::Cancelled);
            if !(cancelled && *halted.borrow() == Halt::Cancel) {
                pauses.wait(&mut halted).await;
            }
        }
    }

    /// Runs it in a task of its own, so that a panic in there ends only that task.
    async fn run(
        &self,
        id: Uuid,
        world: World,
        direction: Direction,
        halted: watch::Receiver<Halt>,
    ) -> execute::Ending {
        let recorder = Arc::new(self.clone());
        let run = execute::run(Arc::new(world), recorder, id, direction, halted);
        let task = self.inner.runtime.spawn(run.in_current_span());
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the runner crashed");
            (None, Some(crate::service::crashed()))
        })
    }

    async fn resumed(&self, id: Uuid) -> Result<(), Fault> {
        tracing::warn!(execution = %id, "taking up an execution that was cut off");
        let event = self.stamped(Event::Resumed {});
        self.ask(move |supervisor| supervisor.record(id, &event))
            .await
            .map(drop)
    }

    /// Gets everything ready for a recorded execution, with growing pauses until everything
    /// answers. None if the service stops first. What it waits for is reported if it is something
    /// else than was `told` last.
    async fn ready_again(
        &self,
        id: Uuid,
        halted: &mut watch::Receiver<Halt>,
        told: &mut String,
    ) -> Option<World> {
        let mut pauses = Pauses::default();
        loop {
            let halt = *halted.borrow_and_update();
            if halt == Halt::Stop || halted.has_changed().is_err() {
                return None;
            }
            match self.world_again(id, halt).await {
                Ok(world) => return Some(world),
                Err(fault) => {
                    if *told != fault.message {
                        tracing::warn!(execution = %id, error = %fault, "it can't go on yet; trying again");
                        self.tell_waiting(id, &fault).await;
                        *told = fault.message;
                    }
                    pauses.wait(halted).await;
                }
            }
        }
    }
}
