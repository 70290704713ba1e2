//! Reading what happened, beside the connection that writes, so that readers of the history do not
//! hold up recording.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params, params_from_iter};
use serde_json::Value;
use uuid::Uuid;

use crate::execute::{Frozen, Stamped, Summary};
use crate::model::intent::Intent;

use super::error::JournalError;
use super::intents::{self, IntentPage};
use super::page::Page;
use super::rows::{self, counter, id_of, number, read, time};

/// Connections that are kept open for the next reader.
const IDLE: usize = 4;

/// One recorded event.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number; later events have larger ones.
    pub seq: u64,
    /// The execution that it belongs to.
    pub execution: Option<Uuid>,
    /// The event, with its time in `at` and its kind in `event`.
    pub event: Value,
}

/// A page of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Newest first.
    pub executions: Vec<Summary>,
    /// Whether there are others that began before these.
    pub more: bool,
}

/// Which of the events after a number are still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    Whole,
    /// Only those after this number: the ones before are no longer kept.
    DroppedTo(u64),
    /// None: no event has had that number yet. The newest has this one.
    Ahead(u64),
    /// None: the number is from a history that a backup has replaced.
    Replaced,
}

/// The history, for readers.
pub trait History: Send + Sync {
    /// The id of this journal. If a backup is put in its place, the id changes.
    fn id(&self) -> Uuid;

    /// A page of the history, newest first; None if `before` is no execution in the history.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn executions(&self, page: &Page) -> Result<Option<Listed>, JournalError>;

    /// One execution with its events.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn execution(&self, id: Uuid) -> Result<Option<(Frozen, Vec<Stamped>)>, JournalError>;

    /// Events of every kind after the one with the number `seq`, oldest first.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, JournalError>;

    /// The number of the newest event; 0 before the first.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn newest_event(&self) -> Result<u64, JournalError>;

    /// The number after which all events are kept; events up to it may have been deleted.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn dropped_to(&self) -> Result<u64, JournalError>;

    /// Whether a reader who has the event with the number `seq` can get all that came after it.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn reach(&self, seq: u64) -> Result<Reach, JournalError>;

    /// A page of the intents, newest first, and whether there are more. None if there is no intent
    /// with the id that the page should begin before.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn intents(&self, page: &IntentPage) -> Result<Option<(Vec<Intent>, bool)>, JournalError>;

    /// One intent.
    ///
    /// # Errors
    ///
    /// When the journal can't be read.
    fn intent(&self, id: Uuid) -> Result<Option<Intent>, JournalError>;
}

/// The history in SQLite.
pub struct SqliteHistory {
    path: PathBuf,
    id: Uuid,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteHistory {
    /// Reads the file at `path`, which somebody has opened for writing.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let connection = reader(path)?;
        let id = connection.query_row("SELECT journal FROM about", [], |row| row.get::<_, String>(0))?;
        Ok(Self {
            path: path.to_owned(),
            id: id_of(&id)?,
            idle: Mutex::new(vec![connection]),
        })
    }

    /// Reads through a connection of the reader's own, so nobody waits for anybody.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => reader(&self.path)?,
        };
        let result = work(&connection)?;
        let mut idle = idle();
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(result)
    }
}

/// A connection that can't write.
pub(super) fn reader(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}

/// A page's query, with the values of its placeholders. It follows an index backwards, so it reads
/// no more rows than it returns, except those that began before `since`.
pub(super) fn select(page: &Page, before: i64) -> (String, Vec<Cell>) {
    let mut filters = "seq < ?".to_owned();
    let mut cells = vec![Cell::Integer(before)];
    if let Some(state) = page.state {
        filters.push_str(" AND state = ?");
        cells.push(Cell::Text(state.as_str().to_owned()));
    }
    if let Some(since) = page.since {
        filters.push_str(" AND created_at >= ?");
        cells.push(Cell::Integer(time(since)));
    }
    // One row more than wanted shows whether there are others.
    cells.push(Cell::Integer(i64::from(page.limit) + 1));
    let columns = rows::SUMMARY;
    let text = format!("SELECT {columns} FROM executions WHERE {filters} ORDER BY seq DESC LIMIT ?");
    (text, cells)
}

