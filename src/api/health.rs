//! `/healthz`, `/metrics`

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Handle;
use super::answer::Timer;

/// The service answers.
pub async fn live(timer: Timer) -> HttpResponse {
    timer.answer(Ok(
        json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }),
    ))
}

/// What is counted, for Prometheus: as OpenMetrics for those who say that they read it.
pub async fn metrics(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    let accept = request
        .headers()
        .get_all("accept")
        .filter_map(|value| value.to_str().ok());
    let openmetrics = accept
        .into_iter()
        .any(|value| value.contains("application/openmetrics-text"));
    let format = if openmetrics {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    match service.metrics(openmetrics) {
        Ok(text) => HttpResponse::Ok()
            .content_type(format)
            .insert_header(("vary", "accept"))
            .body(text),
        Err(fault) => timer.fail(&fault),
    }
}
