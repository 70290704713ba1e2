//! `mapek app`: one app put, shown and removed, without the whole topology.

use std::time::Duration;

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::config::client::{AppCommand, AppPutOptions, Output};

use super::http::Client;
use super::input;
use super::problem::{Exit, Problem};
use super::progress::say;
use super::show::{cell, print, print_json, table};
use super::style::{CHANGE, paint};

/// What names have besides letters and digits is sent as it is: a token that may change some apps only is held against the
/// path as it was sent.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// How often it is looked how far a request is.
const LOOK: Duration = Duration::from_millis(500);

/// Puts, shows or removes an app.
///
/// # Errors
///
/// When the service does not take it, or it is not deployed or removed.
pub async fn app(client: &Client, command: &AppCommand, output: Output) -> Result<(), Problem> {
    match command {
        AppCommand::Put(options) => put(client, options, output).await,
        AppCommand::List => list(client, output).await,
        AppCommand::Show { name } => {
            let app = client.ask(Method::GET, &path(name), None).await?;
            match output {
                Output::Json => print_json(&app),
                Output::Table => print(&told(&app)),
            }
        }
        AppCommand::Remove(options) => {
            let taken = client.ask(Method::DELETE, &path(&options.name), None).await?;
            wait(client, taken, options.detach, output).await
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/apps/{}", utf8_percent_encode(name, ESCAPED))
}

async fn put(client: &Client, options: &AppPutOptions, output: Output) -> Result<(), Problem> {
    let app = input::read(&options.file)?;
    let taken = client.ask(Method::PUT, &path(&options.name), Some(&app)).await?;
    for warning in taken
        .get("warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let (place, problem) = (cell(warning.get("path")), cell(warning.get("problem")));
        say(&format!("{} {place}: {problem}", paint(CHANGE, "warning:")));
    }
    wait(client, taken, options.detach, output).await
}

/// Shows how a request goes until it is over.
async fn followed(client: &Client, taken: Value) -> Result<Value, Problem> {
    let mut app = taken;
    let id = app.get("id").cloned();
    let place = path(&cell(app.get("app")));
    let mut shown = String::new();
    loop {
        let line = told(&app);
        if line != shown {
            say(&line);
            shown = line;
        }
        if over(&app) {
            return Ok(app);
        }
        tokio::time::sleep(LOOK).await;
        app = client.ask(Method::GET, &place, None).await?;
        if app.get("id") != id.as_ref() {
            let message = format!(
                "a newer request for the app took the place of this one: {}",
                told(&app)
            );
            return Err(Problem::new(Exit::Failed, message));
        }
    }
}

/// Follows a request to its end, where that is wanted, and shows what came of it.
async fn wait(client: &Client, taken: Value, detach: bool, output: Output) -> Result<(), Problem> {
    let app = if detach {
        taken
    } else {
        followed(client, taken).await?
    };
    if output == Output::Json {
        print_json(&app)?;
    } else if detach {
        print(&cell(app.get("id")))?;
    }
    if app.get("state").and_then(Value::as_str) == Some("failed") {
        return Err(Problem::new(Exit::Failed, told(&app)));
    }
    Ok(())
}

fn over(app: &Value) -> bool {
    let state = app.get("state").and_then(Value::as_str);
    matches!(state, Some("deployed" | "failed" | "removed"))
}

/// How far an app is, in a line.
fn told(app: &Value) -> String {
    let reasons = app.get("reasons").and_then(Value::as_array);
    let reasons: Vec<String> = reasons.into_iter().flatten().map(|why| cell(Some(why))).collect();
    let state = paint(CHANGE, cell(app.get("state")));
    let head = format!("app {}: {state}", cell(app.get("app")));
    if reasons.is_empty() {
        head
    } else {
        format!("{head}: {}", reasons.join("; "))
    }
}

async fn list(client: &Client, output: Output) -> Result<(), Problem> {
    let answer = client.ask(Method::GET, "/api/apps", None).await?;
    if output == Output::Json {
        return print_json(&answer);
    }
    let apps = answer.get("apps").and_then(Value::as_array);
    let row = |app: &Value| {
        let of = |key: &str| cell(app.get(key));
        let sizes = app.get("holds").and_then(Value::as_object);
        let sizes = sizes.into_iter().flatten().map(|(tier, size)| {
            let part = |key: &str| cell(size.get(key));
            format!("{tier} {}/{}", part("cpu_cores"), part("mem_units"))
        });
        let sizes: Vec<String> = sizes.collect();
        let sizes = if sizes.is_empty() {
            "-".to_owned()
        } else {
            sizes.join(", ")
        };
        vec![of("app"), of("state"), of("by"), sizes]
    };
    let rows: Vec<Vec<String>> = apps.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return print("No app was put by a request yet.");
    }
    print(&table(&["APP", "STATE", "BY", "TIERS (CORES/MEM UNITS)"], rows))
}
