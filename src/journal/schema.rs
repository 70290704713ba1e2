//! Tables, and how older ones are brought up to date.

use rusqlite::Connection;

/// The version that this program writes.
const VERSION: i64 = 2;

const TABLES: &str = "
CREATE TABLE state (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    topology    TEXT,
    generation  INTEGER NOT NULL,
    allocation  TEXT NOT NULL
) STRICT;
INSERT INTO state VALUES (1, NULL, 0, '{\"allocation\":{},\"cores\":{}}');
CREATE TABLE executions (
    id          TEXT PRIMARY KEY,
    created_at  TEXT NOT NULL,
    frozen      TEXT NOT NULL,
    outcome     TEXT,
    key         TEXT UNIQUE
) STRICT;
CREATE INDEX executions_unfinished ON executions (id) WHERE outcome IS NULL;
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    execution   TEXT REFERENCES executions (id),
    event       TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_execution ON events (execution, seq);
";

/// What version 2 has besides: plans as they were shown.
const SEALS: &str = "
CREATE TABLE seals (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    bytes       INTEGER NOT NULL,
    seal        TEXT NOT NULL
) STRICT;
";

/// Sets the connection up and makes the tables where they are missing.
pub fn prepare(connection: &mut Connection) -> Result<(), super::JournalError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 | 1 => {
            let transaction = connection.transaction()?;
            if version == 0 {
                transaction.execute_batch(TABLES)?;
            }
            transaction.execute_batch(SEALS)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
            Ok(())
        }
        VERSION => Ok(()),
        other => Err(super::JournalError::Unreadable(format!(
            "it is of version {other}; this program writes {VERSION}"
        ))),
    }
}
