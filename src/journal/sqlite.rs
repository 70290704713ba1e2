//! The journal in SQLite: the one connection that writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::execute::{Event, Frozen, Outcome, Seal, Stamped, Standing};
use crate::model::intent::{Cordon, Intent};
use crate::model::{Change, Registration, Registrations, RevisionKey, VmId};
use crate::translate::Stage;

use super::desired::{self, DesiredChange};
use super::error::JournalError;
use super::folder::Folder;
use super::history::{History, SqliteHistory};
use super::intents::{self, CordonChange};
use super::nodes;
use super::retention::{self, Pruned, Retention};
use super::rows::{self, counter, id_of, read, time, write};
use super::{Journal, Kept, schema};

/// How many shown plans are kept, and how many bytes of them; older ones are deleted.
const SEALS: i64 = 1000;
const SEAL_BYTES: i64 = 64 << 20;
/// How many topologies are kept, and how many bytes of them; older ones are deleted.
const TOPOLOGIES: i64 = 100;
const TOPOLOGY_BYTES: i64 = 64 << 20;

/// The journal in a folder.
pub struct SqliteJournal {
    /// Declared before the connection, so that the connection is closed last: only it can move what
    /// was written into the main file.
    history: Arc<SqliteHistory>,
    connection: Connection,
    owner: Uuid,
    revision_key: RevisionKey,
    /// Held as long as the process lives, so that no second service uses the folder.
    folder: Folder,
}

