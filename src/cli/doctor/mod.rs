//! `mapek doctor`: whether this machine has what the service needs, and how to get what is missing. It
//! takes the options of `mapek serve`, and changes nothing.

mod engine;
mod machine;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::client::Output;
use crate::config::{Config, Options};
use crate::fault::chain;

use super::problem::{Exit, Problem};
use super::show::{print, print_json};
use super::style::{CHANGE, CREATE, DELETE, count, paint};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All is well.
    Ok,
    /// The service runs, but something may not work properly.
    Warn,
    /// The service does not run like this.
    Fail,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    says: String,
    /// What to do about it; empty if all is well.
    fix: String,
}

impl Check {
    fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            says: says.into(),
            fix: String::new(),
        }
    }

    fn warn(name: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Warn,
            says: says.into(),
            fix: fix.into(),
        }
    }

    fn fail(name: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(name, says, fix)
        }
    }

    fn to_json(&self) -> Value {
        let fix = Some(&self.fix).filter(|fix| !fix.is_empty());
        json!({ "check": self.name, "result": self.verdict.as_str(), "says": self.says, "fix": fix })
    }

    fn show(&self) -> Result<(), Problem> {
        let style = match self.verdict {
            Verdict::Ok => CREATE,
            Verdict::Warn => CHANGE,
            Verdict::Fail => DELETE,
        };
        let verdict = paint(style, format!("{:<4}", self.verdict.as_str()));
        print(&format!("{verdict}  {:<14}  {}", self.name, self.says))?;
        match self.fix.as_str() {
            "" => Ok(()),
            fix => print(&format!("{:22}to fix: {fix}", "")),
        }
    }
}

/// Checks this machine.
///
/// # Errors
///
/// When the service would not run here.
pub async fn doctor(options: &Options, home: Option<PathBuf>, output: Output) -> Result<(), Problem> {
    let checks = match options.clone().decide(home) {
        Ok(config) => all(&config).await,
        Err(error) => vec![Check::fail(
            "configuration",
            chain(&error),
            "correct the option, variable or line of the configuration file",
        )],
    };
    let failed = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail)
        .count();
    let report = json!({ "ok": failed == 0, "checks": checks.iter().map(Check::to_json).collect::<Value>() });
    match output {
        Output::Table => checks.iter().try_for_each(Check::show)?,
        Output::Json if failed == 0 => print_json(&report)?,
        // The report itself is the error message.
        Output::Json => {}
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Problem {
        exit: Exit::Failed,
        message: format!("{} failed", count(failed, "check")),
        answer: Some(report),
    })
}

async fn all(config: &Config) -> Vec<Check> {
    let mut checks = vec![Check::ok(
        "configuration",
        format!("mapek {} as these options say", env!("CARGO_PKG_VERSION")),
    )];
    checks.extend(engine::checks(config).await);
    checks.push(machine::data_dir(&config.data_dir));
    checks.extend(machine::space(&config.data_dir));
    checks.push(machine::port(config.listen));
    checks.push(machine::open_files(config.max_connections));
    checks.push(machine::git());
    checks.push(machine::ssh());
    checks.push(machine::clock());
    checks
}
