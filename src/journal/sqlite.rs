//! The record in SQLite.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::execute::{Event, Frozen, Pinned, Seal, Stamped};
use crate::model::Allocation;

use super::{Entry, Journal, JournalError, Kept, schema};

/// The name of the record's main file in its folder.
pub const JOURNAL_FILE: &str = "journal.sqlite";
/// Shown plans that are kept, and their bytes together; older ones go.
const SEALS: i64 = 1000;
const SEAL_BYTES: i64 = 64 << 20;

/// The record in a folder.
pub struct SqliteJournal {
    connection: Connection,
    /// Held as long as the process lives, so that no second service uses the folder.
    _lock: File,
}

impl SqliteJournal {
    /// Opens the record in `folder`, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// When the folder can't be used, or is in use by another service.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let name = || folder.display().to_string();
        let wrong = |error| JournalError::Folder(name(), error);
        fs::create_dir_all(folder).map_err(wrong)?;
        let path = folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse(name())),
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let mut connection = Connection::open(folder.join(JOURNAL_FILE))?;
        schema::prepare(&mut connection)?;
        Ok(Self {
            connection,
            _lock: file,
        })
    }

    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: i64) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "max_page_count", pages)
    }

    fn events(&self, id: &str) -> Result<Vec<Stamped>, JournalError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT event FROM events WHERE execution = ?1 ORDER BY seq")?;
        let rows = select.query_map([id], |row| row.get::<_, String>(0))?;
        rows.map(|row| read(&row?)).collect()
    }

    fn with_events(&self, row: (String, String)) -> Result<(Frozen, Vec<Stamped>), JournalError> {
        let (id, frozen) = row;
        Ok((read(&frozen)?, self.events(&id)?))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, JournalError> {
    serde_json::from_str(text).map_err(|error| JournalError::Unreadable(error.to_string()))
}

fn write<T: serde::Serialize>(value: &T) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(|error| JournalError::Unreadable(error.to_string()))
}

/// SQLite's integers have a sign, counters have none.
/// Puts the allocation in the place of the one that was.
fn keep(transaction: &Transaction<'_>, allocation: &Allocation) -> Result<(), JournalError> {
    transaction
        .prepare_cached("UPDATE state SET allocation = ?1")?
        .execute([write(&Pinned::from(allocation))?])?;
    Ok(())
}

fn counter(value: i64) -> Result<u64, JournalError> {
    u64::try_from(value).map_err(|_| JournalError::Unreadable(format!("{value} is not a counter")))
}

fn id_of(text: &str) -> Result<Uuid, JournalError> {
    text.parse()
        .map_err(|_| JournalError::Unreadable(format!("{text:?} is not an id")))
}

