//! `/api/plan`

use actix_web::HttpResponse;

use super::Handle;
use super::answer::Timer;
use super::schema::PlanThatHolds;

/// The plan that holds.
///
/// The last plan that somebody wanted. One that failed holds until another is sent, or until `mapek` goes
/// back by itself, with `self_heal`, to the one that was reached last.
#[utoipa::path(get, path = "/api/plan", operation_id = "get_plan", tag = "state",
    responses((status = 200, description = "The plan, and what came of it.", body = PlanThatHolds)))]
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    timer.answer(Ok(service.snapshot().plan_document()))
}
