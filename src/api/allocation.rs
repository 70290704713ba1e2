//! `/api/allocation`

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{TierId, Vm, VmId};

use super::Handle;
use super::answer::Timer;
use super::body::NoBody;
use super::by::Asked;

/// The VMs in use, by name, and the `time` spent.
#[derive(ToSchema)]
#[schema(example = json!({ "vm1": { "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } } }, "time": "0.00" }))]
#[expect(dead_code, reason = "it is served as text that was made before")]
pub struct AllocationShown {
    /// VMs by name.
    #[serde(flatten)]
    vms: BTreeMap<String, Vm>,
}

/// A VM was given up.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "given_up": ["rubis_db"], "time": "5.00" }))]
#[serde(deny_unknown_fields)]
pub struct GivenUp {
    /// The containers that were on it.
    #[schema(value_type = Vec<String>)]
    given_up: Vec<TierId>,
}

/// The VMs in use and what each container on them holds, as confirmed by the engines.
///
/// With `If-None-Match`, 304 if the client already has it.
#[utoipa::path(get, path = "/api/allocation", operation_id = "get_allocation", tag = "state",
    params(("If-None-Match" = Option<String>, Header, description = "Tags that the client has.")),
    responses(
        (status = 200, description = "The VMs by name.", body = AllocationShown,
            headers(("ETag" = String, description = "Changes when the allocation does."))),
        (status = 304, description = "The client already has it.")))]
pub async fn get(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    timer.document(&request, service.snapshot().allocation_document())
}

/// Gives up a VM that is gone for good.
///
/// If a VM's engine does not answer, the VM is kept as it was last confirmed, since it may come
/// back, and a plan that needs it is refused. This call takes the VM and everything on it out of
/// the allocation, so that the next plan puts that elsewhere. A VM whose engine answers is not
/// given up. A host that is given up should be taken out of the topology, too: otherwise a plan may
/// use it again, and first removes from it what runs elsewhere by then.
#[utoipa::path(delete, path = "/api/allocation/{vm}", operation_id = "give_up_vm", tag = "state",
    params(("vm" = String, Path, description = "The VM's name.")),
    responses((status = 200, description = "The VM was given up.", body = GivenUp)))]
pub async fn delete(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    vm: web::Path<String>,
    NoBody(body): NoBody,
) -> HttpResponse {
    if let Err(fault) = body {
        return timer.fail(&fault);
    }
    let given_up = service.give_up(VmId::new(vm.as_str()), by).await;
    timer.give(given_up.map(|given_up| GivenUp { given_up }))
}
