//! `mapek solve`: a what-if without any service.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::config::SolveOptions;
use crate::service::what_if;

/// Reads the question and writes the answer to standard output.
///
/// # Errors
///
/// When the question can't be read or has no solution: the fault as JSON is on standard output
/// then, too.
pub fn solve(options: &SolveOptions) -> anyhow::Result<()> {
    let mut question = read(options.file.as_deref())?;
    if let Some(fields) = question.as_object_mut() {
        if let Some(deadline) = options.deadline_ms {
            fields.insert("deadline_ms".to_owned(), json!(deadline));
        }
        if options.exact {
            fields.insert("exact".to_owned(), json!(true));
        }
    }
    match what_if(&question, Duration::from_secs(2), &AtomicBool::new(false)) {
        Ok(proposal) => print(&proposal.to_json()),
        Err(fault) => {
            print(&json!({ "error": fault.message, "code": fault.code.as_str(), "details": fault.details }))?;
            bail!("{}", fault.message)
        }
    }
}

fn print(answer: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(answer)?;
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("can't write the answer"),
    }
}

fn read(file: Option<&Path>) -> anyhow::Result<Value> {
    let text = match file.filter(|path| path.as_os_str() != "-") {
        Some(path) => fs::read(path).with_context(|| format!("can't read {}", path.display()))?,
        None => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("can't read standard input")?;
            bytes
        }
    };
    serde_json::from_slice(&text).context("the question is not JSON")
}
