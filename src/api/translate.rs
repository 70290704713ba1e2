//! `/api/translate`

use actix_web::HttpResponse;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// Shows what execute would do. Nothing is changed.
pub async fn put(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let result = match body {
        Ok(plan) => service.translate(plan).await,
        Err(fault) => Err(fault),
    };
    timer.answer(result.map(|proposal| proposal.to_json()))
}
