//! `/api/inspect`

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::{Inspected, Inspection};

use super::Handle;
use super::answer::Timer;

/// Containers by VM and name, and the `time` spent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "vm1": { "rubis_db": { "CpusetCpus": "0", "NanoCpus": 0, "Memory": 1073741824,
    "MemUnits": 2, "state": "running", "health": null, "image": "mysql:8", "id": "4f5c", "exit_code": null,
    "managed": true, "owner": "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11", "foreign": false,
    "drift": [], "differences": [] } }, "time": "0.02" }))]
pub struct InspectionShown {
    /// Containers by VM and name.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, BTreeMap<String, Inspected>>)]
    vms: Inspection,
}

/// What the engines report of each container at that moment, and what differs from the allocation.
#[utoipa::path(get, path = "/api/inspect", operation_id = "inspect", tag = "state",
    responses((status = 200, description = "Containers by VM and name.", body = InspectionShown)))]
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    let inspection = service.inspect().await;
    timer.give(inspection.map(|vms| InspectionShown { vms }))
}
