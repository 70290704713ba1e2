//! `/api/allocation`

use actix_web::HttpResponse;
use serde_json::json;

use super::Handle;
use super::answer::Timer;

/// The VMs in use and what each container on them holds: what was confirmed.
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    timer.answer(Ok(json!(service.snapshot().allocation)))
}
