//! Values as rows, and rows as values.
//!
//! The allocation is a row for each VM and each container: an event writes the one row that it
//! changes, in its own transaction, and a start reads only what is there now.

use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::execute::{Standing, Summary};
use crate::model::{Addresses, Allocation, Change, Container, CoreSet, Owed, RevisionId, TierId, Vm, VmId};

use super::error::JournalError;

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, JournalError> {
    serde_json::from_str(text).map_err(|error| JournalError::Unreadable(error.to_string()))
}

pub(super) fn write<T: Serialize>(value: &T) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(|error| JournalError::Unreadable(error.to_string()))
}

/// SQLite's integers are signed, counters are not.
pub(super) fn counter(value: i64) -> Result<u64, JournalError> {
    u64::try_from(value).map_err(|_| JournalError::Unreadable(format!("{value} is not a counter")))
}

/// The other direction. A number too large for SQLite is larger than any that it has counted.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn id_of(text: &str) -> Result<Uuid, JournalError> {
    text.parse()
        .map_err(|_| JournalError::Unreadable(format!("{text:?} is not an id")))
}

/// Nanoseconds since 1970: enough for the years 1678 to 2262.
pub(super) fn time(at: Timestamp) -> i64 {
    let limit = if at < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    };
    i64::try_from(at.as_nanosecond()).unwrap_or(limit)
}

fn time_of(nanoseconds: i64) -> Result<Timestamp, JournalError> {
    Timestamp::from_nanosecond(nanoseconds.into())
        .map_err(|error| JournalError::Unreadable(error.to_string()))
}

/// Adds an execution, and returns its place in the order of all.
pub(super) fn insert_execution(
    transaction: &Transaction<'_>,
    summary: &Summary,
    key: Option<&str>,
) -> Result<i64, JournalError> {
    transaction
        .prepare_cached(
            "INSERT INTO executions
             (id, state, requested_by, reconcile, created_at, finished_at, actions, actions_done, key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            summary.id.to_string(),
            summary.state.as_str(),
            summary.requested_by,
            summary.reconcile.as_ref().map(write).transpose()?,
            time(summary.created_at),
            summary.finished_at.map(time),
            number(summary.actions),
            number(summary.actions_done),
            key,
        ])?;
    Ok(transaction.last_insert_rowid())
}

/// The columns that [`summary`] reads, in its order.
pub(super) const SUMMARY: &str =
    "id, state, requested_by, reconcile, created_at, finished_at, actions, actions_done";

/// A line of the history.
pub(super) fn summary(row: &Row<'_>) -> Result<Summary, JournalError> {
    let text = |column: usize| row.get::<_, String>(column);
    let state = text(1)?;
    let unknown = || JournalError::Unreadable(format!("{state:?} is no state of an execution"));
    Ok(Summary {
        id: id_of(&text(0)?)?,
        state: Standing::parse(&state).ok_or_else(unknown)?,
        requested_by: text(2)?,
        reconcile: row
            .get::<_, Option<String>>(3)?
            .map(|text| read(&text))
            .transpose()?,
        created_at: time_of(row.get(4)?)?,
        finished_at: row.get::<_, Option<i64>>(5)?.map(time_of).transpose()?,
        actions: counter(row.get(6)?)?,
        actions_done: counter(row.get(7)?)?,
    })
}

/// What a container holds, with the hooks that it is owed, its revision and its addresses. Rows written by
/// programs that did not know these have none.
#[derive(Serialize, Deserialize)]
struct Held {
    #[serde(flatten)]
    container: Container,
    #[serde(default, skip_serializing_if = "Owed::is_nothing")]
    owed: Owed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<RevisionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    addresses: Option<Addresses>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

impl From<&Container> for Held {
    fn from(container: &Container) -> Self {
        Self {
            container: container.clone(),
            owed: container.owed,
            revision: container.revision.clone(),
            addresses: container.addresses.clone(),
            digest: container.digest.clone(),
        }
    }
}

/// Writes what changes in the allocation, and nothing else.
pub(super) fn apply(transaction: &Transaction<'_>, changes: &[Change]) -> Result<(), JournalError> {
    for change in changes {
        match change {
            Change::Vm { vm, is } => transaction
                .prepare_cached(
                    "INSERT INTO vms VALUES (?1, ?2) ON CONFLICT (vm) DO UPDATE SET shape = excluded.shape",
                )?
                .execute([vm.as_str(), &write(is)?])?,
            Change::VmGone { vm } => transaction
                .prepare_cached("DELETE FROM vms WHERE vm = ?1")?
                .execute([vm.as_str()])?,
            // If its VM is not there, it would not be in the allocation either.
            Change::Container { vm, tier, is } => transaction
                .prepare_cached(
                    "INSERT INTO containers SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM vms WHERE vm = ?1)
                     ON CONFLICT (vm, tier) DO UPDATE SET held = excluded.held, cores = excluded.cores",
                )?
                .execute([vm.as_str(), tier.as_str(), &write(&Held::from(is))?, &write(&is.cores)?])?,
            Change::ContainerGone { vm, tier } => transaction
                .prepare_cached("DELETE FROM containers WHERE vm = ?1 AND tier = ?2")?
                .execute([vm.as_str(), tier.as_str()])?,
        };
    }
    Ok(())
}

/// The whole allocation.
pub(super) fn allocation(connection: &Connection) -> Result<Allocation, JournalError> {
    let mut allocation = Allocation::default();
    let mut vms = connection.prepare("SELECT vm, shape FROM vms")?;
    let mut found = vms.query([])?;
    while let Some(row) = found.next()? {
        let (id, shape): (String, String) = (row.get(0)?, row.get(1)?);
        allocation.vms.insert(VmId::new(&id), read::<Vm>(&shape)?);
    }
    let mut containers = connection.prepare("SELECT vm, tier, held, cores FROM containers")?;
    let mut found = containers.query([])?;
    while let Some(row) = found.next()? {
        let text = |column: usize| row.get::<_, String>(column);
        let Held {
            container,
            owed,
            revision,
            addresses,
            digest,
        } = read(&text(2)?)?;
        let is = Container {
            cores: read::<CoreSet>(&text(3)?)?,
            owed,
            revision,
            addresses,
            digest,
            ..container
        };
        allocation.apply(&Change::Container {
            vm: VmId::new(&text(0)?),
            tier: TierId::new(&text(1)?),
            is,
        });
    }
    Ok(allocation)
}
