//! `/api/translate`

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::model::Plan;
use crate::service::Placement;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// Shows what execute would do, and seals it.
///
/// Nothing that runs is changed. `plan_id`, and `ETag`, have the id of the seal: execute with it
/// does exactly these actions, or says what has changed since.
#[utoipa::path(method(put, post), path = "/api/translate", operation_id = "translate", tag = "plans",
    request_body(content = Plan, content_type = "application/json"),
    responses((status = 200, description = "What would be done.", body = Placement,
        headers(("ETag" = String, description = "The plan_id, in double quotes.")))))]
pub async fn put(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let result = match body {
        Ok(plan) => service.translate(plan).await,
        Err(fault) => Err(fault),
    };
    let sealed = result.as_ref().ok().and_then(|proposal| proposal.plan_id.clone());
    let tag = sealed.map(|id| format!("\"{id}\""));
    let mut response = timer.give_placement(result).await;
    if let Some(tag) = tag.and_then(|tag| header::HeaderValue::from_str(&tag).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
