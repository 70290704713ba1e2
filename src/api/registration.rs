//! `PUT` and `DELETE /api/nodes/{id}`: machines register themselves, and say again and again that they are there.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::VmId;
use crate::model::topology::Scalar;
use crate::service::Welcome;

use super::Handle;
use super::answer::Timer;
use super::body::JsonBody;
use super::by::{Asked, OnlyNode};

/// What a node says of itself. What a refresh leaves out stays as it was; a new epoch says everything anew.
#[derive(ToSchema)]
#[schema(as = NodeRegistration, example = json!({ "endpoint": "tcp://10.0.0.7:2375", "ip": "10.0.0.7",
    "epoch": 1790000000000_u64, "refresh_s": 10, "labels": { "zone": "a" },
    "capabilities": { "arch": "arm64", "cores": 4, "memory_mb": 7800 }, "health": { "load_1m": 0.4 } }))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is of interest; the model reads it")]
pub struct Said {
    /// Its engine: `tcp://IP:2375`, `https://IP:2376` or `ssh://user@IP`; `unix:///…` where it is on this service's
    /// machine, which takes a token with the role `write`. Needed when it registers.
    #[schema(
        pattern = r"^(unix:///|tcp://|http://|https://|ssh://)\S+$",
        example = "tcp://10.0.0.7:2375"
    )]
    endpoint: Option<String>,
    /// The address at which its published ports are reached; that of the endpoint unless given.
    #[schema(format = "ipv4", example = "10.0.0.7")]
    ip: Option<String>,
    /// Which start of its agent this is: a later one has a larger number.
    #[schema(
        minimum = 0,
        maximum = 9_007_199_254_740_991_u64,
        example = 1_790_000_000_000_u64
    )]
    epoch: u64,
    /// It promises to come again within so many seconds; 10 unless given.
    #[schema(minimum = 1, maximum = 3600, example = 10)]
    refresh_s: Option<u32>,
    /// Cores that it offers; `cores` of its capabilities unless given.
    #[schema(minimum = 0, maximum = 10000, example = 4)]
    cpu_cores: Option<f64>,
    /// Memory units that it offers; what `memory_mb` of its capabilities comes to unless given.
    #[schema(minimum = 1, maximum = 1_000_000, example = 16)]
    mem_units: Option<u32>,
    /// Its labels: 64 at most.
    #[schema(example = json!({ "zone": "a" }))]
    labels: Option<BTreeMap<String, Scalar>>,
    /// What it is able to do: texts, numbers, true or false, and lists and objects of these; 64 at most.
    #[schema(example = json!({ "arch": "arm64", "cores": 4, "memory_mb": 7800 }))]
    capabilities: Option<BTreeMap<String, Value>>,
    /// How it does: the same.
    #[schema(example = json!({ "load_1m": 0.4 }))]
    health: Option<BTreeMap<String, Value>>,
}

/// Registers a node, or says that it is still there.
///
/// Needs a topology with `"cloud_driver": {"nodes": {}}`, or none yet. The answer says when to come again: a node
/// that does not is `silent`, and `lost` after `lost_after_s` of `self_heal`. A refresh takes no more than the epoch, and
/// what has changed. A new start of the node's agent takes a larger epoch; the older one is refused from then on. A
/// token of the role `node` may do this for its own node, and nothing else.
#[utoipa::path(put, path = "/api/nodes/{id}", operation_id = "register_node", tag = "state",
    params(("id" = String, Path, description = "The node's name.")),
    request_body(content = Said, content_type = "application/json"),
    responses((status = 200, description = "It is registered.", body = Welcome)))]
pub async fn put(
    service: Handle,
    timer: Timer,
    id: web::Path<String>,
    (Asked(by), OnlyNode(own)): (Asked, OnlyNode),
    JsonBody(body): JsonBody,
) -> HttpResponse {
    let welcome = match body {
        Ok(said) => service.register(&id, &said, own, by).await,
        Err(fault) => Err(fault),
    };
    timer.give(welcome)
}

#[derive(Deserialize)]
struct Query {
    epoch: Option<String>,
}

/// Lets a node leave.
///
/// With nothing of ours on it, it is forgotten. Otherwise it is `leaving` until that is elsewhere: where `self_heal`
/// says so, it is moved away as long as the node's engine answers, and placed anew where it does not.
#[utoipa::path(delete, path = "/api/nodes/{id}", operation_id = "unregister_node", tag = "state",
    params(
        ("id" = String, Path, description = "The node's name."),
        ("epoch" = Option<u64>, Query, description = "The start of the agent that leaves: where a later one has registered, nothing is done."),
    ),
    responses((status = 200, description = "It has left.")))]
pub async fn delete(
    request: HttpRequest,
    service: Handle,
    timer: Timer,
    id: web::Path<String>,
    Asked(by): Asked,
) -> HttpResponse {
    let left = match epoch(request.query_string()) {
        Ok(epoch) => service.leave_node(&VmId::new(&id), epoch, by).await,
        Err(fault) => Err(fault),
    };
    timer.answer(left.map(|()| json!({})))
}

fn epoch(query: &str) -> Result<Option<u64>, Fault> {
    let wrong = || Fault::new(Code::RequestInvalid, "epoch should be a whole number");
    let query = web::Query::<Query>::from_query(query)
        .map_err(|_| wrong())?
        .into_inner();
    query
        .epoch
        .map(|text| text.parse().map_err(|_| wrong()))
        .transpose()
}
