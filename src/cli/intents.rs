//! `mapek cordon`, `uncordon`, `drain`, `migrate`, `intents`: sends intents, shows them and their progress, and takes them back.

use std::time::Duration;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::config::client::{
    DrainOptions, IntentsCommand, IntentsOptions, MigrateOptions, NodesArgument, Output,
};

use super::executions::listed;
use super::http::Client;
use super::problem::{Exit, Problem};
use super::progress::say;
use super::show::{cell, print, print_json, table};
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

/// Shows intents, or one of them, or takes one back.
///
/// # Errors
///
/// When there is none of that id, or it can't be taken back.
pub async fn intents(client: &Client, options: &IntentsOptions, output: Output) -> Result<(), Problem> {
    let path = |id: &str| format!("/api/intents/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
    let one = match (&options.command, &options.id) {
        (Some(IntentsCommand::Cancel { id }), _) => client.ask(Method::DELETE, &path(id), None).await?,
        (None, Some(id)) => client.ask(Method::GET, &path(id), None).await?,
        (None, None) => return list(client, options, output).await,
    };
    match output {
        Output::Json => print_json(&one),
        Output::Table => print(&line(&one)),
    }
}

async fn list(client: &Client, options: &IntentsOptions, output: Output) -> Result<(), Problem> {
    let filters = [
        ("limit", options.limit.map(|limit| limit.to_string())),
        ("before", options.before.clone()),
        ("state", options.state.clone()),
        ("since", options.since.clone()),
    ];
    let answer = listed(client, "/api/intents", &filters).await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    let intents = answer.get("intents").and_then(Value::as_array);
    let rows: Vec<Vec<String>> = intents.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return print("There is no such intent.");
    }
    print(&table(
        &["INTENT", "STATE", "WANTED", "BY", "TAKEN", "REASONS"],
        rows,
    ))?;
    match answer.get("next").and_then(Value::as_str) {
        Some(next) => print(&format!("There are more: --before {next} shows them.")),
        None => Ok(()),
    }
}

fn row(intent: &Value) -> Vec<String> {
    let of = |key: &str| cell(intent.get(key));
    let reasons = reasons(intent);
    vec![
        of("id"),
        of("state"),
        wanted(intent),
        of("by"),
        of("created_at"),
        if reasons.is_empty() {
            "-".to_owned()
        } else {
            reasons.join("; ")
        },
    ]
}

/// What is wanted, in a few words.
fn wanted(intent: &Value) -> String {
    let about = ["tier", "app", "node", "capacity"];
    let about = about.iter().find_map(|key| intent.get(*key));
    let kind = cell(intent.get("kind"));
    match about.filter(|about| !about.is_null()) {
        Some(about) => format!("{kind} {}", cell(Some(about))),
        None => kind,
    }
}

fn reasons(intent: &Value) -> Vec<String> {
    let reasons = intent.get("reasons").and_then(Value::as_array);
    let reasons = reasons.into_iter().flatten();
    reasons.map(|reason| cell(Some(reason))).collect()
}

/// Follows intents to their ends.
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
                Some("done" | "refused" | "failed" | "cancelled")
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
    let head = format!("{}: {}", wanted(intent), paint(CHANGE, cell(intent.get("state"))));
    let reasons = reasons(intent);
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
