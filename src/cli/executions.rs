//! `mapek executions`, `cancel`, `resume`, `rollback`, `events`: what happened, and what happens.

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use uuid::Uuid;

use crate::config::client::{EventsOptions, ExecutionArgument, ExecutionsOptions, Output};

use super::events::Events;
use super::http::Client;
use super::problem::{Exit, Problem, written};
use super::show::{cell, print, print_json, table};
use super::style::{CHANGE, CREATE, DELETE, FAINT, STRONG, paint};

/// Shows the history, or one execution.
///
/// # Errors
///
/// When there is none of that id.
pub async fn executions(client: &Client, options: &ExecutionsOptions, output: Output) -> Result<(), Problem> {
    let Some(id) = &options.id else {
        return history(client, options, output).await;
    };
    let id = if id == "last" {
        newest(client).await?
    } else {
        parse(id)?
    };
    let record = client
        .ask(Method::GET, &format!("/api/executions/{id}"), None)
        .await?;
    if output == Output::Json {
        return print_json(&record);
    }
    print(&paint(
        STRONG,
        format!("execution {id}: {}", cell(record.get("state"))),
    ))?;
    let time = seconds(&record)
        .map(|seconds| format!(", took {seconds:.2} s"))
        .unwrap_or_default();
    print(&format!("began {}{time}", cell(record.get("created_at"))))?;
    let mut rows = Vec::new();
    for (key, name) in [
        ("stages", "stage"),
        ("replanned_stages", "anew"),
        ("rollback_stages", "back"),
    ] {
        let stages = record.get(key).and_then(Value::as_array);
        for (index, stage) in stages.into_iter().flatten().enumerate() {
            for action in stage.as_array().into_iter().flatten() {
                let took =
                    between(action, "started_at").map_or_else(|| "-".to_owned(), |took| format!("{took:.2}"));
                let tries = cell(action.get("attempts"));
                let row = [
                    format!("{name} {}", index + 1),
                    cell(action.get("state")),
                    tries,
                    took,
                ];
                rows.push(row.into_iter().chain([cell(action.get("text"))]).collect());
            }
        }
    }
    if !rows.is_empty() {
        print(&table(&["STAGE", "STATE", " TRIES", " SECONDS", "ACTION"], rows))?;
    }
    if let Some(why) = record.get("replan_error").and_then(Value::as_str) {
        print(&format!("{} {why}", paint(DELETE, "not placed again:")))?;
    }
    for (text, why) in failures(&record) {
        print(&format!("{} {text}: {why}", paint(DELETE, "failed:")))?;
    }
    Ok(())
}

/// Shows a page of the history.
async fn history(client: &Client, options: &ExecutionsOptions, output: Output) -> Result<(), Problem> {
    let limit = options.limit.map(|limit| limit.to_string());
    let filters = [
        ("limit", limit),
        ("before", options.before.clone()),
        ("state", options.state.clone()),
        ("since", options.since.clone()),
    ];
    let answer = listed(client, "/api/executions", &filters).await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    let rows: Vec<Vec<String>> = list(&answer).iter().map(line).collect();
    if rows.is_empty() {
        let all = filters.iter().all(|(_, value)| value.is_none());
        return print(if all {
            "No executions yet."
        } else {
            "There is no such execution."
        });
    }
    let heads = ["EXECUTION", "STATE", " ACTIONS", "BEGAN", " SECONDS"];
    print(&table(&heads, rows))?;
    match answer.get("next").and_then(Value::as_str) {
        Some(next) => print(&format!("There are more: --before {next} shows them.")),
        None => Ok(()),
    }
}

/// Asks for the entries of a list that match.
///
/// # Errors
///
/// When the service answers with an error.
pub async fn listed(
    client: &Client,
    list: &str,
    filters: &[(&str, Option<String>)],
) -> Result<Value, Problem> {
    let given = filters.iter().filter_map(|(name, value)| {
        let value = value.as_deref()?;
        Some(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
    });
    let query: Vec<String> = given.collect();
    let path = match query.is_empty() {
        true => list.to_owned(),
        false => format!("{list}?{}", query.join("&")),
    };
    client.ask(Method::GET, &path, None).await
}

fn line(execution: &Value) -> Vec<String> {
    let of = |key: &str| cell(execution.get(key));
    let took = seconds(execution).map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}"));
    let actions = format!("{}/{}", of("actions_done"), of("actions"));
    vec![of("id"), of("state"), actions, of("created_at"), took]
}

