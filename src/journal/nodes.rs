//! Nodes that registered themselves.

use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};

use crate::model::{Registration, Registrations, VmId};

use super::error::JournalError;
use super::rows::{read, write};

/// Their table. A version that does not know it leaves it as it is.
pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS nodes (
    node         TEXT PRIMARY KEY,
    registration TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Keeps what is known of a node in the place of what was before; None forgets it.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    node: &VmId,
    registration: Option<&Registration>,
) -> Result<(), JournalError> {
    match registration {
        Some(registration) => transaction
            .prepare_cached(
                "INSERT INTO nodes VALUES (?1, ?2)
                 ON CONFLICT (node) DO UPDATE SET registration = excluded.registration",
            )?
            .execute(params![node.as_str(), write(registration)?])?,
        None => transaction
            .prepare_cached("DELETE FROM nodes WHERE node = ?1")?
            .execute([node.as_str()])?,
    };
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<Registrations, JournalError> {
    let mut select = connection.prepare_cached("SELECT node, registration FROM nodes")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (node, registration) = row?;
        Ok((VmId::new(&node), Arc::new(read(&registration)?)))
    })
    .collect()
}
