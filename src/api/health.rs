//! `/healthz`, `/readyz`, `/metrics`

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Handle;
use super::answer::Timer;
use super::by::Trusted;

/// The service answers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "status": "ok", "version": "0.1.0", "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Alive {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The service's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Whether the service can carry plans out, and which part is not ready.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "ready": false, "parts": { "journal": { "ready": true }, "topology": { "ready": true },
    "cloud": { "ready": true }, "engines": { "ready": false, "problem": "VM 'vm1': nothing answers" } },
    "time": "0.01" }))]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// Whether all parts are ready.
    #[schema(example = true)]
    ready: bool,
    /// `journal`, `topology`, `cloud`, `engines`.
    parts: BTreeMap<&'static str, Part>,
}

/// A part of the service.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "ready": false, "problem": "VM 'vm1': nothing answers" }))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Whether it is ready.
    #[schema(example = false)]
    ready: bool,
    /// Why not; shown only to holders of tokens, if there are tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "VM 'vm1': nothing answers")]
    problem: Option<String>,
}

/// Whether the service answers.
///
/// This does not say whether it can carry plans out: `/readyz` does.
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "service",
    responses((status = 200, description = "It does.", body = Alive)))]
pub async fn live(timer: Timer) -> HttpResponse {
    timer.give(Ok(Alive {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Whether the service can carry plans out, and which part is not ready.
///
/// The journal must be writable; there must be a topology; its cloud, and the engines of the VMs in
/// use, must answer. If there are tokens, only their holders are told why a part is not ready.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "service", responses(
    (status = 200, description = "All parts are ready.", body = Readiness),
    (status = 503, description = "A part is not ready.", body = Readiness)))]
pub async fn ready(service: Handle, timer: Timer, Trusted(trusted): Trusted) -> HttpResponse {
    let parts = service.readiness().await;
    let ready = parts.iter().all(|(_, problem)| problem.is_none());
    let shown = parts.into_iter().map(|(name, problem)| {
        let part = Part {
            ready: problem.is_none(),
            problem: problem.filter(|_| trusted),
        };
        (name, part)
    });
    let readiness = Readiness {
        ready,
        parts: shown.collect(),
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    timer.send(status, json!(readiness))
}

/// All metrics, for Prometheus: in the OpenMetrics format if the client accepts it.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "service", responses(
    (status = 200, description = "In the text format of Prometheus; of OpenMetrics where Accept names it.",
        content((String = "text/plain"), (String = "application/openmetrics-text")))))]
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
