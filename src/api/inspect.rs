//! `/api/inspect`

use actix_web::HttpResponse;

use super::Handle;
use super::answer::Timer;

/// What the engines say of each container, live.
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    timer.answer(service.inspect().await)
}
