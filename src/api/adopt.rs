//! `/api/adopt`

use actix_web::HttpResponse;
use serde_json::Value;
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::service::Adopted;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;
use super::by::Asked;
use super::schema::Adoption;

/// Takes over what a lost data directory left running.
///
/// Every container carries the id of the data directory that it was made for, in the label
/// `mapek.owner`. Those of other data directories are never touched. From this call on, those of the
/// owner that is named count as this service's own: what runs is taken into the allocation as it is,
/// and the next plan goes on from there. Put the topology first. Stop any `mapek` that still has that
/// data directory; whether there is one can't be known from here.
#[utoipa::path(post, path = "/api/adopt", operation_id = "adopt", tag = "state",
    request_body(content = Adoption, content_type = "application/json"),
    responses((status = 200, description = "They are ours now.", body = Adopted)))]
pub async fn post(service: Handle, timer: Timer, Asked(by): Asked, JsonBody(body): JsonBody) -> HttpResponse {
    let adopted = async { service.adopt(owner(&body?)?, by).await }.await;
    timer.give(adopted)
}

/// Reads `{"owner": …}`, and nothing else.
fn owner(body: &Value) -> Result<Uuid, Fault> {
    let wrong = |message: &str| Fault::new(Code::RequestInvalid, message);
    let fields = body
        .as_object()
        .ok_or_else(|| wrong("the body should be an object with `owner`"))?;
    if let Some(unknown) = fields.keys().find(|key| *key != "owner") {
        let message = format!("{unknown:?} is not known here; did you mean \"owner\"?");
        return Err(Fault::new(Code::RequestInvalid, message));
    }
    let owner = fields.get("owner").and_then(Value::as_str);
    owner
        .and_then(|owner| Uuid::parse_str(owner).ok())
        .ok_or_else(|| {
            wrong("`owner` should be an owner's id, as the label mapek.owner of a container shows it")
        })
}
