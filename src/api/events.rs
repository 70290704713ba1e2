//! `/api/events`: Server-Sent Events of everything that is recorded.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::journal::{Entry, Reach};
use crate::service::Service;

use super::Handle;
use super::answer::Timer;

/// Something to send at intervals, so that a client notices a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The most clients that follow the events at the same time.
const MOST: usize = 256;
static FOLLOWERS: OnceLock<Arc<Semaphore>> = OnceLock::new();
/// Events that are read from the journal at a time.
const BATCH: u32 = 200;

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    last_event_id: Option<String>,
    journal: Option<String>,
}

/// The header that names the journal to which the numbers of events belong.
const JOURNAL: &str = "mapek-journal";

/// Everything that is recorded, as Server-Sent Events.
///
/// Events from now on, or from the one after `Last-Event-ID` (or `?last_event_id=`). `event` is the
/// kind. `data` is an object with the time in `at`, with `execution` if the event belongs to one,
/// and with `by` if somebody asked for it.
///
/// If events since then are missing, an event `reset` comes first: get the state again. Its
/// `reason` is `dropped` (they are no longer kept; those that are kept follow), `ahead` (no event
/// has had that number yet), `replaced` (a backup of the journal was restored since) or
/// `other_journal`; after the last three, events from now on follow. The header `Mapek-Journal`
/// names the journal; a client that sends it back as `?journal=` learns when it has become another
/// one.
#[utoipa::path(get, path = "/api/events", operation_id = "events", tag = "executions",
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that the client has."),
        ("last_event_id" = Option<u64>, Query, description = "The same, for clients that can't set a header."),
        ("journal" = Option<String>, Query, format = "uuid",
            description = "The journal that the number belongs to, from the header `Mapek-Journal`."),
    ),
    responses((status = 200, description = "A stream that does not end.", content_type = "text/event-stream",
        body = String, headers(("Mapek-Journal" = String, description = "The journal's id.")))))]
pub async fn get(
    request: HttpRequest,
    query: web::Query<Query>,
    service: Handle,
    timer: Timer,
) -> HttpResponse {
    let header = request
        .headers()
        .get("last-event-id")
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let last = header.as_deref().or(query.last_event_id.as_deref());
    let (after, reset) = match start(&service, last, query.journal.as_deref()).await {
        Ok(start) => start,
        Err(fault) => return timer.fail(&fault),
    };
    let Ok(place) = Arc::clone(FOLLOWERS.get_or_init(|| Arc::new(Semaphore::new(MOST)))).try_acquire_owned()
    else {
        let message = format!("{MOST} clients are already following the events; end one, or ask again later");
        return timer.fail(&Fault::new(Code::Overloaded, message));
    };
    let journal = service.journal().to_string();
    let follower = Follower {
        _place: place,
        changes: service.changes(),
        service: service.get_ref().clone(),
        after,
        // A number alone is no event, but a client whose connection breaks before the first event
        // then knows where to continue.
        ready: [Bytes::from(format!(": mapek\nid: {after}\n\n"))]
            .into_iter()
            .chain(reset)
            .collect(),
    };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .insert_header((JOURNAL, journal))
        .streaming(stream::unfold(follower, |mut follower| async move {
            let bytes = follower.next().await?;
            Some((Ok::<_, actix_web::Error>(bytes), follower))
        }))
}

/// The number to begin after, and what to say first if events are missing.
async fn start(
    service: &Service,
    last: Option<&str>,
    journal: Option<&str>,
) -> Result<(u64, Option<Bytes>), Fault> {
    let bad = |name: &str, should: &str, is: &str| {
        Fault::new(
            Code::RequestInvalid,
            format!("{name} should be {should}, is {is:?}"),
        )
    };
    let journal = journal.map(|id| {
        let read = id.parse::<Uuid>();
        read.map_err(|_| bad("journal", "the id of a journal, as Mapek-Journal said", id))
    });
    let same = journal.transpose()?.is_none_or(|id| id == service.journal());
    let Some(last) = last else {
        return Ok((service.newest_event().await?, None));
    };
    let number = last.trim().parse::<u64>();
    let last = number.map_err(|_| bad("Last-Event-ID", "the number of an event", last))?;
    let reach = service.reach(last).await?;
    let (reason, after) = match reach {
        _ if !same => ("other_journal", service.newest_event().await?),
        Reach::Whole => return Ok((last, None)),
        Reach::DroppedTo(dropped_to) => ("dropped", dropped_to),
        Reach::Ahead(newest) => ("ahead", newest),
        Reach::Replaced => ("replaced", service.newest_event().await?),
    };
    Ok((after, Some(reset(service, reason, last, after))))
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
            // Before looking, so that nothing that comes meanwhile is missed.
            self.changes.borrow_and_update();
            let (entries, dropped_to) = self.service.events_after(self.after, BATCH).await.ok()?;
            // Events may be deleted before a slow client has read them.
            if self.after < dropped_to {
                self.ready
                    .push_back(reset(&self.service, "dropped", self.after, dropped_to));
                self.after = dropped_to;
                continue;
            }
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

/// Tells a client that some events after `last` are missing, and that it continues after the one
/// with the number `after`.
fn reset(service: &Service, reason: &str, last: u64, after: u64) -> Bytes {
    let message = match reason {
        "dropped" => "some of the events since then are no longer kept",
        "ahead" => "there has been no event of that number yet",
        "replaced" => "a backup of the journal was put back since that event",
        _ => "that event was one of another journal",
    };
    let data = json!({
        "event": "reset",
        "at": Timestamp::now(),
        "reason": reason,
        "message": format!("{message}: get the state again"),
        "last_event_id": last,
        "journal": service.journal(),
    });
    Bytes::from(format!("id: {after}\nevent: reset\ndata: {data}\n\n"))
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
