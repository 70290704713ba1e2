//! The supervisor: one task owns the record, what it adds up to, and the runner. Requests wait in
//! line, each is decided by the pure machine in `phase`, recorded, and only then acted on, all before
//! the next one is looked at.

pub(super) mod phase;
mod recorder;
mod recovery;
pub(super) mod runner;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::execute::{By, Direction, Event, Frozen, Halt, Stamped};
use crate::fault::{Code, Fault};
use crate::outside::{Outside, off_async};
use crate::translate::Action;

use crate::service::admission::idempotency::Keys;
use crate::service::state::Store;
use crate::service::supervisor::phase::{Ask, Decision, Effect, Fact, Facts, OnRestart, Refusal, State};
use crate::service::supervisor::runner::{Ended, Launch, Runner};
use crate::service::{Service, Snapshot};

/// How many requests may wait in line before callers have to wait to send one.
const LINE: usize = 1024;

/// What the task owns.
pub(in crate::service) struct Supervisor {
    pub(in crate::service) store: Store,
    state: State,
    pub(in crate::service) runner: Option<Runner>,
    pub(in crate::service) keys: Keys,
}

/// A request in the line, with the way back for its answer.
type Request = Box<dyn FnOnce(&mut Supervisor) + Send>;

/// Puts requests in the line.
pub(in crate::service) struct Line(mpsc::Sender<Request>);

impl Supervisor {
    /// Starts the task, which runs for as long as somebody can send it requests.
    pub(in crate::service) fn start(store: Store, outside: Arc<dyn Outside>) -> Line {
        let state = State::found(store.running().map(|running| running.frozen.id));
        let mut supervisor = Box::new(Self {
            store,
            state,
            runner: None,
            keys: Keys::default(),
        });
        let (line, mut requests) = mpsc::channel::<Request>(LINE);
        let runtime = Handle::current();
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                // The record blocks.
                let work = move || {
                    request(&mut supervisor);
                    supervisor
                };
                match off_async(outside.as_ref(), &runtime, work).await {
                    Some(back) => supervisor = back,
                    // Only when the runtime is shutting down: requests themselves can't panic out
                    // of it.
                    None => return,
                }
            }
        });
        Line(line)
    }

    /// Decides, records, and acts.
    fn ask(&mut self, service: &Service, ask: Ask, by: &By) -> Result<Decision, Fault> {
        let id = self.state.unfinished();
        let decision = self
            .state
            .decide(self.facts(), ask)
            .map_err(|refusal| self.refused(refusal, ask))?;
        if let (Some(fact), Some(id)) = (decision.record, id)
            && let Err(fault) = self.record(id, &self.store.stamped(event(fact, by)))
        {
            let Some((then, effect)) = decision.unrecorded() else {
                return Err(fault);
            };
            self.state = then;
            self.act(service, effect);
            let message = format!(
                "no further action of execution {id} is begun, but this could not be recorded, so a restart would \
                 forget it: {}; cancel it again once the journal can be written",
                fault.message
            );
            return Err(Fault { message, ..fault });
        }
        self.state = decision.then;
        if let Some(effect) = decision.effect {
            self.act(service, effect);
        }
        Ok(decision)
    }

    fn facts(&self) -> Facts {
        let progress = self.store.running().map(|running| &running.progress);
        Facts {
            cancelled: progress.is_some_and(|progress| progress.cancelled.is_some()),
            chosen: progress.and_then(|progress| progress.chosen),
            held: progress.is_some_and(|progress| progress.held),
        }
    }

    fn act(&mut self, service: &Service, effect: Effect) {
        match effect {
            Effect::Launch { id, direction, halt } => {
                let launch = Launch {
                    id,
                    direction,
                    world: None,
                };
                self.runner = Some(service.launch(launch, halt));
            }
            Effect::Halt(halt) => {
                if let Some(runner) = &self.runner {
                    runner.halt.send_replace(halt);
                }
            }
        }
    }

    /// Records an execution that was planned on `planned_on`, and starts it.
    pub(in crate::service) fn begin(
        &mut self,
        service: &Service,
        frozen: &Frozen,
        planned_on: &Snapshot,
        imagined: Option<(&str, &Snapshot)>,
        launch: Launch,
    ) -> Result<watch::Receiver<Option<Ended>>, Fault> {
        let ask = Ask::Begin(frozen.id);
        let decision = self
            .state
            .decide(self.facts(), ask)
            .map_err(|refusal| self.refused(refusal, ask))?;
        self.store.begin(frozen, planned_on, imagined)?;
        self.state = decision.then;
        let runner = service.launch(launch, Halt::No);
        let ended = runner.ended.clone();
        self.runner = Some(runner);
        Ok(ended)
    }

    /// Decides about an execution that an earlier process left in the middle.
    pub(in crate::service) fn recover(
        &mut self,
        service: &Service,
        on_restart: OnRestart,
    ) -> Result<(), Fault> {
        self.ask(service, Ask::Recover(on_restart), &By::itself())
            .map(drop)
    }

    /// Records that an execution is cancelled, and makes sure that nothing more is begun.
    pub(in crate::service) fn cancel(&mut self, service: &Service, id: Uuid, by: &By) -> Result<(), Fault> {
        self.ask(service, Ask::Cancel(id), by).map(drop)
    }

    /// Records the direction that was chosen for an execution that is held, and starts it.
    pub(in crate::service) fn take_up(
        &mut self,
        service: &Service,
        id: Uuid,
        direction: Direction,
        by: &By,
    ) -> Result<(), Fault> {
        self.ask(service, Ask::TakeUp(id, direction), by).map(drop)
    }

    /// Begins nothing more. Returns the end of what runs.
    pub(in crate::service) fn stop(&mut self, service: &Service) -> Option<watch::Receiver<Option<Ended>>> {
        // It can't be refused, and there is nothing to record.
        let _ = self.ask(service, Ask::Stop, &By::itself());
        self.runner.as_ref().map(|runner| runner.ended.clone())
    }

    /// Records an event of the unfinished execution. Returns the action that it concerns.
    pub(in crate::service) fn record(
        &mut self,
        id: Uuid,
        stamped: &Stamped,
    ) -> Result<Option<Action>, Fault> {
        let about = self.store.record(id, stamped)?;
        if matches!(stamped.event, Event::Finished { .. })
            && let Ok(decision) = self.state.decide(Facts::default(), Ask::Finished(id))
        {
            self.state = decision.then;
        }
        Ok(about)
    }

    fn refused(&self, refusal: Refusal, ask: Ask) -> Fault {
        match (refusal, ask) {
            (Refusal::Stopping, _) => Fault::new(
                Code::Stopping,
                "the service is stopping; ask again when it has started",
            ),
            (Refusal::Cancelled(id), _) => Fault::new(
                Code::ExecutionRunning,
                format!("execution {id} is being cancelled"),
            ),
            (Refusal::Unfinished(id), Ask::TakeUp(..)) => Fault::new(
                Code::ExecutionRunning,
                format!("execution {id} is being carried out already"),
            ),
            (Refusal::Unfinished(_), _) => match self.store.idle() {
                Err(fault) => fault,
                Ok(()) => Fault::new(Code::ExecutionRunning, "another execution is running"),
            },
            (Refusal::NotThisOne, Ask::Cancel(id) | Ask::TakeUp(id, _)) => self.not_open(id, ask),
            (Refusal::NotThisOne, _) => Fault::new(Code::Internal, "it is not this execution's turn"),
        }
    }

    /// Why nothing can be asked of this execution any more.
    fn not_open(&self, id: Uuid, ask: Ask) -> Fault {
        let what = match ask {
            Ask::Cancel(_) => "cancel",
            _ => "take up",
        };
        match self.store.execution(id) {
            Ok(Some(execution)) => Fault::new(
                Code::ExecutionEnded,
                format!(
                    "execution {id} {}; there is nothing to {what}",
                    ended(execution.state())
                ),
            ),
            Ok(None) => Fault::new(Code::NotFound, format!("there is no execution {id}")),
            Err(fault) => fault,
        }
    }
}

