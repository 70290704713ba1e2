//! `mapek execute`: show, ask, carry out what was shown, and follow it to its end.

use std::io::IsTerminal;
use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderMap;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::config::client::{ExecuteOptions, HowOptions, Output};

use super::events::Events;
use super::http::{Client, header};
use super::problem::{Exit, Problem};
use super::progress::{Progress, say};
use super::show::{print, print_json};
use super::style::{CREATE, DELETE, paint};
use super::summary::summary;
use super::track::Track;
use super::{executions, input};

/// How often a request is sent again when its answer got lost. Its key makes sure that it is not
/// carried out twice.
const ATTEMPTS: u32 = 3;

/// Shows what a plan would do, asks, does it, and shows progress.
///
/// # Errors
///
/// When it was not begun, or did not succeed.
pub async fn execute(client: &Client, options: &ExecuteOptions, output: Output) -> Result<(), Problem> {
    carry_out(client, &input::read(&options.plan)?, &options.how, output).await
}

/// Shows what a plan would do, asks, does it, and shows progress.
///
/// # Errors
///
/// As [`execute`].
pub async fn carry_out(
    client: &Client,
    plan: &Value,
    options: &HowOptions,
    output: Output,
) -> Result<(), Problem> {
    let proposal = client.ask(Method::PUT, "/api/translate", Some(plan)).await?;
    let shown = summary(&proposal, options.stages);
    match output {
        Output::Table => print(&shown)?,
        Output::Json => say(&shown),
    }
    let changes = proposal
        .get("stages")
        .and_then(Value::as_array)
        .is_some_and(|stages| !stages.is_empty());
    if changes && !options.yes {
        input::confirm("Carry this out?")?;
    }
    // Before the execution begins, so that none of its events is missed.
    let events = Events::follow(client, None).await?;
    let begun = begin(client, options, plan, &proposal).await?;
    let id = begun
        .get("execution")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if options.detach {
        return match output {
            Output::Json => print_json(&begun),
            Output::Table => print(&format!(
                "Begun as execution {id}; mapek executions {id} shows its progress"
            )),
        };
    }
    let record = tokio::select! {
        record = follow(client, &id, events) => record?,
        _ = tokio::signal::ctrl_c() => {
            let message = format!("execution {id} goes on without you; mapek cancel stops it");
            return Err(Problem::new(Exit::Interrupted, message));
        }
    };
    tell(&record, &id, output)
}

async fn begin(
    client: &Client,
    options: &HowOptions,
    plan: &Value,
    proposal: &Value,
) -> Result<Value, Problem> {
    let mut query = Vec::new();
    if let Some(seal) = proposal.get("plan_id").and_then(Value::as_str) {
        query.push(format!("plan_id={}", utf8_percent_encode(seal, NON_ALPHANUMERIC)));
    }
    if let Some(what) = options.on_failure {
        query.push(format!("on_failure={}", what.as_str()));
    }
    if let Some(what) = options.on_shortage {
        query.push(format!("on_shortage={}", what.as_str()));
    }
    let path = match query.is_empty() {
        true => "/api/execute".to_owned(),
        false => format!("/api/execute?{}", query.join("&")),
    };
    let mut headers = HeaderMap::new();
    header(&mut headers, "prefer", "respond-async")?;
    header(&mut headers, "idempotency-key", &uuid::Uuid::now_v7().to_string())?;
    let mut attempt = 1;
    loop {
        match client
            .ask_with(Method::PUT, &path, Some(plan), headers.clone())
            .await
        {
            Err(problem) if problem.exit == Exit::Unreachable && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            result => return result,
        }
    }
}

/// Shows an execution until it has ended, and returns its record.
async fn follow(client: &Client, id: &str, mut events: Events) -> Result<Value, Problem> {
    let path = format!("/api/executions/{id}");
    let mut track = Track::new(&client.ask(Method::GET, &path, None).await?);
    let live = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    let mut progress = Progress::new(live, &track);
    let result = async {
        while track.outcome.is_none() {
            let event = events.next().await?;
            // Events are missing: the record has what they would have said.
            if event.get("event").and_then(Value::as_str) == Some("reset") {
                track = Track::new(&client.ask(Method::GET, &path, None).await?);
                continue;
            }
            if event.get("execution").and_then(Value::as_str) != Some(id) {
                continue;
            }
            if let Some(change) = track.take(&event) {
                progress.show(&track, &change);
            }
        }
        client.ask(Method::GET, &path, None).await
    }
    .await;
    progress.end();
    result.map_err(|problem| Problem {
        message: format!(
            "{}; execution {id} may go on, and mapek executions {id} shows it when the service is back",
            problem.message
        ),
        ..problem
    })
}

/// Prints how it ended.
fn tell(record: &Value, id: &str, output: Output) -> Result<(), Problem> {
    let state = record.get("state").and_then(Value::as_str).unwrap_or("unknown");
    let succeeded = state == "succeeded";
    let time = executions::seconds(record)
        .map(|seconds| format!(" in {seconds:.2} s"))
        .unwrap_or_default();
    if succeeded {
        return match output {
            Output::Json => print_json(record),
            Output::Table => print(&format!("{} execution {id}{time}", paint(CREATE, "Done:"))),
        };
    }
    let mut message = format!(
        "{} execution {id} {}{time}",
        paint(DELETE, "Not done:"),
        told(state)
    );
    if let Some(why) = record.get("replan_error").and_then(Value::as_str) {
        message.push_str(&format!(
            "\n  it can't be carried out on the VMs that are there: {why}"
        ));
    }
    for (text, why) in executions::failures(record) {
        message.push_str(&format!("\n  {text}: {why}"));
    }
    Err(Problem {
        exit: Exit::Unsuccessful,
        message,
        answer: Some(json!(record)),
    })
}

fn told(state: &str) -> &str {
    match state {
        "failed" => "has failed; what was done is kept",
        "cancelled" => "was cancelled; what was done is kept",
        "rolled_back" => "has failed, and what was done has been undone",
        "rollback_failed" => "has failed, and undoing it has failed, too",
        other => other,
    }
}