/// How long an execution took.
#[must_use]
pub fn seconds(record: &Value) -> Option<f64> {
    between(record, "created_at")
}

fn between(value: &Value, from: &str) -> Option<f64> {
    let time = |key: &str| value.get(key)?.as_str()?.parse::<jiff::Timestamp>().ok();
    Some(time("finished_at")?.duration_since(time(from)?).as_secs_f64())
}

/// The actions that failed, and why.
pub fn failures(record: &Value) -> Vec<(String, String)> {
    let stages = ["stages", "replanned_stages", "rollback_stages"]
        .into_iter()
        .filter_map(|key| record.get(key)?.as_array());
    let actions = stages.flatten().filter_map(Value::as_array).flatten();
    actions
        .filter(|action| action.get("state").and_then(Value::as_str) == Some("failed"))
        .map(|action| (cell(action.get("text")), cell(action.get("error"))))
        .collect()
}

/// Asks for an execution to be stopped, or to be taken up.
///
/// # Errors
///
/// When there is none, or it has ended.
pub async fn direct(
    client: &Client,
    options: &ExecutionArgument,
    what: &str,
    output: Output,
) -> Result<(), Problem> {
    let id = match &options.id {
        Some(id) => parse(id)?,
        None => running(client).await?,
    };
    let answer = client
        .ask(Method::POST, &format!("/api/executions/{id}/{what}"), None)
        .await?;
    match output {
        Output::Json => print_json(&answer),
        Output::Table => print(&format!("Asked for: {what} of execution {id}")),
    }
}

/// Follows events, until Ctrl-C or until nobody reads any more.
///
/// # Errors
///
/// When the service stays away.
pub async fn events(client: &Client, options: &EventsOptions, output: Output) -> Result<(), Problem> {
    let wanted = options
        .execution
        .as_deref()
        .map(parse)
        .transpose()?
        .map(|id| id.to_string());
    let mut events = Events::follow(client, options.after).await?;
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        if wanted.is_some() && event.get("execution").and_then(Value::as_str) != wanted.as_deref() {
            continue;
        }
        let text = match output {
            Output::Json => event.to_string(),
            Output::Table => told(&event),
        };
        let result = std::io::Write::write_fmt(&mut anstream::stdout(), format_args!("{text}\n"));
        if result
            .as_ref()
            .is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
        {
            return Ok(());
        }
        written(result)?;
    }
}

/// An event as a line: number, time, kind, and what else it has.
fn told(event: &Value) -> String {
    let of = |key: &str| cell(event.get(key));
    let kind = of("event");
    let style = match kind.as_str() {
        "action_failed" | "drift" | "action_skipped" | "replan_failed" | "reset" => DELETE,
        "attempt_failed" | "replanned" | "rollback_begun" | "resumed" => CHANGE,
        "action_succeeded" | "drift_over" => CREATE,
        _ => STRONG,
    };
    let known = ["id", "at", "event"];
    let rest = event
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !known.contains(&key.as_str()));
    let rest: Vec<String> = rest
        .map(|(key, value)| format!("{key}={}", cell(Some(value))))
        .collect();
    format!(
        "{:>6}  {}  {}  {}",
        of("id"),
        paint(FAINT, of("at")),
        paint(style, kind),
        rest.join(" ")
    )
}

fn list(answer: &Value) -> &[Value] {
    answer
        .get("executions")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

async fn newest(client: &Client) -> Result<Uuid, Problem> {
    let answer = listed(client, "/api/executions", &[("limit", Some("1".to_owned()))]).await?;
    let none = || Problem::new(Exit::Refused, "there are no executions yet");
    parse(&cell(Some(
        list(&answer)
            .first()
            .and_then(|first| first.get("id"))
            .ok_or_else(none)?,
    )))
}

async fn running(client: &Client) -> Result<Uuid, Problem> {
    // One at a time: the newest, or none.
    let answer = listed(client, "/api/executions", &[("limit", Some("1".to_owned()))]).await?;
    let unfinished = |execution: &&Value| {
        let state = execution.get("state").and_then(Value::as_str);
        matches!(state, Some("running" | "held"))
    };
    let running = list(&answer).iter().find(unfinished);
    match running.and_then(|execution| execution.get("id")) {
        Some(id) => parse(&cell(Some(id))),
        None => Err(Problem::new(Exit::Conflict, "no execution is running")),
    }
}

fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse()
        .map_err(|_| Problem::new(Exit::Usage, format!("{id:?} is not the id of an execution")))
}
