//! `/api/nodes`

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::{Node, VmId};

use super::Handle;
use super::answer::Timer;

/// Every VM that could be used.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "nodes": [], "time": "0.02" }))]
#[serde(deny_unknown_fields)]
pub struct NodesShown {
    /// Ordered by name.
    nodes: Vec<Node>,
}

/// One node, and the `time` spent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "id": "vm1", "source": "hosts", "standing": "ready", "reason": null,
    "since": "2026-11-21T06:00:00Z", "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "tiers": {}, "others": { "cpu_cores": 0, "mem_units": 0 } }, "labels": {},
    "capabilities": { "arch": "amd64" }, "health": { "containers": 0 }, "epoch": null, "time": "0.02" }))]
pub struct NodeShown {
    #[serde(flatten)]
    node: Node,
}

/// The format of the answer.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = NodesFormat, example = "csv")]
pub enum Format {
    /// One JSON document.
    Json,
    /// A table of comma-separated values, with column names in the first line.
    Csv,
}

#[derive(Deserialize)]
struct Query {
    format: Option<Format>,
}

/// Every VM that could be used, wherever it comes from.
///
/// The engines are asked at that moment. One that does not answer within 5 s is `silent`, and
/// `lost` after `lost_after_s` of `self_heal`; what it said last is shown all the same. Before the
/// first topology, the list is empty.
#[utoipa::path(get, path = "/api/nodes", operation_id = "list_nodes", tag = "state",
    params(("format" = Option<Format>, Query, description = "`csv` for a spreadsheet; `json` unless given.")),
    responses((status = 200, description = "The nodes.", content(
        (NodesShown = "application/json"), (String = "text/csv")))))]
pub async fn list(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    let query = web::Query::<Query>::from_query(request.query_string());
    let format = match query {
        Ok(query) => query.format.unwrap_or(Format::Json),
        Err(_) => {
            let fault = Fault::new(Code::RequestInvalid, "format should be json or csv");
            return timer.fail(&fault);
        }
    };
    let nodes = service.nodes().await;
    match (nodes, format) {
        (Ok(nodes), Format::Csv) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
            .body(table(&nodes)),
        (nodes, _) => timer.give(nodes.map(|nodes| NodesShown { nodes })),
    }
}

/// One node.
#[utoipa::path(get, path = "/api/nodes/{id}", operation_id = "get_node", tag = "state",
    params(("id" = String, Path, description = "The node's name.")),
    responses((status = 200, description = "The node.", body = NodeShown)))]
pub async fn get(service: Handle, timer: Timer, id: web::Path<String>) -> HttpResponse {
    let node = service.node(&VmId::new(id.as_str())).await;
    timer.give(node.map(|node| NodeShown { node }))
}

/// The nodes as comma-separated values (RFC 4180).
fn table(nodes: &[Node]) -> String {
    const NAMES: [&str; 16] = [
        "id",
        "source",
        "standing",
        "reason",
        "since",
        "ip",
        "cpu_cores",
        "mem_units",
        "used_cpu_cores",
        "used_mem_units",
        "others_cpu_cores",
        "others_mem_units",
        "tiers",
        "labels",
        "capabilities",
        "epoch",
    ];
    let mut text = NAMES.join(",") + "\r\n";
    for node in nodes {
        let used = node.used.as_ref();
        let ours = used.map(|used| used.total() - used.others);
        let others = used.map(|used| used.others);
        let or_nothing = |value: Option<String>| value.unwrap_or_default();
        let tiers = used.map(|used| {
            let names: Vec<&str> = used.tiers.keys().map(|tier| tier.as_str()).collect();
            names.join(" ")
        });
        let fields = [
            node.id.to_string(),
            node.source.as_str().to_owned(),
            node.standing.as_str().to_owned(),
            or_nothing(node.reason.clone()),
            node.since.to_string(),
            or_nothing(node.ip.clone()),
            node.size.cpu.to_string(),
            node.size.mem.to_string(),
            or_nothing(ours.map(|size| size.cpu.to_string())),
            or_nothing(ours.map(|size| size.mem.to_string())),
            or_nothing(others.map(|size| size.cpu.to_string())),
            or_nothing(others.map(|size| size.mem.to_string())),
            or_nothing(tiers),
            json!(node.labels).to_string(),
            json!(node.capabilities).to_string(),
            or_nothing(node.epoch.clone()),
        ];
        let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