/// How an execution ended, as a sentence.
fn ended(state: &str) -> &str {
    match state {
        "succeeded" => "has succeeded",
        "failed" => "has failed",
        "cancelled" => "was cancelled",
        "rolled_back" => "was rolled back",
        "rollback_failed" => "has failed, and so has its rollback",
        other => other,
    }
}

fn event(fact: Fact, by: &By) -> Event {
    match fact {
        Fact::Cancel => Event::CancelRequested(by.clone()),
        Fact::Chosen(Direction::Forward) => Event::ResumeRequested(by.clone()),
        Fact::Chosen(Direction::Back) => Event::RollbackRequested(by.clone()),
        Fact::Held => Event::Held {},
    }
}

impl Line {
    /// Has `work` done when its turn comes, even if the caller has gone by then.
    pub(in crate::service) async fn ask<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&mut Supervisor) -> Result<T, Fault> + Send + 'static,
    {
        let gone = || Fault::new(Code::Stopping, "the service has stopped");
        let (reply, answer) = oneshot::channel();
        let span = tracing::Span::current();
        let request: Request = Box::new(move |supervisor| {
            let _inside = span.enter();
            let done = catch_unwind(AssertUnwindSafe(|| work(supervisor)));
            // The caller may have gone.
            let _ = reply.send(done.unwrap_or_else(|panic| Err(crashed(panic.as_ref()))));
        });
        self.0.send(request).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn crashed(panic: &(dyn Any + Send)) -> Fault {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(said, "a request crashed");
    Fault::new(
        Code::Internal,
        "mapek failed on this request; its log says more, please report it",
    )
}
