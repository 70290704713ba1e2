//! How hooks came out, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::problem::{Exit, Problem};
use super::super::show::print_json;
use super::super::style::{CREATE, DELETE, FAINT, count, paint};
use crate::config::client::Output;
use crate::hooks::HookSet;
use crate::model::topology::Tier;

/// How a hook came out.
pub struct Outcome {
    pub field: &'static str,
    pub hook: String,
    pub exit_code: Option<i64>,
    pub error: Option<String>,
    pub output: String,
    pub took: Duration,
}

/// The last line about a hook.
pub fn ending(outcome: &Outcome) -> String {
    let took = paint(FAINT, format!("{:.2} s", outcome.took.as_secs_f64()));
    match (&outcome.error, outcome.exit_code) {
        (None, Some(0)) => format!("{}  exit code 0  {took}", paint(CREATE, "ok")),
        (None, Some(code)) => format!("{}  exit code {code}  {took}", paint(DELETE, "failed")),
        (Some(error), _) => format!("{}  {error}  {took}", paint(DELETE, "failed")),
        (None, None) => paint(DELETE, "failed"),
    }
}

/// What all of them came to.
///
/// # Errors
///
/// When one failed.
pub fn report(tier: &Tier, set: &HookSet, outcomes: &[Outcome], output: Output) -> Result<(), Problem> {
    let failed = outcomes.iter().filter(|one| one.exit_code != Some(0)).count();
    let hooks: Vec<Value> = outcomes
        .iter()
        .map(|one| {
            json!({ "when": one.field, "hook": one.hook, "exit_code": one.exit_code, "error": one.error,
                "output": one.output, "seconds": one.took.as_secs_f64() })
        })
        .collect();
    let answer =
        json!({ "tier": tier.id, "hooks_revision": set.revision, "ok": failed == 0, "hooks": hooks });
    if failed > 0 {
        let message = format!("{} of {} failed", failed, count(outcomes.len(), "hook"));
        return Err(Problem {
            exit: Exit::Broken,
            message,
            answer: Some(answer),
        });
    }
    match output {
        Output::Json => print_json(&answer),
        Output::Table => Ok(()),
    }
}
