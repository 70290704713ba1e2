//! A container as its engine reports it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::container::Fixed;
use crate::model::Addresses;
use crate::model::topology::PortBinding;

/// A container as the engine reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Name, without the leading slash.
    pub name: String,
    /// The engine's id.
    pub id: String,
    /// Whether it is ours: made by this installation, or adopted by it. Only then may it be changed,
    /// removed or run in.
    pub managed: bool,
    /// Image as it was asked for.
    pub image: String,
    /// What it is doing.
    pub state: State,
    /// Its health; None without a health check.
    pub health: Option<Health>,
    /// Cores as the engine writes them (`CpusetCpus`); empty when not pinned.
    pub cpuset: String,
    /// Share of all cores in billionths (`NanoCpus`); 0 without one.
    pub nano_cpus: u64,
    /// Memory limit in bytes; 0 without one.
    pub memory: u64,
    /// Memory and swap together, in bytes; equal to `memory` when swap is off.
    pub memory_swap: i64,
    /// What else it was given when it was made.
    pub fixed: Fixed,
    /// Exit code of the last run, when it is not running.
    pub exit_code: Option<i64>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Host ports that it publishes while running.
    pub ports: Vec<PortBinding>,
    /// The addresses of other tiers that it was made with; None if nobody has asked.
    pub addresses: Option<Addresses>,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Stopped with `pause`.
    Paused,
    /// Being restarted.
    Restarting,
    /// On its way out.
    Removing,
    /// Ended.
    Exited,
    /// Half removed.
    Dead,
}

impl State {
    /// As in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether a container in this state holds its cores and memory. A paused one keeps its memory,
    /// and may be woken at any time; one between two restarts comes back by itself. The others have
    /// no process.
    #[must_use]
    pub const fn holds(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Restarting => true,
            Self::Created | Self::Removing | Self::Exited | Self::Dead => false,
        }
    }
}

/// The verdict of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// No verdict yet.
    Starting,
    /// Passing.
    Healthy,
    /// Failing.
    Unhealthy,
}

/// What a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor, in billionths of a core.
    pub nano_cpus: u64,
    /// Memory in bytes, without pages of files that can be dropped.
    pub memory: u64,
}
