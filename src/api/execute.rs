//! `/api/execute`

use std::str::FromStr;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use strum::VariantNames;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::execute::{By, Outcome};
use crate::fault::{Code, Fault};
use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{Plan, alternatives};
use crate::service::{Begun, Request, Tags};

use super::Handle;
use super::answer::Timer;
use super::body::PlanBody;
use super::by::Asked;
use super::executions::Accepted;

/// An execution that has succeeded.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "execution": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "outcome": "succeeded", "time": "3.06" }))]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Its id.
    #[schema(value_type = String, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    execution: Uuid,
    /// How it ended. Any other end is answered as an error.
    #[schema(value_type = Outcome)]
    outcome: Option<Outcome>,
}

use super::tags;

/// The query of a request.
#[derive(Debug, Default, Deserialize)]
struct Query {
    on_failure: Option<String>,
    on_shortage: Option<String>,
    plan_id: Option<String>,
}

/// Carries a plan out and answers when the execution has ended.
///
/// The execution goes on if the client disconnects. One runs at a time.
#[utoipa::path(method(put, post), path = "/api/execute", operation_id = "execute", tag = "plans",
    params(
        ("plan_id" = Option<String>, Query, min_length = 1,
            description = "The sealed plan to carry out as it was shown; the body may then be empty."),
        ("on_failure" = Option<OnFailure>, Query,
            description = "What to do when an action fails for good; without it, the topology decides."),
        ("on_shortage" = Option<OnShortage>, Query,
            description = "What to do when fewer VMs come than are asked for; without it, the topology decides. \
                With `replan`, a sealed plan may be placed in another way than was shown."),
        ("If-Match" = Option<String>, Header, description = "The same as plan_id, in double quotes."),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "The same request under the same key is carried out once."),
        ("Prefer" = Option<String>, Header, description = "`respond-async` is answered at once with 202."),
    ),
    request_body(content = Plan, content_type = "application/json"),
    responses(
        (status = 200, description = "It was carried out.", body = Ended),
        (status = 202, description = "It has begun.", body = Accepted,
            headers(("Location" = String, description = "Where to look for it.")))))]
pub async fn put(
    request: HttpRequest,
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    PlanBody(body): PlanBody,
) -> HttpResponse {
    let wanted = body.and_then(|plan| read(&request, plan, by));
    let begun = match wanted {
        Ok(wanted) => service.begin(wanted).await,
        Err(fault) => Err(fault),
    };
    match begun {
        Ok(begun) if responds_async(&request) => accepted(&timer, &begun),
        Ok(begun) => {
            let ended = begun.ended().await.success();
            timer.give(ended.map(|ended| Ended {
                execution: ended.id,
                outcome: ended.outcome,
            }))
        }
        Err(fault) => timer.fail(&fault),
    }
}

fn accepted(timer: &Timer, begun: &Begun) -> HttpResponse {
    let location = format!("/api/executions/{}", begun.id);
    let mut response = timer.send(StatusCode::ACCEPTED, json!(Accepted { execution: begun.id }));
    if let Ok(value) = header::HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    let applied = header::HeaderValue::from_static("respond-async");
    response
        .headers_mut()
        .insert(header::HeaderName::from_static("preference-applied"), applied);
    response
}

/// One of a few names, if it is given.
fn choice<T: FromStr + VariantNames>(parameter: &str, name: Option<&str>) -> Result<Option<T>, Fault> {
    let read = |name: &str| {
        name.parse().map_err(|_| {
            let names = alternatives(T::VARIANTS);
            let message = format!("{parameter} should be {names}, is {name:?}");
            Fault::new(Code::RequestInvalid, message)
        })
    };
    name.map(read).transpose()
}

fn read(request: &HttpRequest, plan: Option<serde_json::Value>, by: By) -> Result<Request, Fault> {
    let bad = |message: String| Fault::new(Code::RequestInvalid, message);
    let query = web::Query::<Query>::from_query(request.query_string())
        .map_err(|error| bad(format!("the query can't be read: {error}")))?;
    let on_failure = choice("on_failure", query.on_failure.as_deref())?;
    let on_shortage = choice("on_shortage", query.on_shortage.as_deref())?;
    let idempotency_key = match request.headers().get("idempotency-key") {
        None => None,
        Some(value) => match value.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Some(key.to_owned())
            }
            _ => {
                return Err(bad(
                    "Idempotency-Key should be 1 to 255 visible ASCII characters".to_owned()
                ));
            }
        },
    };
    Ok(Request {
        plan,
        plan_id: plan_id(request, query.into_inner().plan_id)?,
        by,
        on_failure,
        on_shortage,
        idempotency_key,
        ..Request::default()
    })
}

/// The sealed plan that is wanted: in the query, or as the only tag of `If-Match`.
fn plan_id(request: &HttpRequest, query: Option<String>) -> Result<Option<String>, Fault> {
    let bad = |message: &str| Err(Fault::new(Code::RequestInvalid, message));
    let header = match tags::if_match(request) {
        None => None,
        Some(Tags::These(tags)) if tags.len() == 1 => tags.into_iter().next(),
        Some(_) => return bad("If-Match should be one plan_id, in double quotes"),
    };
    let header = header.map(|tag| tag.trim_matches('"').to_owned());
    match (query, header) {
        (Some(query), Some(header)) if query != header => {
            bad("plan_id and If-Match name two plans; send one of them")
        }
        (query, header) => match query.or(header) {
            Some(id) if id.is_empty() => {
                bad("plan_id is empty; it should be the one that translate answered")
            }
            id => Ok(id),
        },
    }
}

fn responds_async(request: &HttpRequest) -> bool {
    let preferences = request
        .headers()
        .get_all("prefer")
        .filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().eq_ignore_ascii_case("respond-async"))
}
