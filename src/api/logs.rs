//! `/api/logs/{vm}/{container}`: what a container has written.

use std::sync::{Arc, OnceLock};

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::engine::LogOptions;
use crate::fault::{Code, Fault};
use crate::model::VmId;

use super::Handle;
use super::answer::Timer;

/// How many logs may be read at the same time: each uses a connection to an engine.
const MOST: usize = 64;
static READERS: OnceLock<Arc<Semaphore>> = OnceLock::new();

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    tail: Option<String>,
    since: Option<String>,
    follow: Option<String>,
}

impl Query {
    fn options(&self) -> Result<LogOptions, Fault> {
        let wrong = |name: &str, should: &str, is: &str| {
            let message = format!("{name} should be {should}, is {is:?}");
            Fault::new(Code::RequestInvalid, message)
        };
        let tail = self.tail.as_deref().map(|text| {
            let tail = text.parse::<u32>();
            tail.map_err(|_| wrong("tail", "a whole number of lines", text))
        });
        let since = self.since.as_deref().map(|text| {
            let time = text.parse::<Timestamp>();
            time.map(Timestamp::as_second)
                .map_err(|_| wrong("since", "a time such as 2026-11-21T16:00:00Z", text))
        });
        let follow = match self.follow.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(text) => return Err(wrong("follow", "true or false", text)),
        };
        Ok(LogOptions {
            tail: tail.transpose()?,
            since: since.transpose()?,
            follow,
        })
    }
}

/// What a container has written.
///
/// Standard output and error, in the order in which they came. Only containers that this mapek made
/// have a log here, whether they run or not, until the engine has removed them. With `follow`, the
/// answer goes on until the container ends, the client disconnects, or its token is revoked. If the
/// log breaks off, so does the connection.
#[utoipa::path(get, path = "/api/logs/{vm}/{container}", operation_id = "get_log", tag = "state",
    params(
        ("vm" = String, Path, description = "The VM's name."),
        ("container" = String, Path, description = "The container's name, `{app}_{tier}`."),
        ("tail" = Option<u32>, Query, description = "Only this many of the last lines; all unless given."),
        ("since" = Option<String>, Query, format = "date-time",
            description = "Only what was written since then, to the second."),
        ("follow" = Option<bool>, Query, description = "Go on with what is written later."),
    ),
    responses((status = 200, description = "The log.", content_type = "text/plain", body = String)))]
pub async fn get(
    path: web::Path<(String, String)>,
    query: web::Query<Query>,
    service: Handle,
    timer: Timer,
) -> HttpResponse {
    let options = match query.options() {
        Ok(options) => options,
        Err(fault) => return timer.fail(&fault),
    };
    let readers = READERS.get_or_init(|| Arc::new(Semaphore::new(MOST)));
    let Ok(place) = Arc::clone(readers).try_acquire_owned() else {
        let message = format!("{MOST} logs are already being read; end one, or ask again later");
        return timer.fail(&Fault::new(Code::Overloaded, message));
    };
    let (vm, container) = path.into_inner();
    let log = match service.log(VmId::new(&vm), container, options).await {
        Ok(log) => log,
        Err(fault) => return timer.fail(&fault),
    };
    let pieces = log.map(move |piece| {
        // Kept until the last piece is sent.
        let _place = &place;
        piece.map(Bytes::from)
    });
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header(("cache-control", "no-store"))
        // Browsers must not take what a container writes for a page, whatever it looks like.
        .insert_header(("x-content-type-options", "nosniff"))
        .streaming(pieces)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_query_is_told() {
        let query = |tail: &str, since: &str, follow: &str| {
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let query = Query {
                tail: some(tail),
                since: some(since),
                follow: some(follow),
            };
            query.options()
        };
        assert_eq!(query("", "", "").unwrap(), LogOptions::default());
        let all = LogOptions {
            tail: Some(5),
            since: Some(1),
            follow: true,
        };
        assert_eq!(query("5", "1970-01-01T00:00:01Z", "true").unwrap(), all);
        for (name, query) in [
            ("tail", query("-1", "", "")),
            ("since", query("", "yesterday", "")),
            ("follow", query("", "", "yes")),
        ] {
            let fault = query.unwrap_err();
            assert!(
                fault.code == Code::RequestInvalid && fault.message.starts_with(name),
                "{fault}"
            );
        }
    }
}
