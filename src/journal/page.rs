//! Pages of lists, newest first: what of a list is asked for, and where a page begins.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::execute::Standing;

use super::error::JournalError;

/// Which of a list to tell, newest first. `S` is what its entries can stand at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<S = Standing> {
    /// So many at most.
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

    /// The number that the entries of this page are below, in a table with `seq` and `id`; None where there is no
    /// entry of the id that it begins before.
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

    /// One more than is told says whether there are others.
    pub(super) fn cut<T>(&self, mut found: Vec<T>) -> (Vec<T>, bool) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }
}
