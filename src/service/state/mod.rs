//! The current state and its record: whatever changes, changes here, and on disk first.

mod executions;
mod intents;
pub(super) mod replay;
pub(super) mod revisions;
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

use executions::plans;

/// The record and what it adds up to.
pub struct Store {
    journal: Box<dyn Journal>,
    /// The current state itself, as everyone sees it: there is no second copy to keep in step.
    now: watch::Sender<Arc<Snapshot>>,
    running: Option<Execution>,
    outside: Arc<dyn Outside>,
}

impl Store {
    /// Takes up what the journal holds. An execution that was cut off counts as running.
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
        let topology = kept
            .topology
            .map(parse)
            .transpose()?
            .map(|parsed| Arc::new(parsed.topology.keyed(&key, None, |_| true)));
        let mut now = Snapshot {
            topology,
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
        (now.desired, now.reached) = plans(journal.as_ref())?;
        now.cordons = Arc::new(journal.cordons()?);
        now.intents = Arc::new(journal.open_intents()?);
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
        Ok((store, snapshot))
    }

    /// What is, right now.
    fn now(&self) -> Arc<Snapshot> {
        self.now.borrow().clone()
    }

    /// Changes what is, and wakes whoever listens. What nobody else holds is changed in place.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        self.now.send_modify(|now| change(Arc::make_mut(now)));
    }

    /// The fault of asking for something that an execution which has not ended forbids.
    pub fn idle(&self) -> Result<(), Fault> {
        self.now.borrow().idle()
    }

    /// Takes in what differs from what should be.
    pub fn differ(&mut self, differences: Vec<Difference>) {
        self.publish(|now| now.differences = Arc::new(differences));
    }

    /// Whether the record can be written.
    pub fn check(&mut self) -> Result<(), Fault> {
        Ok(self.journal.check()?)
    }

    /// Brings all that was written into the one file of the record.
    pub fn checkpoint(&mut self) -> Result<(), Fault> {
        Ok(self.journal.checkpoint()?)
    }

    /// Drops some of the history that is kept no longer.
    pub fn prune(&mut self, retention: &Retention) -> Result<Pruned, Fault> {
        Ok(self.journal.prune(retention, self.outside.now())?)
    }

    /// Keeps what was shown.
    pub fn seal(&mut self, seal: &Seal) -> Result<(), Fault> {
        Ok(self.journal.seal(seal)?)
    }

    /// What was shown under that id.
    pub fn sealed(&self, id: &str) -> Result<Option<Seal>, Fault> {
        Ok(self.journal.sealed(id)?)
    }

    /// Keeps an event that belongs to no execution's history, and wakes whoever listens.
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

/// The event with who is behind it.
fn signed(mut event: Value, by: &By) -> Value {
    if let (Some(fields), Value::Object(by)) = (event.as_object_mut(), json!(by)) {
        fields.extend(by);
    }
    event
}
