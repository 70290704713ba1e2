//! `/api/solve`

use actix_web::HttpResponse;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// Stateless what-if: places a plan on the given topology and allocation.
pub async fn post(service: Handle, timer: Timer, JsonBody(body): JsonBody) -> HttpResponse {
    let result = match body {
        Ok(question) => service.solve(question).await,
        Err(fault) => Err(fault),
    };
    timer.answer(result.map(|proposal| proposal.to_json()))
}
