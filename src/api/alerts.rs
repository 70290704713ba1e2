//! `/api/alerts`

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::intent::Intent;
use crate::model::{TierId, VmId};
use crate::service::{Alert, Alerted};

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;
use super::by::Asked;

/// That a tier, or a node, does badly.
#[derive(ToSchema)]
#[schema(as = Alert, example = json!({ "tier": "rubis_db", "event": "overload" }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub struct Given {
    /// The tier, by its flat name; of a node, the one that holds most of it unless given.
    #[schema(example = "rubis_db")]
    tier: Option<String>,
    /// The node; needed where the tier is on several.
    #[schema(example = "vm1")]
    node: Option<String>,
    /// What was seen, in a word.
    #[schema(max_length = 256, example = "overload")]
    event: String,
    /// So many seconds after the tier was moved nothing more is done about it; 300 unless given.
    #[schema(minimum = 0, maximum = 86400, example = 300)]
    cool_down_s: Option<u32>,
}

/// The intent that moves the tier, and the `time` spent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "kind": "migrate", "tier": "rubis_db", "from": "vm1",
    "to": "node.id != 'vm1'", "state": "pending", "execution": null, "reasons": [], "by": "monitor",
    "created_at": "2026-11-21T06:00:00Z", "changed_at": "2026-11-21T06:00:00Z", "repeated": false, "time": "0.01" }))]
pub struct AlertTaken {
    #[serde(flatten)]
    intent: Intent,
    /// Whether it was wanted before: the same alert came already, or the tier has just been moved.
    #[schema(example = false)]
    repeated: bool,
}

/// Moves a tier away from the node that it does badly on.
///
/// It goes to the node that its `prefers` likes best, then to the one with the most room. An alert that comes again while
/// the tier is being moved, or within the cool-down after that, is answered with the intent that there was.
#[utoipa::path(post, path = "/api/alerts", operation_id = "alert", tag = "intents",
    request_body(content = Given, content_type = "application/json"),
    responses((status = 202, description = "It was taken.", body = AlertTaken,
        headers(("Location" = String, description = "Where to look for the intent.")))))]
pub async fn post(service: Handle, timer: Timer, Asked(by): Asked, JsonBody(body): JsonBody) -> HttpResponse {
    let taken = match body.and_then(|body| read(&body)) {
        Ok(alert) => service.alert(alert, by).await,
        Err(fault) => Err(fault),
    };
    match taken {
        Ok(Alerted { intent, repeated }) => {
            let location = format!("/api/intents/{}", intent.id);
            let mut response = timer.send(StatusCode::ACCEPTED, json!(AlertTaken { intent, repeated }));
            if let Ok(value) = header::HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, value);
            }
            response
        }
        Err(fault) => timer.fail(&fault),
    }
}

fn read(body: &Value) -> Result<Alert, Fault> {
    const MEMBERS: [&str; 4] = ["tier", "node", "event", "cool_down_s"];
    let bad = |message: String| Fault::new(Code::RequestInvalid, message);
    let members = body
        .as_object()
        .ok_or_else(|| bad("should be an object with tier or node, and event".to_owned()))?;
    if let Some(stray) = members.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
        return Err(Fault::unknown("member of an alert", stray, &MEMBERS));
    }
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 256 => Ok(Some(text.as_str())),
        Some(other) => Err(bad(format!(
            "{name} should be a string of 1 to 256 bytes, is {other}"
        ))),
    };
    let event =
        text("event")?.ok_or_else(|| bad("event is missing: what was seen, such as overload".to_owned()))?;
    let seconds = match members.get("cool_down_s") {
        None | Some(Value::Null) => 300,
        Some(value) => value
            .as_u64()
            .filter(|seconds| *seconds <= 86_400)
            .ok_or_else(|| {
                bad(format!(
                    "cool_down_s should be a whole number from 0 to 86400, is {value}"
                ))
            })?,
    };
    Ok(Alert {
        tier: text("tier")?.map(TierId::new),
        node: text("node")?.map(VmId::new),
        event: event.to_owned(),
        cool_down: Duration::from_secs(seconds),
    })
}