fn newest(connection: &Connection) -> Result<u64, JournalError> {
    let sequence = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let newest = connection.query_row(sequence, [], |row| row.get(0)).optional()?;
    counter(newest.unwrap_or(0))
}

fn dropped_to(connection: &Connection) -> Result<u64, JournalError> {
    counter(connection.query_row("SELECT dropped_to FROM about", [], |row| row.get(0))?)
}

impl History for SqliteHistory {
    fn id(&self) -> Uuid {
        self.id
    }

    fn executions(&self, page: &Page) -> Result<Option<Listed>, JournalError> {
        self.read(|connection| {
            let Some(before) = page.below(connection, "executions")? else {
                return Ok(None);
            };
            let (text, cells) = select(page, before);
            let mut select = connection.prepare_cached(&text)?;
            let mut found = select.query(params_from_iter(cells))?;
            let mut executions = Vec::new();
            while let Some(row) = found.next()? {
                executions.push(rows::summary(row)?);
            }
            let (executions, more) = page.cut(executions);
            Ok(Some(Listed { executions, more }))
        })
    }

    fn execution(&self, id: Uuid) -> Result<Option<(Frozen, Vec<Stamped>)>, JournalError> {
        self.read(|connection| {
            // Both at the same moment: if something were deleted between two looks, the history
            // would be impossible.
            let transaction = connection.unchecked_transaction()?;
            let row = transaction
                .prepare_cached(
                    "SELECT execution, frozen FROM executions JOIN frozen ON execution = seq WHERE id = ?1",
                )?
                .query_row([id.to_string()], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            let Some((seq, frozen)) = row else {
                return Ok(None);
            };
            let mut select =
                transaction.prepare_cached("SELECT event FROM events WHERE execution = ?1 ORDER BY seq")?;
            let events = select.query_map([seq], |row| row.get::<_, String>(0))?;
            let events = events
                .map(|event| read(&event?))
                .collect::<Result<_, JournalError>>()?;
            Ok(Some((read(&frozen)?, events)))
        })
    }

    fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, JournalError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT events.seq, executions.id, event
                 FROM events LEFT JOIN executions ON executions.seq = events.execution
                 WHERE events.seq > ?1 ORDER BY events.seq LIMIT ?2",
            )?;
            let rows = select.query_map(params![number(seq), limit], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, Option<String>>(1)?,
                    row.get::<_, String>(2)?,
                ))
            })?;
            rows.map(|row| {
                let (seq, execution, event) = row?;
                Ok(Entry {
                    seq: counter(seq)?,
                    execution: execution.map(|id| id_of(&id)).transpose()?,
                    event: read(&event)?,
                })
            })
            .collect()
        })
    }

    fn newest_event(&self) -> Result<u64, JournalError> {
        self.read(newest)
    }

    fn dropped_to(&self) -> Result<u64, JournalError> {
        self.read(dropped_to)
    }

    fn intents(&self, page: &IntentPage) -> Result<Option<(Vec<Intent>, bool)>, JournalError> {
        self.read(|connection| intents::page(connection, page))
    }

    fn intent(&self, id: Uuid) -> Result<Option<Intent>, JournalError> {
        self.read(|connection| intents::one(connection, id))
    }

    fn reach(&self, seq: u64) -> Result<Reach, JournalError> {
        self.read(|connection| {
            let newest = newest(connection)?;
            if seq > newest {
                return Ok(Reach::Ahead(newest));
            }
            let gap = connection
                .prepare_cached("SELECT 1 FROM gaps WHERE after < ?1 AND ?1 < until")?
                .query_row([number(seq)], |_| Ok(()))
                .optional()?;
            if gap.is_some() {
                return Ok(Reach::Replaced);
            }
            let dropped_to = dropped_to(connection)?;
            Ok(if seq < dropped_to {
                Reach::DroppedTo(dropped_to)
            } else {
                Reach::Whole
            })
        })
    }
}
