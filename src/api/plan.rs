//! `/api/plan`

use actix_web::HttpResponse;

use crate::service::PlanThatHolds;

use super::Handle;
use super::answer::Timer;

/// The plan that holds.
///
/// The last plan that somebody sent. One that failed holds until another is sent or until `mapek`,
/// with `self_heal`, goes back to the one that was reached last.
#[utoipa::path(get, path = "/api/plan", operation_id = "get_plan", tag = "state",
    responses((status = 200, description = "The plan, and whether it was reached.", body = PlanThatHolds)))]
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    timer.give(Ok(service.snapshot().plan_that_holds()))
}
