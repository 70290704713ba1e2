//! `/healthz`

use actix_web::HttpResponse;
use serde_json::json;

use super::answer::Timer;

/// The service answers.
pub async fn live(timer: Timer) -> HttpResponse {
    timer.answer(Ok(
        json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }),
    ))
}
