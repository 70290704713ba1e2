//! `/api/solve`

use actix_web::HttpResponse;

use crate::service::{Placement, WhatIf};

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// A what-if: places a plan on the given topology and allocation.
///
/// No engine, host or cloud need exist; state is neither read nor changed.
#[utoipa::path(post, path = "/api/solve", operation_id = "solve", tag = "plans",
    request_body(content = WhatIf, content_type = "application/json"),
    responses((status = 200, description = "What would be done.", body = Placement)))]
pub async fn post(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let result = match body {
        Ok(question) => service.solve(question).await,
        Err(fault) => Err(fault),
    };
    timer.give_placement(result).await
}
