//! Answers: JSON objects with the time spent.

use std::future::{Ready, ready};
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::ConnectionType;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::service::{Document, Proposal};

use super::error::status;
use super::tags;

/// What could not be done, and what to do about it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "error": "there is no topology yet: PUT one to /api/topology first",
    "code": "topology_missing", "details": [], "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Error<'f> {
    /// A sentence that a person can act on.
    #[schema(example = "there is no topology yet: PUT one to /api/topology first")]
    error: &'f str,
    /// The kind of failure, for programs; docs/errors.md lists them.
    #[schema(example = "topology_missing")]
    code: &'f str,
    /// Particulars: problems with paths, reasons, what has changed.
    #[schema(example = json!([]))]
    details: &'f [Value],
}

/// Measures the time of a request and makes its answer.
pub struct Timer(Instant);

impl FromRequest for Timer {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(Instant::now())))
    }
}

impl Timer {
    /// From now on.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// 200 with a JSON object, or the fault.
    pub fn answer(&self, result: Result<Value, Fault>) -> HttpResponse {
        match result {
            Ok(body) => self.send(StatusCode::OK, body),
            Err(fault) => self.fail(&fault),
        }
    }

    /// The same, from a value that can be serialized.
    pub fn give(&self, result: Result<impl Serialize, Fault>) -> HttpResponse {
        self.written(result.and_then(|answer| write(&answer)))
    }

    /// A placement. It may be of a hundred thousand VMs, so it is written off the async threads: other requests
    /// don't wait for that.
    pub async fn give_placement(&self, result: Result<Proposal, Fault>) -> HttpResponse {
        let proposal = match result {
            Ok(proposal) => proposal,
            Err(fault) => return self.fail(&fault),
        };
        let written = web::block(move || write(&proposal.placement())).await;
        self.written(written.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer was not written");
            Err(unwritable())
        }))
    }

    /// 200 with the text of a JSON object, to which the time is added, or the fault.
    fn written(&self, result: Result<Vec<u8>, Fault>) -> HttpResponse {
        let mut body = match result {
            Ok(body) => body,
            Err(fault) => return self.fail(&fault),
        };
        body.pop();
        let comma = if body.len() > 1 { "," } else { "" };
        let seconds = self.0.elapsed().as_secs_f64();
        body.extend_from_slice(format!("{comma}\"time\":\"{seconds:.2}\"}}").as_bytes());
        HttpResponse::Ok()
            .content_type(header::ContentType::json())
            .body(body)
    }

    /// A fault, in the shape that all errors have.
    pub fn fail(&self, fault: &Fault) -> HttpResponse {
        let status = status(fault.code);
        if status.is_server_error() {
            tracing::warn!(code = %fault.code, error = %fault.message, "answered {status}");
        }
        let body = Error {
            error: &fault.message,
            code: fault.code.as_str(),
            details: &fault.details,
        };
        let mut response = self.send(status, json!(body));
        if matches!(
            fault.code,
            Code::Overloaded | Code::RateLimited | Code::Stopping | Code::JournalUnavailable
        ) {
            let seconds = header::HeaderValue::from(retry_after(fault));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if matches!(fault.code, Code::BodyTooLarge | Code::RequestTimeout) {
            // The rest of the body is not waited for.
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }

    /// A document, or 304 if the client already has it.
    pub fn document(&self, request: &HttpRequest, document: &Document) -> HttpResponse {
        let tag = (header::ETAG, document.tag.as_str());
        // Caches must ask each time whether it is still valid.
        let cache = (header::CACHE_CONTROL, "no-cache");
        if tags::if_none_match(request).is_some_and(|seen| seen.has(&document.tag)) {
            return HttpResponse::NotModified()
                .insert_header(tag)
                .insert_header(cache)
                .finish();
        }
        let seconds = self.0.elapsed().as_secs_f64();
        let text = document.text.strip_suffix('}').unwrap_or(&document.text);
        let comma = if text.len() > 1 { "," } else { "" };
        HttpResponse::Ok()
            .insert_header(tag)
            .insert_header(cache)
            .content_type(header::ContentType::json())
            .body(format!("{text}{comma}\"time\":\"{seconds:.2}\"}}"))
    }

    /// Any status with a JSON object.
    pub fn send(&self, status: StatusCode, mut body: Value) -> HttpResponse {
        if let Some(body) = body.as_object_mut() {
            let seconds = self.0.elapsed().as_secs_f64();
            body.insert("time".to_owned(), Value::String(format!("{seconds:.2}")));
        }
        HttpResponse::build(status).json(body)
    }
}

/// The text of a JSON object.
fn write(answer: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(answer).map_err(|error| {
        tracing::error!(%error, "an answer can't be written");
        unwritable()
    })
}

fn unwritable() -> Fault {
    let message = "mapek failed on this answer; its log says more, please report it";
    Fault::new(Code::Internal, message)
}

/// Seconds after which it makes sense to try again.
fn retry_after(fault: &Fault) -> u64 {
    let told = fault
        .details
        .iter()
        .find_map(|details| details.get("retry_after_s")?.as_u64());
    told.unwrap_or(1)
}
