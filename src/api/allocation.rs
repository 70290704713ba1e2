//! `/api/allocation`

use actix_web::{HttpRequest, HttpResponse};

use super::Handle;
use super::answer::Timer;
use super::schema::AllocationShown;

/// The VMs in use and what each container on them holds: what was confirmed.
///
/// With `If-None-Match`, 304 where the client has it already.
#[utoipa::path(get, path = "/api/allocation", operation_id = "get_allocation", tag = "state",
    params(("If-None-Match" = Option<String>, Header, description = "Tags that the client has.")),
    responses(
        (status = 200, description = "The VMs by name.", body = AllocationShown,
            headers(("ETag" = String, description = "Changes when the allocation does."))),
        (status = 304, description = "The client has it.")))]
pub async fn get(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    timer.document(&request, service.snapshot().allocation_document())
}
