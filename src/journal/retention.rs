//! What is kept of the history, and for how long. What is beyond that goes in small steps, so that
//! recording never waits long.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, params};
use serde_json::Value;

use super::error::JournalError;
use super::rows::{read, time};

/// What is kept of the history. An execution goes when it is beyond either limit.
///
/// Whatever the limits are, these stay: one that has not ended; the newest, and the newest that
/// succeeded, which say what should run, with those whose plan they brought back; those that a dependency hook still to run tells of; and one that was sent
/// with an `Idempotency-Key`, for [`KEY_HOURS`] after its end. With an execution go its events. What belongs to no execution, such as drift,
/// goes with the executions of its time, or when it is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many executions, the newest.
    pub executions: u32,
    /// For so many days after their end.
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

/// The same request under the same key is carried out once within so many hours after it has ended.
pub const KEY_HOURS: i64 = 24;

/// Executions that one step looks at, oldest first.
const LOOKED_AT: u32 = 1000;
/// One step drops so many executions at most, and stops after so many events.
const EXECUTIONS: u16 = 20;
const EVENTS: u16 = 1000;
/// Pages that one step gives back to the disk.
const PAGES: i64 = 500;
/// Free pages that stay in the file: they are needed again soon.
const SPARE: i64 = 256;

/// What one step has dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Executions.
    pub executions: usize,
    /// Events, those of the executions among them.
    pub events: usize,
    /// Whether another step would drop more.
    pub more: bool,
}

/// Drops what is beyond the limits, in one small step.
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

/// Drops executions. Answers also with the number of the newest event that was dropped so far.
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

/// Drops events that belong to no execution: those up to the number `newest`, since nobody can go
/// on after them without a loss, and those that are too old. Answers how many.
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
            // One without a time is as old as the next.
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

/// Gives pages that nothing is on any more back to the disk. Answers whether there are more.
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
