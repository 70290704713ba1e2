//! The tables, and what is checked before they are used.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::error::JournalError;
use super::{desired, intents, migrate, nodes};

/// The version that this program writes.
pub(super) const VERSION: i64 = 6;

/// The program that writes it.
pub(super) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Rows of `executions` are small, so that the history can be listed without reading the requests
/// (in `frozen`) and what happened (in `events`).
///
/// `seq` gives the order: AUTOINCREMENT never gives a number twice, whatever was deleted. Times are
/// in nanoseconds since 1970.
const TABLES: &str = "
CREATE TABLE about (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    owner       TEXT NOT NULL,
    journal     TEXT NOT NULL,
    written_by  TEXT NOT NULL,
    dropped_to  INTEGER NOT NULL
) STRICT;
CREATE TABLE state (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    topology    TEXT,
    generation  INTEGER NOT NULL
) STRICT;
CREATE TABLE revisions (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    key         TEXT NOT NULL
) STRICT;
CREATE TABLE topologies (
    generation  INTEGER PRIMARY KEY,
    topology    TEXT NOT NULL
) STRICT;
CREATE TABLE vms (
    vm          TEXT PRIMARY KEY,
    shape       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE containers (
    vm          TEXT NOT NULL REFERENCES vms (vm) ON DELETE CASCADE,
    tier        TEXT NOT NULL,
    held        TEXT NOT NULL,
    cores       TEXT NOT NULL,
    PRIMARY KEY (vm, tier)
) STRICT, WITHOUT ROWID;
CREATE TABLE adopted (
    owner       TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE engines (
    vm          TEXT PRIMARY KEY,
    engine      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE executions (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    state        TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    reconcile    TEXT,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    actions      INTEGER NOT NULL,
    actions_done INTEGER NOT NULL,
    key          TEXT UNIQUE
) STRICT;
CREATE INDEX executions_of_state ON executions (state, seq);
CREATE TABLE frozen (
    execution   INTEGER PRIMARY KEY REFERENCES executions (seq) ON DELETE CASCADE,
    frozen      TEXT NOT NULL
) STRICT;
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    execution   INTEGER REFERENCES executions (seq),
    event       TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_execution ON events (execution, seq);
CREATE TABLE gaps (
    after       INTEGER PRIMARY KEY,
    until       INTEGER NOT NULL
) STRICT;
CREATE TABLE seals (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    bytes       INTEGER NOT NULL,
    seal        TEXT NOT NULL
) STRICT;
";

/// Creates the tables, empty.
pub(super) fn make(transaction: &Transaction<'_>) -> Result<(), JournalError> {
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(intents::TABLES)?;
    transaction.execute_batch(desired::TABLES)?;
    transaction.execute(
        "INSERT INTO about VALUES (1, ?1, ?2, ?3, 0)",
        params![Uuid::now_v7().to_string(), Uuid::now_v7().to_string(), PROGRAM],
    )?;
    transaction.execute("INSERT INTO state VALUES (1, NULL, 0)", [])?;
    make_key(transaction)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}

/// Creates the key for hashing revisions.
pub(super) fn make_key(transaction: &Transaction<'_>) -> Result<(), JournalError> {
    // Each has some seventy random bits.
    let key = [Uuid::now_v7(), Uuid::now_v7()]
        .map(|half| half.simple().to_string())
        .concat();
    transaction.execute("INSERT INTO revisions VALUES (1, ?1)", [key])?;
    Ok(())
}

/// Sets up the connection that writes, and converts the tables if they are old.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), JournalError> {
    let version = version(connection)?;
    if version > VERSION {
        return Err(newer(connection, version)?);
    }
    // Takes effect on an empty file only; see `migrate::shrinkable` for the others.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction()?;
    match version {
        0 => make(&transaction)?,
        VERSION => {}
        older => migrate::from(older, &transaction)?,
    }
    transaction.execute_batch(nodes::TABLE)?;
    transaction.execute(
        "UPDATE about SET written_by = ?1 WHERE written_by <> ?1",
        [PROGRAM],
    )?;
    transaction.commit()?;
    migrate::shrinkable(connection);
    Ok(())
}

/// The version of the tables; 0 if there are none.
pub(super) fn version(connection: &Connection) -> Result<i64, JournalError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// The error for a file that a newer program has written.
pub(super) fn newer(connection: &Connection, version: i64) -> Result<JournalError, JournalError> {
    // A newer version may have moved this elsewhere.
    let known = connection
        .query_row(
            "SELECT 1 FROM pragma_table_info('about') WHERE name = 'written_by'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    let by = match known {
        Some(()) => connection
            .query_row("SELECT written_by FROM about", [], |row| row.get::<_, String>(0))
            .optional()?,
        None => None,
    };
    Ok(JournalError::Newer {
        version,
        by: by.unwrap_or_else(|| "a newer version".to_owned()),
    })
}
