//! `/api/topology`

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::answer::Timer;
use super::body::JsonBody;
use super::by::Asked;
use super::{Handle, tags};

/// The topology as it was put, `{}` before that. Never a secret.
pub async fn get(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    timer.document(&request, service.snapshot().topology_document())
}

/// Takes a topology; with `If-Match`, only in the place of one that the client has seen.
pub async fn put(
    request: HttpRequest,
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    JsonBody(body): JsonBody,
) -> HttpResponse {
    let seen = tags::if_match(&request);
    let result = match body {
        Ok(document) => service.put_topology(document, seen, by).await,
        Err(fault) => Err(fault),
    };
    let put = match result {
        Ok(put) => put,
        Err(fault) => return timer.fail(&fault),
    };
    let answer = json!({ "generation": put.generation, "warnings": put.warnings });
    let mut response = timer.answer(Ok(answer));
    if let Ok(tag) = header::HeaderValue::from_str(&put.tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
