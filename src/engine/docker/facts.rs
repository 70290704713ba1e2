//! What an engine reports about itself, for `mapek doctor`.

use super::DockerEngine;
use crate::engine::EngineError;

/// An engine, as far as it matters for setting it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// The machine's cores.
    pub cores: i64,
    /// The machine's memory in bytes.
    pub memory: i64,
    /// The version of the control groups that it uses.
    pub control_groups: String,
    /// Limits that it can't set: `memory`, `cpu quota`, `cpuset`.
    pub lacks: Vec<&'static str>,
    /// Whether it can keep containers from swapping.
    pub counts_swap: bool,
    /// Its clock.
    pub time: Option<jiff::Timestamp>,
}

impl DockerEngine {
    /// What the engine reports about itself.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn facts(&self) -> Result<Facts, EngineError> {
        let caller = &self.caller;
        let info = caller
            .look("ask what the engine can do", caller.docker.info())
            .await?;
        let can = |what: Option<bool>| what.unwrap_or(true);
        let lacks = [
            ("memory", can(info.memory_limit)),
            ("cpu quota", can(info.cpu_cfs_quota) && can(info.cpu_cfs_period)),
            ("cpuset", can(info.cpu_set)),
        ];
        Ok(Facts {
            version: info.server_version.unwrap_or_default(),
            cores: info.ncpu.unwrap_or_default(),
            memory: info.mem_total.unwrap_or_default(),
            control_groups: info
                .cgroup_version
                .map(|version| version.to_string())
                .unwrap_or_default(),
            lacks: lacks
                .into_iter()
                .filter(|(_, can)| !can)
                .map(|(name, _)| name)
                .collect(),
            counts_swap: can(info.swap_limit),
            time: info.system_time.and_then(|time| time.parse().ok()),
        })
    }
}