fn id_and_frozen(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

impl Journal for SqliteJournal {
    fn load(&self) -> Result<Kept, JournalError> {
        let (topology, generation, allocation) =
            self.connection
                .query_row("SELECT topology, generation, allocation FROM state", [], |row| {
                    Ok((
                        row.get::<_, Option<String>>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, String>(2)?,
                    ))
                })?;
        let topology = topology.map(|text| read(&text)).transpose()?;
        let pinned: Pinned = read(&allocation)?;
        Ok(Kept {
            topology,
            generation: counter(generation)?,
            allocation: pinned.into(),
        })
    }

    fn put_topology(&mut self, document: &Value) -> Result<u64, JournalError> {
        let generation = self.connection.query_row(
            "UPDATE state SET topology = ?1, generation = generation + 1 RETURNING generation",
            [write(document)?],
            |row| row.get::<_, i64>(0),
        )?;
        counter(generation)
    }

    fn begin(&mut self, execution: &Frozen) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO executions (id, created_at, frozen, key) VALUES (?1, ?2, ?3, ?4)",
            params![
                execution.id.to_string(),
                execution.created_at.to_string(),
                write(execution)?,
                execution.idempotency_key
            ],
        )?;
        transaction.execute("UPDATE state SET allocation = ?1", [write(&execution.from)?])?;
        let mut begun =
            json!({ "event": "execution_begun", "at": execution.created_at, "execution": execution.id });
        if let (Some(begun), Value::Object(by)) = (begun.as_object_mut(), json!(execution.requested_by)) {
            begun.extend(by);
        }
        transaction.execute(
            "INSERT INTO events (execution, event) VALUES (NULL, ?1)",
            [write(&begun)?],
        )?;
        transaction.commit()?;
        Ok(())
    }

    fn record(
        &mut self,
        execution: Uuid,
        event: &Stamped,
        allocation: Option<&Allocation>,
    ) -> Result<(), JournalError> {
        let id = execution.to_string();
        let event_text = write(event)?;
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached("INSERT INTO events (execution, event) VALUES (?1, ?2)")?
            .execute([&id, &event_text])?;
        if let Some(allocation) = allocation {
            keep(&transaction, allocation)?;
        }
        if let Event::Finished { outcome } = event.event {
            transaction.execute(
                "UPDATE executions SET outcome = ?1 WHERE id = ?2",
                [outcome.as_str(), &id],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn note(&mut self, event: &Value, allocation: Option<&Allocation>) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached("INSERT INTO events (execution, event) VALUES (NULL, ?1)")?
            .execute([write(event)?])?;
        if let Some(allocation) = allocation {
            keep(&transaction, allocation)?;
        }
        transaction.commit()?;
        Ok(())
    }

    fn check(&mut self) -> Result<(), JournalError> {
        self.connection
            .execute("UPDATE state SET generation = generation", [])?;
        Ok(())
    }

    fn seal(&mut self, seal: &Seal) -> Result<(), JournalError> {
        let text = write(seal)?;
        let bytes = i64::try_from(text.len()).unwrap_or(i64::MAX);
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached("DELETE FROM seals WHERE id = ?1")?
            .execute([&seal.id])?;
        transaction
            .prepare_cached("INSERT INTO seals (id, bytes, seal) VALUES (?1, ?2, ?3)")?
            .execute(params![seal.id, bytes, text])?;
        // The newest stays, however large it is.
        transaction
            .prepare_cached(
                "DELETE FROM seals WHERE seq IN (SELECT seq FROM (SELECT seq, id, \
                 ROW_NUMBER() OVER newer AS place, SUM(bytes) OVER newer AS bytes FROM seals \
                 WINDOW newer AS (ORDER BY seq DESC)) WHERE id <> ?1 AND (place > ?2 OR bytes > ?3))",
            )?
            .execute(params![seal.id, SEALS, SEAL_BYTES])?;
        transaction.commit()?;
        Ok(())
    }

    fn sealed(&self, id: &str) -> Result<Option<Seal>, JournalError> {
        let text = self
            .connection
            .query_row("SELECT seal FROM seals WHERE id = ?1", [id], |row| {
                row.get::<_, String>(0)
            })
            .optional()?;
        text.map(|text| read(&text)).transpose()
    }

    fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, JournalError> {
        let mut select = self.connection.prepare_cached(
            "SELECT seq, execution, event FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let rows = select.query_map(params![after, limit], |row| {
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
    }

    fn newest_event(&self) -> Result<u64, JournalError> {
        let newest = self
            .connection
            .query_row("SELECT COALESCE(MAX(seq), 0) FROM events", [], |row| {
                row.get::<_, i64>(0)
            })?;
        counter(newest)
    }

    fn execution(&self, id: Uuid) -> Result<Option<(Frozen, Vec<Stamped>)>, JournalError> {
        let row = self
            .connection
            .query_row(
                "SELECT id, frozen FROM executions WHERE id = ?1",
                [id.to_string()],
                id_and_frozen,
            )
            .optional()?;
        row.map(|row| self.with_events(row)).transpose()
    }

    fn under_key(&self, key: &str) -> Result<Option<Uuid>, JournalError> {
        let id = self
            .connection
            .query_row("SELECT id FROM executions WHERE key = ?1", [key], |row| {
                row.get::<_, String>(0)
            })
            .optional()?;
        id.map(|text| id_of(&text)).transpose()
    }

    fn executions(&self, limit: u32) -> Result<Vec<(Frozen, Vec<Stamped>)>, JournalError> {
        let mut select = self
            .connection
            .prepare("SELECT id, frozen FROM executions ORDER BY created_at DESC, id DESC LIMIT ?1")?;
        let rows: Vec<(String, String)> = select
            .query_map([limit], id_and_frozen)?
            .collect::<Result<_, _>>()?;
        rows.into_iter().map(|row| self.with_events(row)).collect()
    }

    fn unfinished(&self) -> Result<Vec<Uuid>, JournalError> {
        let mut select = self
            .connection
            .prepare("SELECT id FROM executions WHERE outcome IS NULL ORDER BY id")?;
        let rows = select.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| id_of(&row?)).collect()
    }
}
