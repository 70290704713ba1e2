//! Bodies are read as JSON, whatever Content-Type says: `curl -d` sends a form type.
//!
//! A body has a largest size and a longest time to arrive, and all large bodies together have a
//! share of the memory. If there are too many at once, some are told to come again later, rather
//! than let the service run out of memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::fault::{Code, Fault};
use crate::model::json;

/// Limits for bodies.
#[derive(Clone, Debug)]
pub struct BodyLimit {
    /// The largest that is accepted, in bytes.
    pub largest: usize,
    /// The longest that one may take to arrive.
    pub longest: Duration,
    /// What is left of the memory for large ones, in KiB.
    memory: Arc<Semaphore>,
}

/// Smaller ones are not counted, so that they never have to wait for larger ones.
const SMALL: usize = 64 * 1024;
/// What large ones may hold together, in KiB.
const MEMORY: usize = 64 * 1024;

impl Default for BodyLimit {
    /// 16 MiB: room for more than ten thousand tiers. 30 s: enough for 5 Mbit/s.
    fn default() -> Self {
        Self::new(16 * 1024 * 1024, Duration::from_secs(30))
    }
}

impl BodyLimit {
    /// Clones share the memory.
    #[must_use]
    pub fn new(largest: usize, longest: Duration) -> Self {
        Self {
            largest,
            longest,
            memory: Arc::new(Semaphore::new(MEMORY.max(largest / 1024 * 2 + 2))),
        }
    }
}

/// A JSON body, or why there is none. The handler answers a bad body, so that the answer has the
/// same shape as any other.
pub struct JsonBody(pub Result<Value, Fault>);

/// A JSON body that may be missing.
pub struct PlanBody(pub Result<Option<Value>, Fault>);

/// The body of a call that has no options: nothing, or an empty object.
pub struct NoBody(pub Result<(), Fault>);

impl FromRequest for NoBody {
    type Error = actix_web::Error;
    type Future = Coming<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = PlanBody::from_request(request, payload);
        Box::pin(async move {
            let PlanBody(body) = body.await?;
            Ok(Self(body.and_then(|body| match body {
                None => Ok(()),
                Some(Value::Object(members)) => match members.keys().next() {
                    None => Ok(()),
                    Some(member) => Err(Fault::unknown("member of this request's body", member, &[])),
                },
                Some(_) => Err(Fault::new(
                    Code::RequestInvalid,
                    "this call takes no body, or an empty object",
                )),
            })))
        })
    }
}

type Coming<T> = Pin<Box<dyn Future<Output = Result<T, actix_web::Error>>>>;

impl FromRequest for JsonBody {
    type Error = actix_web::Error;
    type Future = Coming<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = PlanBody::from_request(request, payload);
        Box::pin(async move {
            let missing = || {
                Fault::new(
                    Code::JsonUnreadable,
                    "the body is empty; it should be a JSON object",
                )
            };
            let PlanBody(body) = body.await?;
            Ok(Self(body.and_then(|body| body.ok_or_else(missing))))
        })
    }
}

impl FromRequest for PlanBody {
    type Error = actix_web::Error;
    type Future = Coming<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request.app_data::<BodyLimit>().cloned().unwrap_or_default();
        let announced = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let payload = payload.await?;
            Ok(Self(take(payload, announced, &limit).await))
        })
    }
}

async fn take(
    payload: web::Payload,
    announced: Option<usize>,
    limit: &BodyLimit,
) -> Result<Option<Value>, Fault> {
    if announced.is_some_and(|length| length > limit.largest) {
        return Err(too_large(limit));
    }
    let late = |_| {
        let seconds = limit.longest.as_secs_f64();
        let message = format!("the body did not arrive within {seconds} s");
        Err(Fault::new(Code::RequestTimeout, message))
    };
    let (bytes, held) = tokio::time::timeout(limit.longest, read(payload, limit))
        .await
        .unwrap_or_else(late)?;
    if bytes.len() <= SMALL {
        return parse(&bytes);
    }
    // Parsing a large one takes long enough to hold up others.
    let parsed = web::block(move || parse(&bytes)).await;
    drop(held);
    parsed.unwrap_or_else(|_| Err(Fault::new(Code::Stopping, "the service is stopping")))
}

/// The whole body, with its share of the memory.
async fn read(
    mut payload: web::Payload,
    limit: &BodyLimit,
) -> Result<(web::BytesMut, Vec<SemaphorePermit<'_>>), Fault> {
    let (mut bytes, mut held, mut paid) = (web::BytesMut::new(), Vec::new(), SMALL);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        let length = bytes.len() + chunk.len();
        if length > limit.largest {
            return Err(too_large(limit));
        }
        if length > paid {
            // Twice as much each time, so that there are few steps.
            let more = (length - paid).max(paid);
            let kib = u32::try_from(more.div_ceil(1024)).unwrap_or(u32::MAX);
            held.push(limit.memory.try_acquire_many(kib).map_err(|_| busy())?);
            paid += more;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, held))
}

fn too_large(limit: &BodyLimit) -> Fault {
    let message = format!(
        "the body is larger than {} bytes, the most that is accepted (--max-body-bytes)",
        limit.largest
    );
    Fault::new(Code::BodyTooLarge, message)
}

fn busy() -> Fault {
    Fault::new(
        Code::Overloaded,
        "too many large bodies are coming in at once; send this one again in a moment",
    )
}

fn broken(error: &PayloadError) -> Fault {
    Fault::new(
        Code::JsonUnreadable,
        format!("the body could not be read to its end: {error}"),
    )
}

fn parse(bytes: &[u8]) -> Result<Option<Value>, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    json::read(bytes).map(Some).map_err(|error| {
        let said = error.to_string();
        let message = match said.strip_prefix("recursion limit exceeded") {
            Some(place) => {
                format!("the body is nested deeper than 127 levels, the most that are read{place}")
            }
            None if error.is_data() => format!("in the body {said}"),
            None => format!("the body is not JSON: {said}"),
        };
        Fault::new(Code::JsonUnreadable, message)
    })
}
