//! The service: the one owner of the current state, and a cheap handle to it for everyone else.
//!
//! Whoever asks gets a snapshot at once. Whoever changes goes through the book (`book::Book`), which
//! writes to the journal first. Work on engines and clouds runs on the service's own runtime, so
//! that a client that goes away takes nothing down with it.

mod book;
mod carry;
mod document;
mod drift;
mod give_up;
mod inspect;
mod leftovers;
mod members;
mod metrics;
mod observer;
mod platform;
mod process;
mod propose;
mod ready;
mod reality;
mod recover;
mod redact;
mod replan;
mod replay;
mod sealed;
mod snapshot;
mod topology;
mod turns;
mod what_if;
mod work_out;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

use crate::execute::{By, Direction, Execution, Halt};
use crate::fault::{Code, Fault, chain};
use crate::journal::{Entry, Journal, JournalError};
use crate::meter::Meter;

pub use carry::{Begun, Ended, Request};
pub use document::{Document, Tags};
pub use platform::Platform;
pub use propose::Proposal;
pub use ready::Readiness;
pub use recover::OnRestart;
pub use snapshot::Snapshot;
pub use topology::PutTopology;
pub use what_if::{WhatIf, what_if};

use book::Book;

/// What the service goes by.
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
    /// How long an action is tried again that fails for a passing reason.
    pub retry_for: Duration,
    /// What others measure, to be told with the service's own numbers.
    pub meter: Meter,
    /// The journal's main file, whose size is told; None where there is none.
    pub journal_file: Option<PathBuf>,
    /// How many placements are searched for at the same time, for plans and for what-ifs each.
    pub solves: usize,
}

/// A handle to the service. Clones are the same service.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    book: Arc<Mutex<Book>>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    platform: Arc<dyn Platform>,
    settings: Settings,
    runtime: Handle,
    /// Turns at searching for placements of plans.
    solvers: turns::Turns,
    /// The same for what-ifs, which may take as long as they say, and so have turns of their own.
    what_ifs: turns::Turns,
    running: Mutex<Option<carry::Running>>,
    ready: tokio::sync::Mutex<Option<(std::time::Instant, Readiness)>>,
    metrics: metrics::Metrics,
}

impl Service {
    /// Takes up what the journal holds. Must be called on the runtime that work is to run on.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub fn open(
        journal: Box<dyn Journal>,
        platform: Arc<dyn Platform>,
        settings: Settings,
    ) -> Result<Self, JournalError> {
        let (book, snapshot) = Book::open(journal)?;
        let metrics = metrics::Metrics::new(&settings.meter, settings.journal_file.as_deref());
        let solvers = turns::Turns::new(settings.solves);
        let what_ifs = turns::Turns::new(settings.solves);
        let inner = Inner {
            book: Arc::new(Mutex::new(book)),
            snapshot,
            platform,
            settings,
            runtime: Handle::current(),
            solvers,
            what_ifs,
            running: Mutex::new(None),
            ready: tokio::sync::Mutex::default(),
            metrics,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What is, right now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.borrow().clone()
    }

    /// The newest executions, newest first.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub async fn executions(&self, limit: u32) -> Result<Vec<Execution>, Fault> {
        self.with_book(move |book| book.executions(limit)).await
    }

    /// One execution.
    ///
    /// # Errors
    ///
    /// When there is none of that id, or the journal can't be read.
    pub async fn execution(&self, id: Uuid) -> Result<Execution, Fault> {
        let found = self.with_book(move |book| book.execution(id)).await?;
        found.ok_or_else(|| Fault::new(Code::NotFound, format!("there is no execution {id}")))
    }

    /// Asks the running execution to begin no further action.
    ///
    /// # Errors
    ///
    /// When there is no such execution, or it has ended.
    pub async fn cancel(&self, id: Uuid, by: By) -> Result<(), Fault> {
        let execution = self.execution(id).await?;
        if execution.progress.outcome.is_none() {
            // A full disk is no reason to go on with what nobody wants.
            if let Err(error) = self.note_wish("cancel_requested", id, by.clone()).await {
                tracing::warn!(execution = %id, %error, "could not note the wish to cancel among the events");
            }
            if self.halt(Some(id), Halt::Cancel) {
                return Ok(());
            }
            // It is held: what was cut off in the middle is looked up, and the end recorded.
            return self.take_up(id, Direction::Forward, Halt::Cancel, by).await;
        }
        let message = format!(
            "execution {id} has {}; there is nothing to cancel",
            execution.state()
        );
        Err(Fault::new(Code::ExecutionEnded, message))
    }

    /// Puts on record who wished for a change of an execution.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk.
    async fn note_wish(&self, kind: &'static str, id: Uuid, by: By) -> Result<(), Fault> {
        tracing::info!(execution = %id, by = by.name, "{kind}");
        self.with_book(move |book| book.note_by(kind, json!({ "execution": id }), &by))
            .await
    }

    /// Lets the running actions end, begins no more, and waits for that.
    pub async fn stop(&self) {
        let ended = self.lock_running().as_ref().map(|running| running.ended.clone());
        self.halt(None, Halt::Stop);
        if let Some(mut ended) = ended {
            // An error says that the task is gone, which is an end as well.
            let _ = ended.wait_for(Option::is_some).await;
        }
    }

    /// Tells whenever anything has changed, or an event was recorded.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.inner.snapshot.clone()
    }

    /// Events after the one with that number, oldest first, so many at most.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub async fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, Fault> {
        self.with_book(move |book| book.events_after(seq, limit)).await
    }

    /// The number of the newest event.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    pub async fn newest_event(&self) -> Result<u64, Fault> {
        self.with_book(|book| book.newest_event()).await
    }

    /// What is counted, in the text format of OpenMetrics, or in Prometheus' older one.
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

    /// Runs `work` on the book, off the async threads.
    async fn with_book<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: FnOnce(&mut Book) -> Result<T, Fault> + Send + 'static,
    {
        let book = Arc::clone(&self.inner.book);
        let span = tracing::Span::current();
        let task = move || {
            let _inside = span.enter();
            work(&mut book.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.inner
            .runtime
            .spawn_blocking(task)
            .await
            .unwrap_or_else(|error| Err(crashed(&error)))
    }

    /// Runs `work` on the service's runtime, to its end even when the caller goes away.
    async fn to_the_end<T, W>(&self, work: W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        self.inner
            .runtime
            .spawn(work.in_current_span())
            .await
            .unwrap_or_else(|error| Err(crashed(&error)))
    }
}

fn crashed(error: &tokio::task::JoinError) -> Fault {
    tracing::error!(%error, "a task ended without an answer");
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
