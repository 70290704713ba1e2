//! `mapek nodes`, `candidates`: every VM that could be used, and which of them could take a tier.

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::config::client::{CandidatesOptions, NodesOptions, Output};

use super::http::Client;
use super::problem::Problem;
use super::show::{cell, further, objects, print, print_json, table};
use super::style::{CHANGE, DELETE, number, paint};

/// Shows the nodes, or one of them.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn nodes(client: &Client, options: &NodesOptions, output: Output) -> Result<(), Problem> {
    let answer = match &options.id {
        None => client.ask(Method::GET, "/api/nodes", None).await?,
        Some(id) => {
            let path = format!("/api/nodes/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
            client.ask(Method::GET, &path, None).await?
        }
    };
    if output == Output::Json {
        return print_json(&answer);
    }
    if options.id.is_some() {
        return one(&answer);
    }
    let nodes = answer.get("nodes").and_then(Value::as_array);
    let further = further(&answer);
    let rows: Vec<Vec<String>> = nodes
        .into_iter()
        .flatten()
        .map(|node| row(node, &further))
        .collect();
    if rows.is_empty() {
        return print("There is no node: no topology was put yet, or its source has none.");
    }
    let mut head = vec!["NODE", "STANDING", "ADDRESS", " CPU CORES", " MEM UNITS"];
    head.extend(further.iter().map(|(_, name)| *name));
    head.extend(["TIERS", "LABELS", "ARCH"]);
    print(&table(&head, rows))
}

/// Shows which nodes could take a tier, and why the others could not.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn candidates(client: &Client, options: &CandidatesOptions, output: Output) -> Result<(), Problem> {
    let mut question = Map::new();
    question.insert("tier".to_owned(), options.tier.clone().into());
    if let Some(cores) = options.cpu_cores {
        question.insert("cpu_cores".to_owned(), cores.into());
    }
    if let Some(units) = options.mem_units {
        question.insert("mem_units".to_owned(), units.into());
    }
    for (name, amount) in [("disk_gb", options.disk_gb), ("gpus", options.gpus)] {
        if let Some(amount) = amount {
            question.insert(name.to_owned(), amount.into());
        }
    }
    let question = Value::Object(question);
    let answer = client
        .ask(Method::POST, "/api/candidates", Some(&question))
        .await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    let list = |key: &str| answer.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut rows = Vec::new();
    for node in list("candidates") {
        let room = |key: &str| cell(node.pointer(&format!("/room/{key}")));
        rows.push(vec![
            cell(node.get("node")),
            "yes".to_owned(),
            cell(node.get("score")),
            room("cpu_cores"),
            room("mem_units"),
            "-".to_owned(),
        ]);
    }
    for node in list("rejected") {
        let reasons = node.get("reasons").and_then(Value::as_array);
        let reasons: Vec<String> = reasons
            .into_iter()
            .flatten()
            .map(|reason| cell(Some(reason)))
            .collect();
        let nothing = || "-".to_owned();
        rows.push(vec![
            cell(node.get("node")),
            paint(DELETE, "no"),
            nothing(),
            nothing(),
            nothing(),
            reasons.join("; "),
        ]);
    }
    if rows.is_empty() {
        return print("There is no node.");
    }
    print(&table(
        &[
            "NODE",
            "COULD",
            " SCORE",
            " FREE CORES",
            " FREE MEM UNITS",
            "WHY NOT",
        ],
        rows,
    ))
}

fn row(node: &Value, further: &[(&str, &str)]) -> Vec<String> {
    let text = |key: &str| cell(node.get(key));
    // What is left out is none.
    let has = |key: &str| {
        node.get(key)
            .map_or_else(|| "0".to_owned(), |size| cell(Some(size)))
    };
    let tiers = || node.pointer("/used/tiers").into_iter().flat_map(objects);
    let share = |key: &str| match node.get("used") {
        Some(used) if used.is_object() => {
            let of = |size: &Map<String, Value>| size.get(key).and_then(Value::as_f64).unwrap_or_default();
            let ours: f64 = tiers().map(|(_, size)| of(size)).sum();
            let others = used.get("others").and_then(Value::as_object);
            let others = others.map(of).unwrap_or_default();
            format!("{}/{}", number(ours + others), has(key))
        }
        _ => format!("?/{}", has(key)),
    };
    let names: Vec<String> = tiers().map(|(name, _)| name.clone()).collect();
    let mut row = vec![
        text("id"),
        standing(node),
        text("ip"),
        share("cpu_cores"),
        share("mem_units"),
    ];
    row.extend(further.iter().map(|(key, _)| share(key)));
    row.extend([
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(", ")
        },
        labels(node.get("labels")),
        cell(node.pointer("/capabilities/arch")),
    ]);
    row
}

/// Its standing in a colour, so that nodes that can't be used stand out.
fn standing(node: &Value) -> String {
    let text = cell(node.get("standing"));
    match text.as_str() {
        "ready" => text,
        "silent" | "lost" | "leaving" => paint(DELETE, text),
        _ => paint(CHANGE, text),
    }
}

fn labels(labels: Option<&Value>) -> String {
    let labels: Vec<String> = labels
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| match value.as_str() {
            Some("") => name.clone(),
            _ => format!("{name}={}", cell(Some(value))),
        })
        .collect();
    if labels.is_empty() {
        "-".to_owned()
    } else {
        labels.join(", ")
    }
}

fn one(node: &Value) -> Result<(), Problem> {
    let mut rows = Vec::new();
    let fields = node.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, _)| *name != "time") {
        match value {
            Value::Object(fields) if name != "labels" => {
                for (inner, value) in fields {
                    let value = match value {
                        Value::Object(_) | Value::Array(_) => value.to_string(),
                        value => cell(Some(value)),
                    };
                    rows.push(vec![format!("{name}.{inner}"), value]);
                }
            }
            Value::Object(_) => rows.push(vec![name.clone(), labels(Some(value))]),
            value => rows.push(vec![name.clone(), cell(Some(value))]),
        }
    }
    print(&table(&["FIELD", "VALUE"], rows))
}
