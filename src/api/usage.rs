//! `/api/usage`

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::{ContainerUsage, Usages};

use super::Handle;
use super::answer::Timer;

/// What mapek's containers use, and their limits, by VM and name, and the `time` spent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "vm1": { "rubis_db": { "cpu_cores": 0.42, "cpu_limit": 1, "memory": 73400320,
    "memory_limit": 134217728, "state": "running", "problem": null } }, "time": "1.04" }))]
pub struct UsageShown {
    /// Containers by VM and name.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, BTreeMap<String, ContainerUsage>>)]
    vms: Usages,
}

/// What each container that this mapek made uses of its limits.
///
/// The engines measure for about a second.
#[utoipa::path(get, path = "/api/usage", operation_id = "usage", tag = "state",
    responses((status = 200, description = "Containers by VM and name.", body = UsageShown)))]
pub async fn get(service: Handle, timer: Timer) -> HttpResponse {
    let usage = service.usage().await;
    timer.give(usage.map(|vms| UsageShown { vms }))
}
