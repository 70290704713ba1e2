//! What is wanted besides plans and intents, by name: apps that were put by requests, and what was set by hand.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};
use serde_json::Value;

use crate::model::intent::Intent;

use super::error::JournalError;
use super::rows::{read, write};

/// Its table, which version 6 added.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS desired (
    name        TEXT PRIMARY KEY,
    value       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// A change of what is wanted, with what goes with it: all of it is kept, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DesiredChange {
    /// By name; None for what is wanted no more.
    pub entries: Vec<(String, Option<Value>)>,
    /// The intent that asks for it.
    pub intent: Option<Intent>,
    /// The topology that holds with it.
    pub topology: Option<Value>,
    /// The event that tells of it.
    pub event: Value,
}

pub(super) fn keep(
    transaction: &Transaction<'_>,
    entries: &[(String, Option<Value>)],
) -> Result<(), JournalError> {
    for (name, value) in entries {
        match value {
            Some(value) => transaction
                .prepare_cached(
                    "INSERT INTO desired VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )?
                .execute([name, &write(value)?])?,
            None => transaction
                .prepare_cached("DELETE FROM desired WHERE name = ?1")?
                .execute([name])?,
        };
    }
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<BTreeMap<String, Value>, JournalError> {
    let mut select = connection.prepare_cached("SELECT name, value FROM desired")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (name, value) = row?;
        Ok((name, read(&value)?))
    })
    .collect()
}
