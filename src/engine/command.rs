//! A command that is run inside a container.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Folder in a container for the scripts that are run in it.
pub const HOOKS_FOLDER: &str = "/ecoware";

/// A command to run inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Argument vector.
    pub argv: Vec<String>,
    /// Environment in addition to the container's own.
    pub environment: BTreeMap<String, String>,
    /// Working directory; None for the container's own.
    pub folder: Option<String>,
    /// How long it may take.
    pub deadline: Duration,
}

/// The id by which an engine knows one run of a command, also after a restart of the service. Only
/// the driver knows what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// A command that ended or was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// Standard output and error, interleaved as they came, with the middle cut out if too long.
    /// For a command that was given up: the output until then.
    pub output: String,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with this exit code.
    Exited(i64),
    /// Not within its deadline; it was killed, and certainly no longer runs.
    Killed,
    /// Not within its deadline, and it may still run: the container has nothing to kill it with.
    Abandoned,
    /// It certainly no longer runs, or was never begun; if it was, nobody knows how it ended.
    Forgotten,
}
