//! Pages of lists, newest first: which part of a list is wanted, and where a page begins.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::execute::Standing;

use super::error::JournalError;

/// Which part of a list is wanted, newest first. `S` is the state of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<S = Standing> {
    /// How many at most.
    pub limit: u32,
    /// Only those before this one, in the order of the record.
    pub before: Option<Uuid>,
    /// Only those in this state.
    pub state: Option<S>,
    /// Only those that were accepted then or later.
    pub since: Option<Timestamp>,
}

impl<S> Page<S> {
    /// The newest ones.
    #[must_use]
    pub const fn newest(limit: u32) -> Self {
        Self {
            limit,
            before: None,
            state: None,
            since: None,
        }
    }

    /// The number that the entries of this page are below, in a table with `seq` and `id`; None if
    /// there is no entry with the id that it should begin before.
    pub(super) fn below(&self, connection: &Connection, table: &str) -> Result<Option<i64>, JournalError> {
        let Some(id) = self.before else {
            return Ok(Some(i64::MAX));
        };
        let place = format!("SELECT seq FROM {table} WHERE id = ?1");
        Ok(connection
            .prepare_cached(&place)?
            .query_row([id.to_string()], |row| row.get(0))
            .optional()?)
    }

    /// One row more than wanted shows whether there are others.
    pub(super) fn cut<T>(&self, mut found: Vec<T>) -> (Vec<T>, bool) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }
}
