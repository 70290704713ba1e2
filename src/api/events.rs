//! `/api/events`: Server-Sent Events of everything that is recorded.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::{Code, Fault};
use crate::journal::Entry;
use crate::service::Service;

use super::Handle;
use super::answer::Timer;

/// A sign of life, so that a client notices a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The most clients that follow the events at the same time.
const MOST: usize = 256;
static FOLLOWERS: OnceLock<Arc<Semaphore>> = OnceLock::new();
/// Events that are read from the journal at once.
const BATCH: u32 = 200;

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    last_event_id: Option<String>,
}

/// Everything that is recorded, as Server-Sent Events.
///
/// Events from now on; from the one after `Last-Event-ID` (or `?last_event_id=`) where it is given,
/// however long ago that was. `event` says the kind; `data` is an object with the time in `at`, and with
/// `execution` where it belongs to one, and `by` where somebody asked for it.
#[utoipa::path(get, path = "/api/events", operation_id = "events", tag = "executions",
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that the client has."),
        ("last_event_id" = Option<u64>, Query, description = "The same, for clients that can't set a header."),
    ),
    responses((status = 200, description = "A stream that does not end.", content_type = "text/event-stream",
        body = String)))]
pub async fn get(
    request: HttpRequest,
    query: web::Query<Query>,
    service: Handle,
    timer: Timer,
) -> HttpResponse {
    let header = request
        .headers()
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let after = match header.or(query.last_event_id.as_deref()) {
        None => service.newest_event().await,
        Some(id) => id.trim().parse().map_err(|_| {
            Fault::new(
                Code::RequestInvalid,
                format!("Last-Event-ID should be the number of an event, is {id:?}"),
            )
        }),
    };
    let after = match after {
        Ok(after) => after,
        Err(fault) => return timer.fail(&fault),
    };
    let Ok(place) = Arc::clone(FOLLOWERS.get_or_init(|| Arc::new(Semaphore::new(MOST)))).try_acquire_owned()
    else {
        let message = format!("{MOST} clients follow the events already; end one, or ask again later");
        return timer.fail(&Fault::new(Code::Overloaded, message));
    };
    let follower = Follower {
        _place: place,
        changes: service.changes(),
        service: service.get_ref().clone(),
        after,
        // The number alone is no event, but a client whose connection breaks before the first one
        // then knows where to go on.
        ready: VecDeque::from([Bytes::from(format!(": mapek\nid: {after}\n\n"))]),
    };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .streaming(stream::unfold(follower, |mut follower| async move {
            let bytes = follower.next().await?;
            Some((Ok::<_, actix_web::Error>(bytes), follower))
        }))
}

/// One client that follows the events.
struct Follower {
    _place: OwnedSemaphorePermit,
    service: Service,
    changes: tokio::sync::watch::Receiver<std::sync::Arc<crate::service::Snapshot>>,
    after: u64,
    ready: VecDeque<Bytes>,
}

impl Follower {
    /// What to send next; None ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            // Before the look, so that nothing that comes during it is missed.
            self.changes.borrow_and_update();
            let entries = self.service.events_after(self.after, BATCH).await.ok()?;
            if let Some(last) = entries.last() {
                self.after = last.seq;
                self.ready.extend(entries.iter().map(written));
                continue;
            }
            match tokio::time::timeout(HEARTBEAT, self.changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

fn written(entry: &Entry) -> Bytes {
    let mut event = entry.event.clone();
    let kind = event
        .get("event")
        .and_then(|kind| kind.as_str())
        .unwrap_or("event")
        .to_owned();
    if let (Some(fields), Some(execution)) = (event.as_object_mut(), entry.execution) {
        fields.insert("execution".to_owned(), json!(execution));
    }
    Bytes::from(format!("id: {}\nevent: {kind}\ndata: {event}\n\n", entry.seq))
}
