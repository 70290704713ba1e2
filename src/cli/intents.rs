//! `mapek cordon`, `uncordon`, `drain`, `migrate`: sends intents, and shows their progress.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::config::client::{DrainOptions, MigrateOptions, NodesArgument, Output};

use super::http::Client;
use super::problem::{Exit, Problem};
use super::progress::say;
use super::show::{cell, print, print_json};
use super::style::{CHANGE, paint};

/// The pause between two looks at an intent.
const LOOK: Duration = Duration::from_millis(500);

/// Cordons nodes, or uncordons them.
///
/// # Errors
///
/// When the service refuses one of them.
pub async fn cordon(
    client: &Client,
    kind: &str,
    nodes: &NodesArgument,
    output: Output,
) -> Result<(), Problem> {
    let mut answers = Vec::new();
    for node in &nodes.nodes {
        let wanted = json!({ "kind": kind, "node": node });
        let answer = client.ask(Method::POST, "/api/intents", Some(&wanted)).await?;
        if output == Output::Table {
            let done = match kind {
                "cordon" => "takes nothing new",
                _ => "may be used again",
            };
            print(&format!("{node} {done}"))?;
        }
        answers.push(answer);
    }
    finish(answers, output)
}

/// Drains nodes.
///
/// # Errors
///
/// When one is not drained.
pub async fn drain(client: &Client, options: &DrainOptions, output: Output) -> Result<(), Problem> {
    // All are sent before the first begins, so that nothing is moved from one of them to another.
    let mut taken = Vec::new();
    for node in &options.nodes {
        let wanted = json!({ "kind": "cordon", "node": node });
        client.ask(Method::POST, "/api/intents", Some(&wanted)).await?;
    }
    for node in &options.nodes {
        let wanted = json!({ "kind": "drain", "node": node });
        taken.push(client.ask(Method::POST, "/api/intents", Some(&wanted)).await?);
    }
    wait_for(client, taken, options.detach, output).await
}

/// Moves a container of a tier.
///
/// # Errors
///
/// When it is not moved.
pub async fn migrate(client: &Client, options: &MigrateOptions, output: Output) -> Result<(), Problem> {
    let to = match options.to_where.as_deref() {
        Some(expression) => json!(expression),
        None => json!(options.to),
    };
    let mut wanted = json!({ "kind": "migrate", "tier": options.tier, "to": to });
    if let (Some(from), Some(fields)) = (&options.from, wanted.as_object_mut()) {
        fields.insert("from".to_owned(), json!(from));
    }
    let taken = client.ask(Method::POST, "/api/intents", Some(&wanted)).await?;
    wait_for(client, vec![taken], options.detach, output).await
}

/// Follows intents to their end.
async fn wait_for(client: &Client, taken: Vec<Value>, detach: bool, output: Output) -> Result<(), Problem> {
    if detach {
        if output == Output::Table {
            for intent in &taken {
                print(&cell(intent.get("id")))?;
            }
        }
        return finish(taken, output);
    }
    let mut ended = Vec::new();
    for intent in taken {
        let path = format!("/api/intents/{}", cell(intent.get("id")));
        let mut told = String::new();
        let intent = loop {
            let now = client.ask(Method::GET, &path, None).await?;
            let line = line(&now);
            if line != told {
                say(&line);
                told = line;
            }
            if matches!(
                now.get("state").and_then(Value::as_str),
                Some("done" | "refused" | "failed")
            ) {
                break now;
            }
            tokio::time::sleep(LOOK).await;
        };
        ended.push(intent);
    }
    let missed: Vec<String> = ended
        .iter()
        .filter(|intent| intent.get("state").and_then(Value::as_str) != Some("done"))
        .map(line)
        .collect();
    finish(ended, output)?;
    if missed.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(Exit::Failed, missed.join("\n")))
    }
}

fn line(intent: &Value) -> String {
    let about = match intent.get("tier") {
        Some(tier) => cell(Some(tier)),
        None => cell(intent.get("node")),
    };
    let state = cell(intent.get("state"));
    let reasons = intent.get("reasons").and_then(Value::as_array);
    let reasons: Vec<String> = reasons
        .into_iter()
        .flatten()
        .map(|reason| cell(Some(reason)))
        .collect();
    let head = format!("{} {about}: {}", cell(intent.get("kind")), paint(CHANGE, state));
    if reasons.is_empty() {
        head
    } else {
        format!("{head}: {}", reasons.join("; "))
    }
}

fn finish(answers: Vec<Value>, output: Output) -> Result<(), Problem> {
    if output == Output::Json {
        return print_json(&json!(answers));
    }
    Ok(())
}
