//! A command that is run inside a container.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Folder inside a container for the scripts that are run in it.
pub const HOOKS_FOLDER: &str = "/ecoware";

/// A command to run inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Argument vector.
    pub argv: Vec<String>,
    /// Environment besides the container's own.
    pub environment: BTreeMap<String, String>,
    /// Working directory; None is the container's own.
    pub folder: Option<String>,
    /// How long it may take.
    pub deadline: Duration,
}

/// What one run of a command is known by to its engine, also after a restart of the service. What is
/// in it is the driver's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// A command that ended or was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// Standard output and error, interleaved as they came, cut in the middle where too long. Of
    /// a command that was given up: what it had said until then.
    pub output: String,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with this exit code.
    Exited(i64),
    /// Not within its deadline; it was killed, and surely runs no more.
    Killed,
    /// Not within its deadline, and it may still run: the container has nothing to kill it with.
    Abandoned,
    /// It surely runs no more, or was never begun; if it was, nobody knows how it ended.
    Forgotten,
}
