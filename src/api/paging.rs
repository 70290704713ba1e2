//! Pages of lists: `limit`, `before`, `state` and `since` mean the same wherever they are taken.

use actix_web::web;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::journal::Page;

/// Entries that an answer lists where the client does not say, and at most.
const LIMIT: u32 = 200;
const MOST: u32 = 1000;

#[derive(Debug, Default, Deserialize)]
struct Query {
    limit: Option<String>,
    before: Option<String>,
    state: Option<String>,
    since: Option<String>,
}

/// The page that a query asks for, of a list of `what`, such as `an execution`. Its entries are in one of `states`,
/// which `read` reads.
pub fn page<S>(
    query: &str,
    what: &str,
    states: &[&str],
    read: impl Fn(&str) -> Option<S>,
) -> Result<Page<S>, Fault> {
    let query = web::Query::<Query>::from_query(query)
        .map_err(|error| bad(format!("the query can't be read: {error}")))?
        .into_inner();
    let before = query.before.as_deref().map(|text| {
        let id: Option<Uuid> = text.parse().ok();
        id.ok_or_else(|| wrong("before", &format!("the id of {what}"), text))
    });
    let state = query.state.as_deref().map(|text| {
        let should = format!("one of {}", states.join(", "));
        read(text).ok_or_else(|| wrong("state", &should, text))
    });
    let since = query.since.as_deref().map(|text| {
        let since: Option<Timestamp> = text.parse().ok();
        let should = "a time as in 2026-11-21T16:00:00Z (where it has a +, write %2B)";
        since.ok_or_else(|| wrong("since", should, text))
    });
    Ok(Page {
        limit: limit(query.limit.as_deref(), MOST)?.unwrap_or(LIMIT),
        before: before.transpose()?,
        state: state.transpose()?,
        since: since.transpose()?,
    })
}

/// How many entries a query wants at most, where it says.
pub fn limit(text: Option<&str>, most: u32) -> Result<Option<u32>, Fault> {
    let read = |text: &str| {
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        let should = format!("a whole number from 1 to {most}");
        limit.ok_or_else(|| wrong("limit", &should, text))
    };
    text.map(read).transpose()
}

fn bad(message: String) -> Fault {
    Fault::new(Code::RequestInvalid, message)
}

/// What a parameter should be, and is not.
pub fn wrong(name: &str, should: &str, is: &str) -> Fault {
    bad(format!("{name} should be {should}, is {is:?}"))
}
