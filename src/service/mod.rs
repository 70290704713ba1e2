//! The service: the one owner of the current state, and a cheap handle to it for everyone else.
//!
//! Readers get a snapshot at once. Changes wait in line for the supervisor, one task that owns the
//! record, the state that follows from it, and the runner: it decides (`phase`), records, and acts,
//! in that order. Work on engines and clouds runs on the service's own runtime, so that it
//! continues if a client goes away.
//!
//! | room | what it is |
//! |---|---|
//! | `admission` | from a plan that somebody wants to an execution on record; idempotency keys |
//! | `planner` | from a plan to a placement and its actions, by the state as it is observed; seals; what-ifs |
//! | `queue` | who may search for a placement, and who waits |
//! | `observed` | what is there: the VMs that the cloud has, and what their engines run |
//! | `supervisor` | the one task that decides (`phase`, which is pure), records and acts; the runner, and recovery |
//! | `state` | the record, and the state that follows from it |
//! | `desired` | the plan that holds; pure |
//! | `reconciler` | what differs from it, since when, and what is done about it |
//! | `nodes` | every VM that could be used, and how it stands |
//! | `requirements` | which nodes tiers may be on, and why not the others; pure |
//! | `candidates` | which nodes could take a tier |
//! | `intents` | what is wanted of nodes and tiers, and by hand: recorded first, then carried out |
//! | `apps` | apps that are put by requests: read, and shown |
//! | `besides` | a plan with what is wanted besides it: such apps, and what is set by hand; pure |
//! | `retention` | drops what is kept of the history no longer |

mod admission;
mod adopt;
mod apps;
mod besides;
mod candidates;
mod desired;
mod document;
mod give_up;
mod inspect;
mod intents;
mod logs;
mod metrics;
mod nodes;
mod observed;
mod planner;
mod platform;
mod process;
mod queue;
mod ready;
mod reconciler;
mod redact;
mod registered;
mod requirements;
mod retention;
mod state;
mod supervisor;
#[cfg(test)]
mod tests;
mod topology;
mod usage;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

use crate::execute::{Event, Execution, Stamped};
use crate::fault::{Code, Fault, chain};
use crate::journal::{Entry, History, Journal, JournalError, Listed, Page, Reach};
use crate::meter::Meter;
use crate::outside::{Outside, off_async};

pub use admission::{Begun, Request};
pub use adopt::Adopted;
pub use apps::{AppShown, Apps, Wants as AppWants};
pub use candidates::{Candidates, Wanted as CandidatesWanted};
pub use desired::PlanThatHolds;
pub use document::{Document, Tags};
pub use inspect::{Inspected, Inspection};
pub use intents::{Alert, Alerted};
pub use planner::{Placement, Proposal, WhatIf, check_what_if, what_if};
pub use platform::Platform;
pub use queue::on_behalf_of;
pub use ready::Readiness;
pub use redact::without_secrets;
pub use registered::{CutOff, Welcome};
pub use state::snapshot::Snapshot;
pub use supervisor::phase::OnRestart;
pub use supervisor::runner::Ended;
pub use topology::PutTopology;
pub use usage::{ContainerUsage, Usages};

use state::Store;
use supervisor::{Line, Supervisor};

/// The service's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a placement may be searched for.
    pub solve_deadline: Duration,
    /// How long one hook may run.
    pub hook_deadline: Duration,
    /// How many actions of a stage may run at the same time.
    pub parallel: usize,
    /// How many of them on one VM.
    pub parallel_on_vm: usize,
    /// How long an action that fails for a passing reason is tried again.
    pub retry_for: Duration,
    /// Measurements by others, to be published with the service's own numbers.
    pub meter: Meter,
    /// The journal's main file, whose size is published; None if there is none.
    pub journal_file: Option<PathBuf>,
    /// How many placements are searched for at the same time, for plans and for what-ifs each.
    pub solves: usize,
    /// The time of day, new ids, random numbers, and threads for work that blocks.
    pub outside: Arc<dyn Outside>,
    /// The longest that a what-if may ask to be searched for.
    pub max_what_if: Duration,
}

/// A handle to the service. Clones are the same service.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    line: Line,
    /// The history. Reading it does not hold up recording.
    history: Arc<dyn History>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    platform: Arc<dyn Platform>,
    settings: Settings,
    runtime: Handle,
    /// Queue at searching for placements of plans.
    solvers: queue::Queue,
    /// The same for what-ifs, which may take as long as they ask for, and therefore wait
    /// separately.
    what_ifs: queue::Queue,
    ready: tokio::sync::Mutex<Option<(tokio::time::Instant, Readiness)>>,
    metrics: metrics::Metrics,
    /// What was heard of the nodes, by whoever looked.
    nodes: nodes::Known,
    /// Wakes the reconciler: something is to be done that need not wait for its next look.
    wake: tokio::sync::Notify,
}

