//! `/api/adopt`

use actix_web::HttpResponse;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::service::Adopted;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;
use super::by::Asked;

/// What is to be adopted.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "owner": "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11" }))]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The id of the data directory that was lost, as the label `mapek.owner` shows it.
    #[schema(value_type = String, format = "uuid", example = "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11")]
    owner: Uuid,
}

/// Takes over what a lost data directory left running.
///
/// Every container carries the id of the data directory that it was made for, in the label
/// `mapek.owner`. Containers of other data directories are never touched. From this call on, those
/// of the given owner count as this service's own: they are taken into the allocation as they are,
/// and the next plan starts from there. Put the topology first. Stop any `mapek` that still uses
/// that data directory: this service can't know whether there is one.
#[utoipa::path(post, path = "/api/adopt", operation_id = "adopt", tag = "state",
    request_body(content = Adoption, content_type = "application/json"),
    responses((status = 200, description = "They belong to this service now.", body = Adopted)))]
pub async fn post(service: Handle, timer: Timer, Asked(by): Asked, JsonBody(body): JsonBody) -> HttpResponse {
    let adopted = async { service.adopt(owner(body?)?, by).await }.await;
    timer.give(adopted)
}

fn owner(body: Value) -> Result<Uuid, Fault> {
    let asked = serde_json::from_value::<Adoption>(body);
    asked.map(|Adoption { owner }| owner).map_err(|error| {
        let message = format!(
            "the body should be {{\"owner\": ID}}, with the id that the label mapek.owner of a container shows: {error}"
        );
        Fault::new(Code::RequestInvalid, message)
    })
}
