//! `/healthz`, `/metrics`

use actix_web::HttpResponse;
use serde_json::json;

use super::Handle;
use super::answer::Timer;

/// The service answers.
pub async fn live(timer: Timer) -> HttpResponse {
    timer.answer(Ok(
        json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }),
    ))
}

/// What is counted, for Prometheus.
pub async fn metrics(service: Handle, timer: Timer) -> HttpResponse {
    match service.metrics() {
        Ok(text) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .body(text),
        Err(fault) => timer.fail(&fault),
    }
}
