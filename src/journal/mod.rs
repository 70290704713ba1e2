//! The durable record: topology, allocation, executions and their events.
//!
//! SQLite in WAL mode with full sync: what [`Journal`] has answered is on disk. Calls block, and
//! the service makes them off the async threads. The journal decides nothing.

#[cfg(debug_assertions)]
mod killing;
mod schema;
mod sqlite;
#[cfg(test)]
mod tests;

use serde_json::Value;
use uuid::Uuid;

use crate::execute::{Frozen, Seal, Stamped};
use crate::model::Allocation;

#[cfg(debug_assertions)]
pub use killing::{KillAt, KillingJournal};
pub use sqlite::{JOURNAL_FILE, SqliteJournal};

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

/// One event of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number; later events have larger ones.
    pub seq: u64,
    /// The execution that it belongs to.
    pub execution: Option<Uuid>,
    /// The event, with its time in `at` and its kind in `event`.
    pub event: Value,
}

/// The durable record.
pub trait Journal: Send {
    /// What is kept.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn load(&self) -> Result<Kept, JournalError>;

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

    /// Keeps an event, and the allocation where the event changed it, together.
    ///
    /// # Errors
    ///
    /// When they are not surely on disk.
    fn record(
        &mut self,
        execution: Uuid,
        event: &Stamped,
        allocation: Option<&Allocation>,
    ) -> Result<(), JournalError>;

    /// Keeps an event that belongs to no execution's history: drift, a new topology; and the
    /// allocation where the event changed it, together.
    ///
    /// # Errors
    ///
    /// When they are not surely on disk.
    fn note(&mut self, event: &Value, allocation: Option<&Allocation>) -> Result<(), JournalError>;

    /// Writes what is there already.
    ///
    /// # Errors
    ///
    /// When it is not surely on disk.
    fn check(&mut self) -> Result<(), JournalError>;

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

    /// Events of every kind after the one with the number `seq`, oldest first.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, JournalError>;

    /// The number of the newest event; 0 before the first.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn newest_event(&self) -> Result<u64, JournalError>;

    /// One execution with its events.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn execution(&self, id: Uuid) -> Result<Option<(Frozen, Vec<Stamped>)>, JournalError>;

    /// The execution that was begun under a client's key.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn under_key(&self, key: &str) -> Result<Option<Uuid>, JournalError>;

    /// The newest executions with their events, newest first.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn executions(&self, limit: u32) -> Result<Vec<(Frozen, Vec<Stamped>)>, JournalError>;

    /// Executions that have begun and not ended.
    ///
    /// # Errors
    ///
    /// When the record can't be read.
    fn unfinished(&self) -> Result<Vec<Uuid>, JournalError>;
}

/// Why the record can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database said no: a full disk, a read-only file, a broken file.
    #[error(
        "the journal can't be used; is there room on the disk of the data directory, and may it be written?"
    )]
    Database(#[from] rusqlite::Error),
    /// What is kept is not what this version writes.
    #[error("the journal holds something that this version of mapek can't read: {0}")]
    Unreadable(String),
    /// The folder can't be used.
    #[error("the data directory {0} can't be used")]
    Folder(String, #[source] std::io::Error),
    /// Another service is using it.
    #[error("the data directory {0} is in use by another mapek; stop that one, or give --data-dir")]
    InUse(String),
}