impl Service {
    /// Takes up what the journal contains. Must be called on the runtime that the work is to run
    /// on.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub fn open(
        journal: Box<dyn Journal>,
        platform: Arc<dyn Platform>,
        settings: Settings,
    ) -> Result<Self, JournalError> {
        let history = journal.history();
        let (store, snapshot) = Store::open(journal, Arc::clone(&settings.outside))?;
        let metrics = metrics::Metrics::new(&settings.meter, settings.journal_file.as_deref());
        let solvers = queue::Queue::new(settings.solves);
        let what_ifs = queue::Queue::new(settings.solves);
        let inner = Inner {
            line: Supervisor::start(store, Arc::clone(&settings.outside)),
            history,
            snapshot,
            platform,
            settings,
            runtime: Handle::current(),
            solvers,
            what_ifs,
            ready: tokio::sync::Mutex::default(),
            metrics,
            nodes: nodes::Known::default(),
            wake: tokio::sync::Notify::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The present state.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.borrow().clone()
    }

    /// A page of the history, newest first.
    ///
    /// # Errors
    ///
    /// When it is to begin before an execution that is not kept, or the journal can't be read.
    pub async fn executions(&self, page: Page) -> Result<Listed, Fault> {
        let before = page.before;
        let listed = self
            .with_history(move |history| history.executions(&page))
            .await?;
        listed.ok_or_else(|| {
            let id = before.unwrap_or_default();
            let message = format!(
                "before should be the id of an execution in the history; there is no {id}, or it is no longer kept"
            );
            Fault::new(Code::RequestInvalid, message)
        })
    }

    /// One execution.
    ///
    /// # Errors
    ///
    /// When there is none of that id, or the journal can't be read.
    pub async fn execution(&self, id: Uuid) -> Result<Execution, Fault> {
        if let Some(running) = self.with_store(move |store| Ok(store.unfinished(id))).await? {
            return Ok(running);
        }
        match self.with_history(move |history| history.execution(id)).await? {
            Some(record) => state::replay::replay(record),
            None => Err(Fault::new(Code::NotFound, format!("there is no execution {id}"))),
        }
    }

    /// Lets the running actions end, begins nothing more, and waits for that.
    pub async fn stop(&self) {
        let service = self.clone();
        let ended = self.ask(move |supervisor| Ok(supervisor.stop(&service))).await;
        if let Ok(Some(mut ended)) = ended {
            // An error means that the task is gone, which is an end as well.
            let _ = ended.wait_for(Option::is_some).await;
        }
        // For who copies the one file of a service that has stopped.
        if let Err(error) = self.with_store(Store::checkpoint).await {
            tracing::warn!(%error, "the journal is in more than one file; copy all of them, or use mapek backup");
        }
    }

    /// Notifies whenever anything has changed, or an event was recorded.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.inner.snapshot.clone()
    }

    /// At most this many events after the one with that number, oldest first; and the number up to
    /// which events may be missing among them, since they are no longer kept.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub async fn events_after(&self, seq: u64, limit: u32) -> Result<(Vec<Entry>, u64), Fault> {
        // In this order: what is deleted in between counts as missing, although it may not be.
        self.with_history(move |history| Ok((history.events_after(seq, limit)?, history.dropped_to()?)))
            .await
    }

    /// The number of the newest event.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub async fn newest_event(&self) -> Result<u64, Fault> {
        self.with_history(|history| history.newest_event()).await
    }

    /// Which of the events after that number are still there.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub async fn reach(&self, seq: u64) -> Result<Reach, Fault> {
        self.with_history(move |history| history.reach(seq)).await
    }

    /// The id of the journal. Numbers of events mean something only within one journal.
    #[must_use]
    pub fn journal(&self) -> Uuid {
        self.inner.history.id()
    }

    /// All metrics, in the text format of OpenMetrics, or in Prometheus' older one.
    ///
    /// # Errors
    ///
    /// When it can't be written down, which would be a defect.
    pub fn metrics(&self, openmetrics: bool) -> Result<String, Fault> {
        let text = self.inner.metrics.text(&self.snapshot())?;
        Ok(if openmetrics {
            text
        } else {
            metrics::classic(&text)
        })
    }

    /// Has `work` done by the supervisor when its turn comes.
    async fn ask<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&mut Supervisor) -> Result<T, Fault> + Send + 'static,
    {
        self.inner.line.ask(work).await
    }

    /// The same, for work that only needs the record.
    async fn with_store<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&mut Store) -> Result<T, Fault> + Send + 'static,
    {
        self.ask(|supervisor| work(&mut supervisor.store)).await
    }

    /// Reads the history, off the async threads, without holding up recording.
    async fn with_history<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&dyn History) -> Result<T, JournalError> + Send + 'static,
    {
        let history = Arc::clone(&self.inner.history);
        let read = self.off_async(move || work(&*history)).await;
        Ok(read.ok_or_else(crashed)??)
    }

    /// Runs `work` on the service's runtime, to its end even if the caller goes away, on behalf of
    /// the same client.
    async fn to_the_end<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        self.inner
            .runtime
            .spawn(queue::carried(work).in_current_span())
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a task ended without an answer");
                Err(crashed())
            })
    }

    /// Runs work that blocks off the async threads. None when it crashed.
    async fn off_async<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        off_async(self.inner.settings.outside.as_ref(), &self.inner.runtime, work).await
    }

    /// An event, with the time.
    fn stamped(&self, event: Event) -> Stamped {
        stamped(self.inner.settings.outside.as_ref(), event)
    }
}

/// An event, with the time that is recorded for it. The time decides nothing: the order is the
/// record's.
fn stamped(outside: &dyn Outside, event: Event) -> Stamped {
    let at = outside.now();
    Stamped { at, event }
}

fn crashed() -> Fault {
    Fault::new(
        Code::Internal,
        "mapek failed on this request; its log says more, please report it",
    )
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::new(Code::JournalUnavailable, chain(&error))
    }
}
