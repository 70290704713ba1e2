//! Converts journals of older versions, in one transaction: completely or not at all.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use crate::execute::{Execution, Frozen, Pinned, Stamped};
use crate::model::{Allocation, Change};

use super::error::JournalError;
use super::{desired, intents, rows, schema};

/// What version 1 lacks compared with version 2: plans as they were shown.
const SEALS: &str = "
CREATE TABLE seals (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    bytes       INTEGER NOT NULL,
    seal        TEXT NOT NULL
) STRICT;
";

/// What version 3 lacks compared with version 4: earlier topologies, and the key of revisions.
const TOPOLOGIES: &str = "
CREATE TABLE revisions (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    key         TEXT NOT NULL
) STRICT;
CREATE TABLE topologies (
    generation  INTEGER PRIMARY KEY,
    topology    TEXT NOT NULL
) STRICT;
INSERT INTO topologies SELECT generation, topology FROM state WHERE topology IS NOT NULL;
";

/// Renames the tables of version 2, so that they are not in the way of the new ones. Indices keep
/// their names.
const ASIDE: &str = "
DROP INDEX executions_unfinished;
DROP INDEX events_of_execution;
ALTER TABLE state RENAME TO old_state;
ALTER TABLE executions RENAME TO old_executions;
ALTER TABLE events RENAME TO old_events;
ALTER TABLE seals RENAME TO old_seals;
";

/// Events keep their numbers, so that clients can continue after the last one that they have.
const CARRIED: &str = "
UPDATE state SET (topology, generation) = (SELECT topology, generation FROM old_state);
INSERT INTO events (seq, execution, event)
    SELECT old.seq, executions.seq, old.event
    FROM old_events AS old LEFT JOIN executions ON executions.id = old.execution
    ORDER BY old.seq;
INSERT INTO topologies SELECT generation, topology FROM state WHERE topology IS NOT NULL;
INSERT INTO seals SELECT seq, id, bytes, seal FROM old_seals ORDER BY seq;
DROP TABLE old_events;
DROP TABLE old_executions;
DROP TABLE old_state;
DROP TABLE old_seals;
";

/// Converts the tables of an older version.
pub(super) fn from(version: i64, transaction: &Transaction<'_>) -> Result<(), JournalError> {
    tracing::info!(
        "bringing the journal from format {version} to {}",
        schema::VERSION
    );
    if matches!(version, 3..=5) {
        if version == 3 {
            transaction.execute_batch(TOPOLOGIES)?;
            schema::make_key(transaction)?;
        }
        if version < 5 {
            transaction.execute_batch(intents::TABLES)?;
        }
        // Version 6 knows actions that fail before they are begun, which earlier programs refuse.
        // Nor did version 5 know disks and GPUs: it would read amounts without them, and lose them. What it wrote has none.
        transaction.execute_batch(desired::TABLES)?;
        transaction.pragma_update(None, "user_version", schema::VERSION)?;
        return Ok(());
    }
    if version == 1 {
        transaction.execute_batch(SEALS)?;
    }
    transaction.execute_batch(ASIDE)?;
    schema::make(transaction)?;
    executions(transaction)?;
    allocation(transaction)?;
    transaction.execute_batch(CARRIED)?;
    // Containers had no owner yet.
    transaction.execute("INSERT INTO adopted VALUES ('')", [])?;
    Ok(())
}

/// Executions in the order in which they were stored; version 2 never deleted any.
fn executions(transaction: &Transaction<'_>) -> Result<(), JournalError> {
    transaction.execute_batch("CREATE INDEX old_events_of_execution ON old_events (execution, seq);")?;
    let mut select = transaction.prepare("SELECT id, frozen, key FROM old_executions ORDER BY rowid")?;
    let mut events = transaction.prepare("SELECT event FROM old_events WHERE execution = ?1 ORDER BY seq")?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        let id: String = row.get(0)?;
        let frozen: String = row.get(1)?;
        let key: Option<String> = row.get(2)?;
        let stamped = events
            .query_map([&id], |row| row.get::<_, String>(0))?
            .map(|event| rows::read::<Stamped>(&event?))
            .collect::<Result<Vec<_>, _>>()?;
        let execution = Execution::replay(rows::read::<Frozen>(&frozen)?, &stamped)
            .map_err(|illegal| JournalError::Unreadable(format!("an impossible history: {illegal}")))?;
        let summary = execution.summary();
        let seq = rows::insert_execution(transaction, &summary, key.as_deref())?;
        transaction
            .prepare_cached("INSERT INTO frozen VALUES (?1, ?2)")?
            .execute(params![seq, frozen])?;
    }
    Ok(())
}

fn allocation(transaction: &Transaction<'_>) -> Result<(), JournalError> {
    let text: String = transaction.query_row("SELECT allocation FROM old_state", [], |row| row.get(0))?;
    let kept: Allocation = rows::read::<Pinned>(&text)?.into();
    rows::apply(transaction, &Change::between(&Allocation::default(), &kept))
}

/// Lets the file shrink when rows are deleted. A file of an older version must be rewritten for
/// that, which takes the same room again; if there is not enough, it stays as it is.
pub(super) fn shrinkable(connection: &Connection) {
    const INCREMENTAL: i64 = 2;
    let mode = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0));
    if mode.is_ok_and(|mode| mode == INCREMENTAL) {
        return;
    }
    let started = Timestamp::now();
    let made = connection
        .pragma_update(None, "auto_vacuum", "INCREMENTAL")
        .and_then(|()| connection.execute_batch("VACUUM"));
    match made {
        Ok(()) => {
            let took = Timestamp::now().duration_since(started);
            tracing::info!("the journal was rewritten in {took:#}, so that it can shrink");
        }
        Err(error) => tracing::warn!(
            %error,
            "the journal can't be rewritten, so it will not shrink; is there room on the disk for a second copy?"
        ),
    }
}