impl SqliteJournal {
    /// Opens the journal in `folder`, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// When the folder can't be used, or is in use by another service, or has a journal that a
    /// newer version has written.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let folder = Folder::take(folder)?;
        let mut connection = Connection::open(&folder.journal)?;
        schema::prepare(&mut connection)?;
        let owner = connection.query_row("SELECT owner FROM about", [], |row| row.get::<_, String>(0))?;
        let key = connection.query_row("SELECT key FROM revisions", [], |row| row.get(0))?;
        let history = Arc::new(SqliteHistory::open(&folder.journal)?);
        Ok(Self {
            connection,
            owner: id_of(&owner)?,
            revision_key: RevisionKey(key),
            history,
            folder,
        })
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Applies an event to its execution's row.
fn event(
    transaction: &Transaction<'_>,
    execution: Option<i64>,
    event: &str,
    changes: &[Change],
) -> Result<(), JournalError> {
    transaction
        .prepare_cached("INSERT INTO events (execution, event) VALUES (?1, ?2)")?
        .execute(params![execution, event])?;
    rows::apply(transaction, changes)
}

/// Keeps the row of the history up to date. An event that the row does not show changes nothing.
fn tally(transaction: &Transaction<'_>, execution: i64, stamped: &Stamped) -> Result<(), JournalError> {
    let more =
        |stages: &[Stage]| i64::try_from(stages.iter().map(Vec::len).sum::<usize>()).unwrap_or(i64::MAX);
    let stands = |state: Standing, finished_at| {
        transaction
            .prepare_cached("UPDATE executions SET state = ?1, finished_at = ?2 WHERE seq = ?3")?
            .execute(params![state.as_str(), finished_at, execution])
    };
    let counts = |done: i64, more: i64| {
        transaction
            .prepare_cached(
                "UPDATE executions SET actions_done = actions_done + ?1, actions = actions + ?2 WHERE seq = ?3",
            )?
            .execute(params![done, more, execution])
    };
    match &stamped.event {
        Event::ActionSucceeded { .. } => counts(1, 0)?,
        Event::Replanned { stages, .. } | Event::RollbackBegun { stages } => counts(0, more(stages))?,
        Event::Held {} => stands(Standing::Held, None)?,
        Event::Resumed {}
        | Event::CancelRequested(_)
        | Event::ResumeRequested(_)
        | Event::RollbackRequested(_) => stands(Standing::Running, None)?,
        Event::Finished { outcome } => stands(Standing::Ended(*outcome), Some(time(stamped.at)))?,
        Event::ActionStarted { .. }
        | Event::ActionProgressed { .. }
        | Event::CloudNoted { .. }
        | Event::Pulling { .. }
        | Event::AttemptFailed { .. }
        | Event::ActionFailed { .. }
        | Event::ActionSettled { .. }
        | Event::ActionSkipped { .. }
        | Event::ReplanFailed(_)
        | Event::Lost(_) => 0,
    };
    Ok(())
}

impl Journal for SqliteJournal {
    fn load(&self) -> Result<Kept, JournalError> {
        let (topology, generation) =
            self.connection
                .query_row("SELECT topology, generation FROM state", [], |row| {
                    Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?))
                })?;
        Ok(Kept {
            topology: topology.map(|text| read(&text)).transpose()?,
            generation: counter(generation)?,
            allocation: rows::allocation(&self.connection)?,
        })
    }

    fn owner(&self) -> Uuid {
        self.owner
    }

    fn adopted(&self) -> Result<BTreeSet<String>, JournalError> {
        let mut select = self.connection.prepare_cached("SELECT owner FROM adopted")?;
        let owners = select.query_map([], |row| row.get(0))?;
        owners.map(|owner| owner.map_err(Into::into)).collect()
    }

    fn adopt(&mut self, owner: &str, noted: &Value, changes: &[Change]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        transaction.execute("INSERT OR IGNORE INTO adopted VALUES (?1)", [owner])?;
        event(&transaction, None, &write(noted)?, changes)?;
        transaction.commit()?;
        Ok(())
    }

    fn engine_ids(&self) -> Result<BTreeMap<VmId, String>, JournalError> {
        let mut select = self.connection.prepare_cached("SELECT vm, engine FROM engines")?;
        let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            row.map(|(vm, engine)| (VmId::new(&vm), engine))
                .map_err(Into::into)
        })
        .collect()
    }

    fn keep_engine_id(&mut self, vm: &VmId, engine: Option<&str>) -> Result<(), JournalError> {
        match engine {
            Some(engine) => self
                .connection
                .prepare_cached(
                    "INSERT INTO engines VALUES (?1, ?2) ON CONFLICT (vm) DO UPDATE SET engine = excluded.engine",
                )?
                .execute([vm.as_str(), engine])?,
            None => self
                .connection
                .prepare_cached("DELETE FROM engines WHERE vm = ?1")?
                .execute([vm.as_str()])?,
        };
        Ok(())
    }

    fn put_topology(&mut self, document: &Value) -> Result<u64, JournalError> {
        let transaction = self.connection.transaction()?;
        let generation = topology(&transaction, document)?;
        transaction.commit()?;
        counter(generation)
    }

    fn keep_desired(&mut self, change: &DesiredChange) -> Result<Option<u64>, JournalError> {
        let transaction = self.connection.transaction()?;
        desired::keep(&transaction, &change.entries)?;
        if let Some(intent) = &change.intent {
            intents::keep(&transaction, intent, None)?;
        }
        let generation = change
            .topology
            .as_ref()
            .map(|document| topology(&transaction, document));
        let generation = generation.transpose()?;
        event(&transaction, None, &write(&change.event)?, &[])?;
        transaction.commit()?;
        generation.map(counter).transpose()
    }

    fn desired(&self) -> Result<BTreeMap<String, Value>, JournalError> {
        desired::all(&self.connection)
    }

    fn revision_key(&self) -> RevisionKey {
        self.revision_key.clone()
    }

    fn generations(&self) -> Result<Vec<u64>, JournalError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT generation FROM topologies ORDER BY generation DESC")?;
        let rows = select.query_map([], |row| row.get::<_, i64>(0))?;
        rows.map(|row| counter(row?)).collect()
    }

    fn topology(&self, generation: u64) -> Result<Option<Value>, JournalError> {
        let text = self
            .connection
            .query_row(
                "SELECT topology FROM topologies WHERE generation = ?1",
                [rows::number(generation)],
                |row| row.get::<_, String>(0),
            )
            .optional()?;
        text.map(|text| read(&text)).transpose()
    }

    fn begin(&mut self, execution: &Frozen) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        let key = execution.idempotency_key.as_deref();
        let seq = rows::insert_execution(&transaction, &execution.summary(), key)?;
        transaction
            .prepare_cached("INSERT INTO frozen VALUES (?1, ?2)")?
            .execute(params![seq, write(execution)?])?;
        let mut begun =
            json!({ "event": "execution_begun", "at": execution.created_at, "execution": execution.id });
        if let (Some(begun), Value::Object(by)) = (begun.as_object_mut(), json!(execution.requested_by)) {
            begun.extend(by);
        }
        let from = execution.from.clone().into();
        let changes = Change::between(&rows::allocation(&transaction)?, &from);
        event(&transaction, None, &write(&begun)?, &changes)?;
        transaction.commit()?;
        Ok(())
    }

    fn record(&mut self, execution: Uuid, stamped: &Stamped, changes: &[Change]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        let seq: i64 = transaction
            .prepare_cached("SELECT seq FROM executions WHERE id = ?1")?
            .query_row([execution.to_string()], |row| row.get(0))?;
        event(&transaction, Some(seq), &write(stamped)?, changes)?;
        tally(&transaction, seq, stamped)?;
        transaction.commit()?;
        Ok(())
    }

    fn note(&mut self, noted: &Value, changes: &[Change]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        event(&transaction, None, &write(noted)?, changes)?;
        transaction.commit()?;
        Ok(())
    }

    fn check(&mut self) -> Result<(), JournalError> {
        // In a row of its own, which is small: the topology may be large.
        self.connection
            .execute("UPDATE about SET written_by = written_by", [])?;
        self.folder.has_room()
    }

    fn checkpoint(&mut self) -> Result<(), JournalError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
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

    fn under_key(&self, key: &str) -> Result<Option<Uuid>, JournalError> {
        let id = self
            .connection
            .query_row("SELECT id FROM executions WHERE key = ?1", [key], |row| {
                row.get::<_, String>(0)
            })
            .optional()?;
        id.map(|text| id_of(&text)).transpose()
    }

    fn newest(&self, outcome: Option<Outcome>) -> Result<Option<Uuid>, JournalError> {
        let text = match outcome {
            None => "SELECT id FROM executions ORDER BY seq DESC LIMIT 1",
            Some(_) => "SELECT id FROM executions WHERE state = ? ORDER BY seq DESC LIMIT 1",
        };
        let id = self
            .connection
            .query_row(text, params_from_iter(outcome.map(Outcome::as_str)), |row| {
                row.get::<_, String>(0)
            })
            .optional()?;
        id.map(|text| id_of(&text)).transpose()
    }

    fn keep_intent(
        &mut self,
        intent: &Intent,
        cordon: Option<&CordonChange>,
        noted: &Value,
    ) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        intents::keep(&transaction, intent, cordon)?;
        event(&transaction, None, &write(noted)?, &[])?;
        transaction.commit()?;
        Ok(())
    }

    fn open_intents(&self) -> Result<Vec<Intent>, JournalError> {
        intents::open(&self.connection)
    }

    fn cordons(&self) -> Result<BTreeMap<VmId, Cordon>, JournalError> {
        intents::cordons(&self.connection)
    }

    fn keep_node(
        &mut self,
        node: &VmId,
        registration: Option<&Registration>,
        noted: &Value,
    ) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        nodes::keep(&transaction, node, registration)?;
        event(&transaction, None, &write(noted)?, &[])?;
        transaction.commit()?;
        Ok(())
    }

    fn nodes(&self) -> Result<Registrations, JournalError> {
        nodes::all(&self.connection)
    }

    fn unfinished(&self) -> Result<Vec<Uuid>, JournalError> {
        let mut select = self
            .connection
            .prepare("SELECT id FROM executions WHERE state IN ('running', 'held') ORDER BY seq")?;
        let rows = select.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| id_of(&row?)).collect()
    }

    fn prune(&mut self, retention: &Retention, now: Timestamp) -> Result<Pruned, JournalError> {
        retention::prune(&mut self.connection, retention, now)
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::clone(&self.history) as Arc<dyn History>
    }
}

/// Keeps a topology, and answers with its generation.
fn topology(transaction: &Transaction<'_>, document: &Value) -> Result<i64, JournalError> {
    let text = write(document)?;
    let generation = transaction.query_row(
        "UPDATE state SET topology = ?1, generation = generation + 1 RETURNING generation",
        [&text],
        |row| row.get::<_, i64>(0),
    )?;
    transaction.execute(
        "INSERT INTO topologies VALUES (?1, ?2)",
        params![generation, text],
    )?;
    // The newest stays, however large it is.
    transaction.execute(
        "DELETE FROM topologies WHERE generation IN (SELECT generation FROM (SELECT generation, \
         ROW_NUMBER() OVER newer AS place, SUM(LENGTH(topology)) OVER newer AS bytes FROM topologies \
         WINDOW newer AS (ORDER BY generation DESC)) WHERE place > 1 AND (place > ?1 OR bytes > ?2))",
        [TOPOLOGIES, TOPOLOGY_BYTES],
    )?;
    Ok(generation)
}
