//! `/api/translate`

use actix_web::HttpResponse;
use actix_web::http::header;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// Shows what execute would do, and seals it: the id is in the answer, and in its `ETag`.
pub async fn put(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let result = match body {
        Ok(plan) => service.translate(plan).await,
        Err(fault) => Err(fault),
    };
    let proposal = match result {
        Ok(proposal) => proposal,
        Err(fault) => return timer.fail(&fault),
    };
    let mut response = timer.answer(Ok(proposal.to_json()));
    let tag = proposal.plan_id.map(|id| format!("\"{id}\""));
    if let Some(tag) = tag.and_then(|tag| header::HeaderValue::from_str(&tag).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
