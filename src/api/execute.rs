//! `/api/execute`

use actix_web::HttpResponse;
use serde_json::json;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// Carries a plan out and answers when it has ended.
pub async fn put(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let result = match body {
        Ok(plan) => service.execute(plan).await,
        Err(fault) => Err(fault),
    };
    timer.answer(result.map(|ended| json!({ "execution": ended.id, "outcome": ended.outcome })))
}
