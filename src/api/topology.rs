//! `/api/topology`

use actix_web::HttpResponse;
use serde_json::json;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// The topology as it was put, `{}` before that. Never a secret.
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    timer.answer(Ok(service.topology_document()))
}

/// Takes a topology.
pub async fn put(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let result = match body {
        Ok(document) => service.put_topology(document).await,
        Err(fault) => Err(fault),
    };
    timer.answer(result.map(|put| json!({ "generation": put.generation, "warnings": put.warnings })))
}
