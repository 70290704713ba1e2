//! `mapek solve`: a what-if without a service, unless one is asked for.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::config::SolveOptions;
use crate::config::client::Output;
use crate::service::what_if;

use super::http::Client;
use super::input;
use super::problem::{Exit, Problem};
use super::show::{print, print_json};
use super::summary::summary;

/// Reads the question and writes the answer to standard output.
///
/// # Errors
///
/// When the question can't be read or has no solution.
pub async fn solve(
    options: &SolveOptions,
    client: Option<&Client>,
    output: Option<Output>,
) -> Result<(), Problem> {
    let file = options
        .file
        .as_deref()
        .unwrap_or_else(|| std::path::Path::new("-"));
    let mut question = input::read(file)?;
    if let Some(fields) = question.as_object_mut() {
        if let Some(deadline) = options.deadline_ms {
            fields.insert("deadline_ms".to_owned(), json!(deadline));
        }
        if options.exact {
            fields.insert("exact".to_owned(), json!(true));
        }
    }
    let answer = match client {
        Some(client) => client.ask(Method::POST, "/api/solve", Some(&question)).await?,
        None => here(&question)?,
    };
    match output {
        Some(Output::Table) => print(&summary(&answer, true)),
        _ => print_json(&answer),
    }
}

fn here(question: &Value) -> Result<Value, Problem> {
    let proposal = what_if(question, Duration::from_secs(2), &AtomicBool::new(false));
    proposal
        .map(|proposal| json!(proposal.placement()))
        .map_err(|fault| Problem {
            exit: Exit::Refused,
            message: fault.message.clone(),
            answer: Some(
                json!({ "error": fault.message, "code": fault.code.as_str(), "details": fault.details }),
            ),
        })
}
