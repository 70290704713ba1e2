//! How much of the history is kept, and for how long. What is beyond that is deleted in small
//! steps, so that recording never waits long.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, params};
use serde_json::Value;

use super::error::JournalError;
use super::rows::{read, time};

/// How much of the history is kept. An execution is deleted when it is beyond either limit.
///
/// Whatever the limits are, these stay: executions that have not ended; the newest, and the newest
/// that succeeded, which say what should run, with those whose plan they brought back; those that
/// an owed dependency hook refers to; and those that were sent with an `Idempotency-Key`, for
/// [`KEY_HOURS`] after their end. The events of an execution are deleted with it. Events that
/// belong to none, such as drift, are deleted with the executions of their time, or when they are
/// too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// This many executions, the newest.
    pub executions: u32,
    /// For this many days after their end.
    pub days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            executions: 1000,
            days: 90,
        }
    }
}

/// For this many hours after its end, the same request under the same key is carried out once.
pub const KEY_HOURS: i64 = 24;

/// How many executions one step looks at, oldest first.
const LOOKED_AT: u32 = 1000;
/// One step deletes at most this many executions, and stops after this many events.
const EXECUTIONS: u16 = 20;
const EVENTS: u16 = 1000;
/// Pages that one step gives back to the disk.
const PAGES: i64 = 500;
/// Free pages that stay in the file, since they are needed again soon.
const SPARE: i64 = 256;

/// What one step has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Executions.
    pub executions: usize,
    /// Events, including those of the executions.
    pub events: usize,
    /// Whether another step would delete more.
    pub more: bool,
}

/// Deletes what is beyond the limits, in one small step.
pub(super) fn prune(
    connection: &mut Connection,
    retention: &Retention,
    now: Timestamp,
) -> Result<Pruned, JournalError> {
    let days = SignedDuration::from_hours(24 * i64::from(retention.days));
    let oldest = now.checked_sub(days).unwrap_or(Timestamp::MIN);
    let transaction = connection.transaction()?;
    let (mut pruned, newest) = executions(&transaction, retention, oldest, now)?;
    let events = notes(&transaction, newest, oldest)?;
    pruned.events += events;
    pruned.more |= events >= usize::from(EVENTS);
    transaction.commit()?;
    if give_back(connection)? {
        pruned.more = true;
    }
    Ok(pruned)
}

/// Deletes executions. Also returns the number of the newest event deleted so far.
fn executions(
    transaction: &Transaction<'_>,
    retention: &Retention,
    oldest: Timestamp,
    now: Timestamp,
) -> Result<(Pruned, i64), JournalError> {
    let keys = SignedDuration::from_hours(KEY_HOURS);
    let keyed = now.checked_sub(keys).unwrap_or(Timestamp::MIN);
    let mut select = transaction.prepare_cached(
        "WITH needed AS (
             SELECT seq, reconcile ->> 'plan_of' AS plan_of FROM executions WHERE seq IN (
                 (SELECT MAX(seq) FROM executions),
                 (SELECT MAX(seq) FROM executions WHERE state = 'succeeded')
             )
         )
         SELECT seq FROM (SELECT * FROM executions ORDER BY seq LIMIT ?1)
         WHERE finished_at IS NOT NULL
           AND (finished_at < ?2 OR seq <= (SELECT seq FROM executions ORDER BY seq DESC LIMIT 1 OFFSET ?3))
           AND seq NOT IN (SELECT seq FROM needed)
           AND id NOT IN (SELECT plan_of FROM needed WHERE plan_of IS NOT NULL)
           AND id NOT IN (SELECT held ->> '$.owed.tier.execution' FROM containers
                          WHERE held ->> '$.owed.tier.execution' IS NOT NULL)
           AND (key IS NULL OR finished_at < ?4)
         ORDER BY seq LIMIT ?5",
    )?;
    let going = select
        .query_map(
            params![
                LOOKED_AT,
                time(oldest),
                retention.executions,
                time(keyed),
                EXECUTIONS
            ],
            |row| row.get::<_, i64>(0),
        )?
        .collect::<Result<Vec<_>, _>>()?;
    let mut newest: i64 = transaction.query_row("SELECT dropped_to FROM about", [], |row| row.get(0))?;
    let mut pruned = Pruned {
        more: going.len() >= usize::from(EXECUTIONS),
        ..Pruned::default()
    };
    for seq in going {
        if pruned.events >= usize::from(EVENTS) {
            pruned.more = true;
            break;
        }
        let last: Option<i64> = transaction
            .prepare_cached("SELECT MAX(seq) FROM events WHERE execution = ?1")?
            .query_row([seq], |row| row.get(0))?;
        pruned.events += transaction
            .prepare_cached("DELETE FROM events WHERE execution = ?1")?
            .execute([seq])?;
        pruned.executions += transaction
            .prepare_cached("DELETE FROM executions WHERE seq = ?1")?
            .execute([seq])?;
        newest = newest.max(last.unwrap_or(0));
    }
    Ok((pruned, newest))
}

/// Deletes events that belong to no execution: those up to the number `newest`, since nobody can
/// continue after them without a gap, and those that are too old. Returns how many.
fn notes(transaction: &Transaction<'_>, mut newest: i64, oldest: Timestamp) -> Result<usize, JournalError> {
    let mut select = transaction
        .prepare_cached("SELECT seq, event FROM events WHERE execution IS NULL ORDER BY seq LIMIT ?1")?;
    let mut found = select.query([EVENTS])?;
    let mut going = Vec::new();
    while let Some(row) = found.next()? {
        let seq: i64 = row.get(0)?;
        if seq > newest {
            let event: Value = read(&row.get::<_, String>(1)?)?;
            let at = event.get("at").and_then(Value::as_str);
            // An event without a time counts as being as old as the next one.
            let at = at.and_then(|at| at.parse::<Timestamp>().ok());
            if at.is_some_and(|at| at >= oldest) {
                break;
            }
            newest = seq;
        }
        going.push(seq);
    }
    for seq in &going {
        transaction
            .prepare_cached("DELETE FROM events WHERE seq = ?1")?
            .execute([seq])?;
    }
    transaction
        .prepare_cached("UPDATE about SET dropped_to = ?1 WHERE dropped_to < ?1")?
        .execute([newest])?;
    Ok(going.len())
}

/// Gives unused pages back to the disk. Returns whether there are more.
fn give_back(connection: &Connection) -> Result<bool, JournalError> {
    let free = |connection: &Connection| {
        connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0))
    };
    let spare = free(connection)? - SPARE;
    if spare <= 0 {
        return Ok(false);
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({})", spare.min(PAGES)))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    let left = free(connection)? - SPARE;
    // A file that can't shrink stays as large as it is.
    Ok(left > 0 && left < spare)
}
