//! `/api/apps`

use std::collections::BTreeMap;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::model::topology::Tier;
use crate::model::{Size, Warning};
use crate::service::{AppShown, Apps};

use super::Handle;
use super::answer::Timer;
use super::body::{JsonBody, NoBody};
use super::by::Asked;

/// An app: its part of the topology, and its sizes.
#[derive(ToSchema)]
#[schema(as = AppGiven, example = json!({ "tiers": { "site": { "docker_image": "nginx:1.27", "ports": ["8080:80"] } },
    "plan": { "site": { "cpu_cores": 1, "mem_units": 2 } } }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub struct Given {
    /// Its name, as in the path.
    #[schema(example = "blog")]
    name: Option<String>,
    /// Its tiers, as in a topology.
    tiers: BTreeMap<String, Tier>,
    /// What each of its tiers holds in all; a tier that is left out does not run.
    plan: BTreeMap<String, Size>,
}

/// A request that was taken, and the `time` spent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "app": "blog", "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "wants": "deploy", "state": "new",
    "times": { "new": "2026-11-21T06:00:00Z" }, "reasons": [], "execution": null, "by": "alice",
    "tiers": { "site": { "docker_image": "nginx:1.27" } }, "plan": { "site": { "cpu_cores": 1, "mem_units": 2 } },
    "holds": {}, "warnings": [], "time": "0.01" }))]
pub struct AppTaken {
    #[serde(flatten)]
    app: AppShown,
    /// What its author should know.
    warnings: Vec<Warning>,
}

/// One app, how far the newest request for it is, and the `time` spent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "app": "blog", "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "wants": "deploy", "state": "new",
    "times": { "new": "2026-11-21T06:00:00Z" }, "reasons": [], "execution": null, "by": "alice",
    "tiers": { "site": { "docker_image": "nginx:1.27" } }, "plan": { "site": { "cpu_cores": 1, "mem_units": 2 } },
    "holds": {}, "time": "0.01" }))]
pub struct AppAlone {
    #[serde(flatten)]
    app: AppShown,
}

/// Puts one app, or changes it, without the whole topology.
///
/// All problems are told at once, each with its path. The request is on record when this answers, and is carried out
/// afterwards by an execution of its own, after those that were asked for before. A request that is newer takes the place
/// of one for the same app that has not begun. If it can't be done, the app is as it was before.
#[utoipa::path(put, path = "/api/apps/{app}", operation_id = "put_app", tag = "apps",
    params(("app" = String, Path, description = "The app's name.")),
    request_body(content = Given, content_type = "application/json"),
    responses((status = 202, description = "It was taken.", body = AppTaken,
        headers(("Location" = String, description = "Where to look for it.")))))]
pub async fn put(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    app: web::Path<String>,
    JsonBody(body): JsonBody,
) -> HttpResponse {
    let taken = match body {
        Ok(body) => service.put_app(app.into_inner(), body, by).await,
        Err(fault) => Err(fault),
    };
    let taken = taken.map(|taken| AppTaken {
        app: taken.app,
        warnings: taken.warnings,
    });
    match taken {
        Ok(taken) => accepted(&timer, &taken.app.app.clone(), json!(taken)),
        Err(fault) => timer.fail(&fault),
    }
}

fn accepted(timer: &Timer, app: &str, answer: serde_json::Value) -> HttpResponse {
    let mut response = timer.send(StatusCode::ACCEPTED, answer);
    if let Ok(value) = header::HeaderValue::from_str(&format!("/api/apps/{app}")) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// The apps that are put by requests.
#[utoipa::path(get, path = "/api/apps", operation_id = "list_apps", tag = "apps",
    responses((status = 200, description = "The apps.", body = Apps)))]
pub async fn list(service: Handle, timer: Timer) -> HttpResponse {
    timer.give(Ok(service.apps()))
}

/// One app, and how far the newest request for it is.
#[utoipa::path(get, path = "/api/apps/{app}", operation_id = "get_app", tag = "apps",
    params(("app" = String, Path, description = "The app's name.")),
    responses((status = 200, description = "The app.", body = AppAlone)))]
pub async fn get(service: Handle, timer: Timer, app: web::Path<String>) -> HttpResponse {
    timer.give(service.app(&app).map(|app| AppAlone { app }))
}

/// Removes an app that was put by a request, with all that it runs.
#[utoipa::path(delete, path = "/api/apps/{app}", operation_id = "delete_app", tag = "apps",
    params(("app" = String, Path, description = "The app's name.")),
    responses((status = 202, description = "It will be.", body = AppAlone)))]
pub async fn delete(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    app: web::Path<String>,
    NoBody(body): NoBody,
) -> HttpResponse {
    let taken = match body {
        Ok(()) => service.remove_app(app.into_inner(), by).await,
        Err(fault) => Err(fault),
    };
    match taken {
        Ok(taken) => accepted(&timer, &taken.app.clone(), json!(AppAlone { app: taken })),
        Err(fault) => timer.fail(&fault),
    }
}
