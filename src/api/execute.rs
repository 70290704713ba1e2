//! `/api/execute`

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use crate::fault::{Code, Fault};
use crate::model::topology::OnFailure;
use crate::service::{Begun, Request};

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;

/// The query of a request.
#[derive(Debug, Default, Deserialize)]
struct Query {
    on_failure: Option<String>,
}

/// Carries a plan out and answers when it has ended; at once with `Prefer: respond-async`.
pub async fn put(
    request: HttpRequest,
    service: Handle,
    timer: Timer,
    JsonBody(body): JsonBody,
) -> HttpResponse {
    let wanted = body.and_then(|plan| read(&request, plan));
    let begun = match wanted {
        Ok(wanted) => service.begin(wanted).await,
        Err(fault) => Err(fault),
    };
    match begun {
        Ok(begun) if responds_async(&request) => accepted(&timer, &begun),
        Ok(begun) => {
            let ended = begun.ended().await.success();
            timer.answer(ended.map(|ended| json!({ "execution": ended.id, "outcome": ended.outcome })))
        }
        Err(fault) => timer.fail(&fault),
    }
}

fn accepted(timer: &Timer, begun: &Begun) -> HttpResponse {
    let location = format!("/api/executions/{}", begun.id);
    let mut response = timer.send(StatusCode::ACCEPTED, json!({ "execution": begun.id }));
    if let Ok(value) = header::HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    let applied = header::HeaderValue::from_static("respond-async");
    response
        .headers_mut()
        .insert(header::HeaderName::from_static("preference-applied"), applied);
    response
}

fn read(request: &HttpRequest, plan: serde_json::Value) -> Result<Request, Fault> {
    let bad = |message: String| Fault::new(Code::RequestInvalid, message);
    let query = web::Query::<Query>::from_query(request.query_string())
        .map_err(|error| bad(format!("the query can't be read: {error}")))?;
    let on_failure = match &query.on_failure {
        None => None,
        Some(name) => Some(OnFailure::parse(name).ok_or_else(|| {
            bad(format!(
                "on_failure should be stop, rollback or continue, is {name:?}"
            ))
        })?),
    };
    let idempotency_key = match request.headers().get("idempotency-key") {
        None => None,
        Some(value) => match value.to_str() {
            Ok(key) if !key.is_empty() && key.len() <= 255 => Some(key.to_owned()),
            _ => {
                return Err(bad(
                    "Idempotency-Key should be 1 to 255 visible ASCII characters".to_owned()
                ));
            }
        },
    };
    Ok(Request {
        plan,
        on_failure,
        idempotency_key,
    })
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
