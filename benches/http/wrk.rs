//! wrk, and what it measured.

use std::process::Command;

use serde_json::Value;

use crate::process::run;

const CONNECTIONS: usize = 64;
/// Placements are bounded in number: more at a time are asked to come again.
const PLACING: usize = 4;

/// A kind of request, made over and over.
pub struct Load {
    path: &'static str,
    script: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Rate {
    pub per_second: f64,
    /// 99 of 100 answers are there within this.
    pub late: String,
}

impl Load {
    pub fn get(path: &'static str) -> Self {
        Self { path, script: None }
    }

    pub fn put(path: &'static str, body: &Value) -> Self {
        let file = "/run/lab/put.lua".to_owned();
        let script = format!("wrk.method = \"PUT\"\nwrk.body = [==[{body}]==]\n");
        std::fs::write(&file, script).unwrap();
        Self {
            path,
            script: Some(file),
        }
    }

    /// Asks `base` for so many seconds. An answer that is no success is a failure of the bench.
    pub fn run(&self, base: &str, seconds: usize) -> Rate {
        let mut command = Command::new("wrk");
        command.args([
            "--threads",
            "2",
            "--connections",
            &if self.script.is_some() {
                PLACING
            } else {
                CONNECTIONS
            }
            .to_string(),
            "--latency",
        ]);
        command.args(["--duration", &format!("{seconds}s"), "--timeout", "20s"]);
        if let Some(script) = &self.script {
            command.args(["--script", script]);
        }
        let said = run(command.arg(format!("{base}{}", self.path)));
        assert!(
            !said.contains("Non-2xx") && !said.contains("Socket errors"),
            "{said}"
        );
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} is not in {said}"))
                .trim()
                .to_owned()
        };
        Rate {
            per_second: field("Requests/sec:").parse().unwrap(),
            late: field("99%"),
        }
    }
}

impl Rate {
    /// The one in the middle.
    pub fn middle(mut rates: Vec<Self>) -> Self {
        rates.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
        rates[rates.len() / 2].clone()
    }
}
