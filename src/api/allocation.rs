//! `/api/allocation`

use actix_web::{HttpRequest, HttpResponse};

use super::Handle;
use super::answer::Timer;

/// The VMs in use and what each container on them holds: what was confirmed.
pub async fn get(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    timer.document(&request, service.snapshot().allocation_document())
}
