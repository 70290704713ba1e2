//! Intents, and the cordons that outlive them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use crate::model::VmId;
use crate::model::intent::{Cordon, Intent, State};

use super::error::JournalError;
use super::page::Page;
use super::rows::{read, write};

/// The tables, which version 5 added.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS intents (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    state       TEXT NOT NULL,
    intent      TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS intents_of_state ON intents (state, seq);
CREATE TABLE IF NOT EXISTS cordons (
    node        TEXT PRIMARY KEY,
    cordon      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Finished intents are kept up to this number; older ones are deleted.
const KEPT: i64 = 1000;

/// What an intent does to the cordon of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CordonChange {
    /// The node is cordoned.
    Put(VmId, Cordon),
    /// It no longer is.
    Lift(VmId),
}

/// Which intents are asked for, newest first.
pub type IntentPage = Page<State>;

pub(super) fn keep(
    transaction: &Transaction<'_>,
    intent: &Intent,
    cordon: Option<&CordonChange>,
) -> Result<(), JournalError> {
    transaction
        .prepare_cached(
            "INSERT INTO intents (id, state, intent) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, intent = excluded.intent",
        )?
        .execute(params![
            intent.id.to_string(),
            intent.state.as_str(),
            write(intent)?
        ])?;
    match cordon {
        None => {}
        Some(CordonChange::Put(node, cordon)) => {
            transaction
                .prepare_cached(
                    "INSERT INTO cordons VALUES (?1, ?2) ON CONFLICT (node) DO UPDATE SET cordon = excluded.cordon",
                )?
                .execute(params![node.as_str(), write(cordon)?])?;
        }
        Some(CordonChange::Lift(node)) => {
            transaction
                .prepare_cached("DELETE FROM cordons WHERE node = ?1")?
                .execute([node.as_str()])?;
        }
    }
    transaction
        .prepare_cached(
            "DELETE FROM intents WHERE state NOT IN ('pending', 'running') AND seq <=
             (SELECT seq FROM intents ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([KEPT])?;
    Ok(())
}

/// Unfinished ones, oldest first.
pub(super) fn open(connection: &Connection) -> Result<Vec<Intent>, JournalError> {
    let mut select = connection
        .prepare_cached("SELECT intent FROM intents WHERE state IN ('pending', 'running') ORDER BY seq")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| read(&row?)).collect()
}

pub(super) fn one(connection: &Connection, id: Uuid) -> Result<Option<Intent>, JournalError> {
    let text = connection
        .query_row(
            "SELECT intent FROM intents WHERE id = ?1",
            [id.to_string()],
            |row| row.get::<_, String>(0),
        )
        .optional()?;
    text.map(|text| read(&text)).transpose()
}

/// A page, and whether there are more; None if there is no intent with the given id.
pub(super) fn page(
    connection: &Connection,
    page: &IntentPage,
) -> Result<Option<(Vec<Intent>, bool)>, JournalError> {
    let Some(before) = page.below(connection, "intents")? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached(
        "SELECT intent FROM intents WHERE seq < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY seq DESC",
    )?;
    let state = page.state.map(State::as_str);
    let rows = select.query_map(params![before, state], |row| row.get::<_, String>(0))?;
    let most = usize::try_from(page.limit)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let mut found: Vec<Intent> = Vec::new();
    // Few are kept; that they were taken since then is in the intents themselves.
    for row in rows {
        let intent: Intent = read(&row?)?;
        if page.since.is_none_or(|since| intent.created_at >= since) {
            found.push(intent);
        }
        if found.len() == most {
            break;
        }
    }
    Ok(Some(page.cut(found)))
}

pub(super) fn cordons(connection: &Connection) -> Result<BTreeMap<VmId, Cordon>, JournalError> {
    let mut select = connection.prepare_cached("SELECT node, cordon FROM cordons")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (node, cordon) = row?;
        Ok((VmId::new(&node), read(&cordon)?))
    })
    .collect()
}
