//! `/api/inspect`

use actix_web::HttpResponse;

use super::Handle;
use super::answer::Timer;
use super::schema::Inspection;

/// What the engines say of each container, live, and what differs from the allocation.
#[utoipa::path(get, path = "/api/inspect", operation_id = "inspect", tag = "state",
    responses((status = 200, description = "Containers by VM and name.", body = Inspection)))]
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    timer.answer(service.inspect().await)
}
