//! `/api/topology`

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::topology::{App, Infrastructure};
use crate::model::{Topology, Warning};

use super::answer::Timer;
use super::body::JsonBody;
use super::by::Asked;
use super::{Handle, tags};

/// The topology as it was put, its secrets as `***`; only `time` before the first.
#[derive(ToSchema)]
#[schema(example = json!({ "infrastructure": { "cpu_cores": 2, "mem_units": 8 }, "apps": [], "time": "0.00" }))]
#[expect(dead_code, reason = "it is served as text that was made before")]
pub struct TopologyShown {
    /// Where VMs come from, and what one has.
    infrastructure: Option<Infrastructure>,
    /// The apps.
    apps: Option<Vec<App>>,
}

/// A topology was taken.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "generation": 3, "warnings": [], "time": "0.01" }))]
#[serde(deny_unknown_fields)]
pub struct TopologyTaken {
    /// How often the topology has changed: one that is put again as it is changes nothing.
    #[schema(example = 3)]
    generation: u64,
    /// What its author should know.
    warnings: Vec<Warning>,
}

/// The topology as it was put, `{}` before that. Never a secret.
///
/// With `If-None-Match`, 304 if the client already has it.
#[utoipa::path(get, path = "/api/topology", operation_id = "get_topology", tag = "state",
    params(
        ("generation" = Option<u64>, Query,
            description = "The topology of that generation; the last 100 are kept. The newest unless given."),
        ("If-None-Match" = Option<String>, Header, description = "Tags that the client has."),
    ),
    responses(
        (status = 200, description = "The topology.", body = TopologyShown,
            headers(("ETag" = String, description = "Changes when the topology does."))),
        (status = 304, description = "The client already has it.")))]
pub async fn get(
    request: HttpRequest,
    query: web::Query<Query>,
    service: Handle,
    timer: Timer,
) -> HttpResponse {
    match query.generation() {
        Ok(None) => timer.document(&request, service.snapshot().topology_document()),
        Ok(Some(generation)) => timer.answer(service.topology_of(generation).await),
        Err(fault) => timer.fail(&fault),
    }
}

/// Which topology.
#[derive(Debug, Default, Deserialize)]
pub struct Query {
    generation: Option<String>,
}

impl Query {
    fn generation(&self) -> Result<Option<u64>, Fault> {
        let number = self.generation.as_deref().map(|text| {
            text.parse::<u64>().map_err(|_| {
                let message = format!("generation should be a whole number, is {text:?}");
                Fault::new(Code::RequestInvalid, message)
            })
        });
        number.transpose()
    }
}

/// Checks a whole topology and puts it in place of the one before.
///
/// All problems are reported at once, each with its JSON path. With `If-Match`, it only replaces
/// the topology with that tag.
#[utoipa::path(put, path = "/api/topology", operation_id = "put_topology", tag = "state",
    params(
        ("generation" = Option<u64>, Query,
            description = "Puts the topology of that generation again, secrets included; the body is ignored."),
        ("If-Match" = Option<String>, Header, description = "The tag of the topology to be replaced."),
    ),
    request_body(content = Topology, content_type = "application/json"),
    responses((status = 200, description = "It was put.", body = TopologyTaken,
        headers(("ETag" = String, description = "The tag of the one that was put.")))))]
pub async fn put(
    request: HttpRequest,
    query: web::Query<Query>,
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    JsonBody(body): JsonBody,
) -> HttpResponse {
    let seen = tags::if_match(&request);
    let result = match (query.generation(), body) {
        (Ok(Some(generation)), _) => service.put_topology_of(generation, seen, by).await,
        (Ok(None), Ok(document)) => service.put_topology(as_put(document), seen, by).await,
        (Err(fault), _) | (_, Err(fault)) => Err(fault),
    };
    let put = match result {
        Ok(put) => put,
        Err(fault) => return timer.fail(&fault),
    };
    let mut response = timer.give(Ok(TopologyTaken {
        generation: put.generation,
        warnings: put.warnings,
    }));
    if let Ok(tag) = header::HeaderValue::from_str(&put.tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Without the `time` that every answer has, so that a topology which is read and put back stays
/// the same.
fn as_put(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut()
        && members.get("time").is_some_and(Value::is_string)
    {
        members.shift_remove("time");
    }
    document
}
