//! The durable record: topology, allocation, executions and their events.
//!
//! SQLite in WAL mode with full sync: what [`Journal`] has answered is on disk. Calls block, and
//! the service makes them off the async threads. The journal decides nothing.
//!
//! Two doors lead in. [`Journal`] is the one that writes, and there is one of it. [`History`] is
//! for readers: it has connections of its own, and nobody waits for them. `rows` says how values are
//! written down, `schema` and `migrate` what the tables are, `retention` what is dropped again.

mod backup;
mod error;
mod folder;
mod history;
mod intents;
#[cfg(debug_assertions)]
mod killing;
mod migrate;
mod retention;
mod rows;
mod schema;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::execute::{Frozen, Outcome, Seal, Stamped};
use crate::model::intent::{Cordon, Intent};
use crate::model::{Allocation, Change, RevisionKey, VmId};

pub use backup::{backup, restore};
pub use error::JournalError;
pub use folder::JOURNAL_FILE;
pub use history::{Entry, History, Listed, Page, Reach, SqliteHistory};
pub use intents::{CordonChange, IntentPage};
#[cfg(debug_assertions)]
pub use killing::{KillAt, KillingJournal};
pub use retention::{KEY_HOURS, Pruned, Retention};
pub use sqlite::SqliteJournal;

/// What is kept between runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The topology's document; None before the first.
    pub topology: Option<Value>,
    /// How often a topology was put.
    pub generation: u64,
    /// What was last confirmed.
    pub allocation: Allocation,
}

/// The durable record.
pub trait Journal: Send {
    /// What is kept.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn load(&self) -> Result<Kept, JournalError>;

    /// Who owns the containers that are recorded here: an id that is made once, and stays over
    /// restarts, new versions and backups.
    fn owner(&self) -> Uuid;

    /// Other owners whose containers were adopted. The empty one stands for containers without an
    /// owner, as the versions made them that wrote the record before.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn adopted(&self) -> Result<BTreeSet<String>, JournalError>;

    /// Keeps that another owner's containers were adopted, with the event that tells so and what it
    /// changes in the allocation.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk.
    fn adopt(&mut self, owner: &str, event: &Value, changes: &[Change]) -> Result<(), JournalError>;

    /// The id of each VM's engine, as it was kept last.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn engine_ids(&self) -> Result<BTreeMap<VmId, String>, JournalError>;

    /// Keeps the id of a VM's engine in the place of the one before; None forgets it.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk.
    fn keep_engine_id(&mut self, vm: &VmId, engine: Option<&str>) -> Result<(), JournalError>;

    /// What revisions are keyed with: made once, as the owner is.
    fn revision_key(&self) -> RevisionKey;

    /// The generations of the topologies that are kept, newest first.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn generations(&self) -> Result<Vec<u64>, JournalError>;

    /// A topology that was put; None where it is not kept any more.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn topology(&self, generation: u64) -> Result<Option<Value>, JournalError>;

    /// Keeps a topology and answers with its generation.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk; the old one is kept then.
    fn put_topology(&mut self, document: &Value) -> Result<u64, JournalError>;

    /// Keeps an execution before its first effect, and with it what it sets out from as the
    /// allocation.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk; no effect may be begun then.
    fn begin(&mut self, execution: &Frozen) -> Result<(), JournalError>;

    /// Keeps an event, and what it changes in the allocation, together.
    ///
    /// # Errors
    ///
    /// When they are not surely on disk.
    fn record(&mut self, execution: Uuid, event: &Stamped, changes: &[Change]) -> Result<(), JournalError>;

    /// Keeps an event that belongs to no execution's history: drift, a new topology; and what it
    /// changes in the allocation, together.
    ///
    /// # Errors
    ///
    /// When they are not surely on disk.
    fn note(&mut self, event: &Value, changes: &[Change]) -> Result<(), JournalError>;

    /// Writes what is there already.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk.
    fn check(&mut self) -> Result<(), JournalError>;

    /// Brings all that was written into the one file that it is kept in, for who copies that alone.
    ///
    /// # Errors
    ///
    /// When it is not all there; nothing is lost then.
    fn checkpoint(&mut self) -> Result<(), JournalError>;

    /// Keeps what was shown, until many others were shown after it.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk.
    fn seal(&mut self, seal: &Seal) -> Result<(), JournalError>;

    /// What was shown under that id.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn sealed(&self, id: &str) -> Result<Option<Seal>, JournalError>;

    /// The execution that was begun under a client's key.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn under_key(&self, key: &str) -> Result<Option<Uuid>, JournalError>;

    /// The execution that was begun last, of those with that outcome where one is given: by the order in which
    /// they were kept, whatever the clock said.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn newest(&self, outcome: Option<Outcome>) -> Result<Option<Uuid>, JournalError>;

    /// Keeps an intent, in the place of what was kept of it before, with what it does to the cordon of a node,
    /// and the event that tells of it.
    ///
    /// # Errors
    ///
    /// When they are not surely on disk.
    fn keep_intent(
        &mut self,
        intent: &Intent,
        cordon: Option<&CordonChange>,
        event: &Value,
    ) -> Result<(), JournalError>;

    /// Intents that are not over, in the order in which they were taken.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn open_intents(&self) -> Result<Vec<Intent>, JournalError>;

    /// The nodes that take nothing new.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn cordons(&self) -> Result<BTreeMap<VmId, Cordon>, JournalError>;

    /// Executions that have begun and not ended, in the order in which they began.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn unfinished(&self) -> Result<Vec<Uuid>, JournalError>;

    /// Drops some of what is kept no longer, in one small step. It is called again while there is
    /// more, with pauses in which others write.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk; nothing is dropped then, or all of the step.
    fn prune(&mut self, retention: &Retention, now: Timestamp) -> Result<Pruned, JournalError>;

    /// What happened, for readers: they need not hold this to read it.
    fn history(&self) -> Arc<dyn History>;
}
