//! `/api/nodes`

use std::str::FromStr;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use strum::VariantNames;
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::node::Standing;
use crate::model::{Node, VmId};
use crate::service::CutOff;

use super::Handle;
use super::answer::Timer;
use super::paging;

/// Every VM that could be used.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "nodes": [], "next": null, "cut_off": null, "time": "0.02" }))]
#[serde(deny_unknown_fields)]
pub struct NodesShown {
    /// Ordered by name.
    nodes: Vec<Node>,
    /// What to give as `after` for the page after this one; null if there is none.
    #[schema(value_type = Option<String>, example = "vm9")]
    next: Option<VmId>,
    /// If so many nodes are silent at once that this service must be cut off, so that none of them
    /// counts as lost: how many. Otherwise null.
    #[schema(example = json!(null))]
    cut_off: Option<CutOff>,
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
    format: Option<String>,
    limit: Option<String>,
    after: Option<String>,
    standing: Option<String>,
}

/// Which nodes to answer.
struct Wanted {
    format: Format,
    limit: Option<u32>,
    after: Option<VmId>,
    standing: Option<Standing>,
}

/// The most nodes that a page has.
const MOST: u32 = 100_000;

fn wanted(query: &str) -> Result<Wanted, Fault> {
    let query = web::Query::<Query>::from_query(query)
        .map_err(|error| Fault::new(Code::RequestInvalid, format!("the query can't be read: {error}")))?
        .into_inner();
    let format = match query.format.as_deref() {
        None | Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some(other) => return Err(paging::wrong("format", "json or csv", other)),
    };
    let standing = query.standing.as_deref().map(|text| {
        let should = format!("one of {}", Standing::VARIANTS.join(", "));
        Standing::from_str(text).map_err(|_| paging::wrong("standing", &should, text))
    });
    Ok(Wanted {
        format,
        limit: paging::limit(query.limit.as_deref(), MOST)?,
        after: query.after.map(|name| VmId::new(&name)),
        standing: standing.transpose()?,
    })
}

impl Wanted {
    /// The page of the nodes, which are ordered by name, and where the next page begins.
    fn page(&self, mut nodes: Vec<Node>, cut_off: Option<CutOff>) -> NodesShown {
        nodes.retain(|node| {
            self.after.as_ref().is_none_or(|after| node.id > *after)
                && self.standing.is_none_or(|standing| node.standing == standing)
        });
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        let more = nodes.len() > limit;
        nodes.truncate(limit);
        let next = nodes.last().filter(|_| more).map(|last| last.id.clone());
        NodesShown { nodes, next, cut_off }
    }
}

/// Every VM that could be used, wherever it comes from.
///
/// The engines are asked at that moment. One that does not answer within 5 s is `silent`, and
/// `lost` after `lost_after_s` of `self_heal`; what it said last is shown all the same. Before the
/// first topology, the list is empty.
#[utoipa::path(get, path = "/api/nodes", operation_id = "list_nodes", tag = "state",
    params(
        ("format" = Option<Format>, Query, description = "`csv` for a spreadsheet; `json` unless given."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100000,
            description = "So many at most; all unless given."),
        ("after" = Option<String>, Query, description = "Only nodes with names after this one."),
        ("standing" = Option<Standing>, Query, description = "Only nodes that stand so."),
    ),
    responses((status = 200, description = "The nodes.", content(
        (NodesShown = "application/json"), (String = "text/csv")))))]
pub async fn list(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    let wanted = match wanted(request.query_string()) {
        Ok(wanted) => wanted,
        Err(fault) => return timer.fail(&fault),
    };
    let nodes = service
        .nodes()
        .await
        .map(|nodes| wanted.page(nodes, service.cut_off()));
    match (nodes, wanted.format) {
        (Ok(page), Format::Csv) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
            .body(table(&page.nodes)),
        (page, _) => timer.give(page),
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
    const NAMES: [&str; 22] = [
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
        "disk_gb",
        "used_disk_gb",
        "others_disk_gb",
        "gpus",
        "used_gpus",
        "others_gpus",
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
            or_nothing(node.epoch.map(|epoch| epoch.to_string())),
            node.size.disk_gb.to_string(),
            or_nothing(ours.map(|size| size.disk_gb.to_string())),
            or_nothing(others.map(|size| size.disk_gb.to_string())),
            node.size.gpus.to_string(),
            or_nothing(ours.map(|size| size.gpus.to_string())),
            or_nothing(others.map(|size| size.gpus.to_string())),
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
