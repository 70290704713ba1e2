//! The current state and its record: whatever changes, changes here, and on disk first.

mod apps;
pub(super) mod besides;
mod executions;
mod intents;
mod registered;
pub(super) mod replay;
pub(super) mod revisions;
mod settle;
pub(super) mod snapshot;
#[cfg(test)]
mod tests;
mod topology;
mod vms;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::execute::{By, Event, Execution, Seal, Stamped};
use crate::fault::Fault;
use crate::journal::{Journal, JournalError, Pruned, Retention};
use crate::model::Topology;
use crate::outside::Outside;

use crate::service::Snapshot;
use crate::service::reconciler::Difference;
use crate::service::state::replay::take_up;

use executions::recall;

pub(super) use registered::{refuse_elsewhere, taken};

/// The record and what it adds up to.
pub struct Store {
    journal: Box<dyn Journal>,
    /// The current state itself, as everyone sees it: there is no second copy that could differ.
    now: watch::Sender<Arc<Snapshot>>,
    running: Option<Execution>,
    pub(super) outside: Arc<dyn Outside>,
}

impl Store {
    /// Takes up what the journal contains. An execution that was cut off counts as running.
    pub fn open(
        mut journal: Box<dyn Journal>,
        outside: Arc<dyn Outside>,
    ) -> Result<(Self, watch::Receiver<Arc<Snapshot>>), JournalError> {
        let kept = journal.load()?;
        let parse = |document| {
            Topology::parse(&document).map_err(|problems| {
                JournalError::Unreadable(format!(
                    "the topology that was put is not valid any more: {problems}"
                ))
            })
        };
        let key = journal.revision_key();
        let registered = Arc::new(journal.nodes()?);
        let topology = kept.topology.map(parse).transpose()?.map(|parsed| {
            Arc::new(
                parsed
                    .topology
                    .with_members(&registered)
                    .keyed(&key, None, |_| true),
            )
        });
        let mut now = Snapshot {
            topology,
            registered,
            generation: kept.generation,
            allocation: Arc::new(kept.allocation),
            engines: Arc::new(journal.engine_ids()?),
            unlabelled: journal.adopted()?.contains(""),
            ..Snapshot::default()
        };
        // One at a time: no more than one can have been cut off.
        let record = match journal.unfinished()?.first() {
            Some(id) => journal.history().execution(*id)?,
            None => None,
        };
        revisions::assume_current(journal.as_mut(), &mut now, outside.now());
        let frozen = record.as_ref().map(|(frozen, _)| frozen);
        revisions::recall(journal.as_ref(), &mut now, frozen)?;
        let running = record.map(|record| take_up(record, &mut now)).transpose()?;
        recall(journal.as_ref(), &mut now)?;
        now.cordons = Arc::new(journal.cordons()?);
        now.intents = Arc::new(journal.open_intents()?);
        now.besides = besides::recall(journal.as_ref())?;
        let (now, snapshot) = watch::channel(Arc::new(now));
        let mut store = Self {
            journal,
            now,
            running,
            outside,
        };
        if let Some(frozen) = store.running.as_ref().map(|running| running.frozen.clone()) {
            store.carries_out(&frozen);
        }
        store
            .settle_at_start()
            .map_err(|fault| JournalError::Unreadable(fault.message))?;
        if let Err(error) = store.settle_newest() {
            tracing::warn!(%error, "could not note what the newest plan changed in what is wanted besides plans");
        }
        Ok((store, snapshot))
    }

    /// What is, right now.
    pub(super) fn now(&self) -> Arc<Snapshot> {
        self.now.borrow().clone()
    }

    /// Changes the state, and wakes those who wait for that. What nobody else holds is changed in
    /// place.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        self.now.send_modify(|now| change(Arc::make_mut(now)));
    }

    /// The error for a request that is impossible while an execution has not ended.
    pub fn idle(&self) -> Result<(), Fault> {
        self.now.borrow().idle()
    }

    /// Applies what differs from what should run.
    pub fn differ(&mut self, differences: Vec<Difference>) {
        self.publish(|now| now.differences = Arc::new(differences));
    }

    /// Whether the record can be written.
    pub fn check(&mut self) -> Result<(), Fault> {
        Ok(self.journal.check()?)
    }

    /// Moves everything that was written into the record's one file.
    pub fn checkpoint(&mut self) -> Result<(), Fault> {
        Ok(self.journal.checkpoint()?)
    }

    /// Deletes some of the history that is no longer kept.
    pub fn prune(&mut self, retention: &Retention) -> Result<Pruned, Fault> {
        Ok(self.journal.prune(retention, self.outside.now())?)
    }

    /// Stores what was shown.
    pub fn seal(&mut self, seal: &Seal) -> Result<(), Fault> {
        Ok(self.journal.seal(seal)?)
    }

    /// What was shown under that id.
    pub fn sealed(&self, id: &str) -> Result<Option<Seal>, Fault> {
        Ok(self.journal.sealed(id)?)
    }

    /// Records an event that belongs to no execution's history, and wakes those who wait.
    pub fn note(&mut self, kind: &str, event: Value) -> Result<(), Fault> {
        let event = self.dated(kind, event);
        self.journal.note(&event, &[])?;
        self.publish(|_| {});
        Ok(())
    }

    /// An event of the running execution, with the time.
    pub fn stamped(&self, event: Event) -> Stamped {
        crate::service::stamped(self.outside.as_ref(), event)
    }

    /// The event with its kind and the time.
    fn dated(&self, kind: &str, mut event: Value) -> Value {
        if let Some(fields) = event.as_object_mut() {
            fields.insert("event".to_owned(), json!(kind));
            fields.insert("at".to_owned(), json!(self.outside.now()));
        }
        event
    }
}

/// The event with the name of who is behind it.
fn signed(mut event: Value, by: &By) -> Value {
    if let (Some(fields), Value::Object(by)) = (event.as_object_mut(), json!(by)) {
        fields.extend(by);
    }
    event
}
