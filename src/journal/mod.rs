//! The durable record: topology, allocation, executions and their events.
//!
//! SQLite in WAL mode with full sync: when [`Journal`] has answered, the change is on disk. Calls
//! block, and the service makes them off the async threads. The journal makes no decisions.
//!
//! There are two interfaces. [`Journal`] writes, and there is one of it. [`History`] is for
//! readers: it has connections of its own, so that nobody waits for them. `rows` converts values to
//! rows and back, `schema` and `migrate` define the tables, `retention` deletes what is too old.

mod backup;
mod desired;
mod error;
mod folder;
mod history;
mod intents;
#[cfg(debug_assertions)]
mod killing;
mod migrate;
mod nodes;
mod page;
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
use crate::model::{Allocation, Change, Registration, Registrations, RevisionKey, VmId};

pub use backup::{backup, restore};
pub use desired::DesiredChange;
pub use error::JournalError;
pub use folder::JOURNAL_FILE;
pub use history::{Entry, History, Listed, Reach, SqliteHistory};
pub use intents::{CordonChange, IntentPage};
#[cfg(debug_assertions)]
pub use killing::{KillAt, KillingJournal};
pub use page::Page;
pub use retention::{KEY_HOURS, Pruned, Retention};
pub use sqlite::SqliteJournal;

/// What is kept between runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The topology's document; None before the first.
    pub topology: Option<Value>,
    /// How often the topology has changed.
    pub generation: u64,
    /// What was confirmed last.
    pub allocation: Allocation,
}

/// The durable record.
pub trait Journal: Send {
    /// What is stored.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn load(&self) -> Result<Kept, JournalError>;

    /// The owner id of the containers that are recorded here. It is made once, and survives
    /// restarts, new versions and backups.
    fn owner(&self) -> Uuid;

    /// Other owners whose containers were adopted. An empty one stands for containers without an
    /// owner, made by the versions that wrote this journal first.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn adopted(&self) -> Result<BTreeSet<String>, JournalError>;

    /// Records that another owner's containers were adopted, together with the event and what it
    /// changes in the allocation.
    ///
    /// # Errors
    ///
    /// When it may not be on disk.
    fn adopt(&mut self, owner: &str, event: &Value, changes: &[Change]) -> Result<(), JournalError>;

    /// The id of each VM's engine, as recorded last.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn engine_ids(&self) -> Result<BTreeMap<VmId, String>, JournalError>;

    /// Records the id of a VM's engine in place of the one before; None forgets it.
    ///
    /// # Errors
    ///
    /// When it may not be on disk.
    fn keep_engine_id(&mut self, vm: &VmId, engine: Option<&str>) -> Result<(), JournalError>;

    /// The key for hashing revisions: made once, like the owner.
    fn revision_key(&self) -> RevisionKey;

    /// The generations of the topologies that are kept, newest first.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn generations(&self) -> Result<Vec<u64>, JournalError>;

    /// A topology that was put; None if it is no longer kept.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn topology(&self, generation: u64) -> Result<Option<Value>, JournalError>;

    /// Stores a topology and returns its generation.
    ///
    /// # Errors
    ///
    /// When it may not be on disk; the old one then stays.
    fn put_topology(&mut self, document: &Value) -> Result<u64, JournalError>;

    /// Records an execution before its first effect, and its starting point as the allocation.
    ///
    /// # Errors
    ///
    /// When it may not be on disk; then no effect may begin.
    fn begin(&mut self, execution: &Frozen) -> Result<(), JournalError>;

    /// Records an event together with what it changes in the allocation.
    ///
    /// # Errors
    ///
    /// When they may not be on disk.
    fn record(&mut self, execution: Uuid, event: &Stamped, changes: &[Change]) -> Result<(), JournalError>;

    /// Records an event that belongs to no execution's history, such as drift or a new topology,
    /// together with what it changes in the allocation.
    ///
    /// # Errors
    ///
    /// When they may not be on disk.
    fn note(&mut self, event: &Value, changes: &[Change]) -> Result<(), JournalError>;

    /// Writes something that changes nothing, to see whether writing works.
    ///
    /// # Errors
    ///
    /// When it may not be on disk.
    fn check(&mut self) -> Result<(), JournalError>;

    /// Moves everything that was written into the one main file, for those who copy only that.
    ///
    /// # Errors
    ///
    /// When not all of it is there; nothing is lost then.
    fn checkpoint(&mut self) -> Result<(), JournalError>;

    /// Stores a translation that was shown, until many others were shown after it.
    ///
    /// # Errors
    ///
    /// When it may not be on disk.
    fn seal(&mut self, seal: &Seal) -> Result<(), JournalError>;

    /// The translation that was shown under that id.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn sealed(&self, id: &str) -> Result<Option<Seal>, JournalError>;

    /// The execution that was begun under a client's key.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn under_key(&self, key: &str) -> Result<Option<Uuid>, JournalError>;

    /// The execution that was begun last; if an outcome is given, the last one with it. By the
    /// order in which they were recorded, whatever the clock said.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn newest(&self, outcome: Option<Outcome>) -> Result<Option<Uuid>, JournalError>;

    /// Records an intent in place of its earlier state, together with what it does to the cordon of
    /// a node, and the event.
    ///
    /// # Errors
    ///
    /// When they may not be on disk.
    fn keep_intent(
        &mut self,
        intent: &Intent,
        cordon: Option<&CordonChange>,
        event: &Value,
    ) -> Result<(), JournalError>;

    /// Intents that are not over, in the order in which they came.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn open_intents(&self) -> Result<Vec<Intent>, JournalError>;

    /// The nodes that take nothing new.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn cordons(&self) -> Result<BTreeMap<VmId, Cordon>, JournalError>;

    /// Keeps a change of what is wanted besides plans, with what goes with it. Answers with the generation of the
    /// topology that came with it.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk, all of it.
    fn keep_desired(&mut self, change: &DesiredChange) -> Result<Option<u64>, JournalError>;

    /// What is wanted besides plans, by name.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn desired(&self) -> Result<BTreeMap<String, Value>, JournalError>;

    /// Keeps what a node registered with, in the place of what it did before, with the event that tells of it;
    /// None forgets the node.
    ///
    /// # Errors
    ///
    /// When they are not surely on disk.
    fn keep_node(
        &mut self,
        node: &VmId,
        registration: Option<&Registration>,
        event: &Value,
    ) -> Result<(), JournalError>;

    /// The nodes that have registered themselves.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn nodes(&self) -> Result<Registrations, JournalError>;

    /// Executions that have begun and not ended, in the order in which they began.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn unfinished(&self) -> Result<Vec<Uuid>, JournalError>;

    /// Deletes some of what is no longer kept, in one small step. It is called again while there is
    /// more, with pauses in which others write.
    ///
    /// # Errors
    ///
    /// When it may not be on disk; then either nothing is deleted, or the whole step.
    fn prune(&mut self, retention: &Retention, now: Timestamp) -> Result<Pruned, JournalError>;

    /// What happened, for readers, who need not hold this journal to read it.
    fn history(&self) -> Arc<dyn History>;
}
