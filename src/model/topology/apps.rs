//! Tiers of the apps.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::ids::TierId;

use super::ports::PortBinding;

/// One tier of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Flat name, `{app}_{tier}`.
    pub id: TierId,
    /// The app it belongs to.
    pub app: String,
    /// Its key among the app's tiers.
    pub key: String,
    /// The name shown to people (`name`); the key unless given.
    pub title: String,
    /// `docker_image`.
    pub image: String,
    /// Published ports.
    pub ports: Vec<PortBinding>,
    /// Arguments for the image's entrypoint (`entrypoint_params`); None leaves the image's own.
    pub arguments: Option<Vec<String>>,
    /// Replaces the image's entrypoint (`command`).
    pub entrypoint: Option<Vec<String>>,
    /// Fewest VMs that the tier may be on.
    pub min_node: u32,
    /// Most VMs that the tier may be on.
    pub max_node: Option<u32>,
    /// Tiers of the same app that it needs, by flat name.
    pub depends_on: Vec<TierId>,
    /// Hooks run in a container of this tier that was created or updated.
    pub on_node_scale: Vec<HookName>,
    /// Hook run in every container of this tier when a dependency changed.
    pub on_dependency_scale: Option<HookName>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Volumes and bind mounts, in Docker's notation `source:/path[:options]`.
    pub volumes: Vec<String>,
    /// Health check.
    pub healthcheck: Option<Healthcheck>,
    /// Seconds between the stop signal and the kill.
    pub stop_grace_s: Option<u32>,
    /// Labels besides those of `mapek`.
    pub labels: BTreeMap<String, String>,
    /// User that the container runs as.
    pub user: Option<String>,
}

/// The file name of a hook: one path component, so that it can't leave its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct HookName(pub(crate) String);

impl HookName {
    /// The file name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A health check, with Docker's defaults where a time is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// Command as an argument vector; run by the engine in the container.
    pub test: Vec<String>,
    /// Seconds between checks.
    pub interval_s: Option<u32>,
    /// Seconds until one check counts as failed.
    pub timeout_s: Option<u32>,
    /// Failures in a row until the container counts as unhealthy.
    pub retries: Option<u32>,
    /// Seconds at the start in which failures do not count.
    pub start_period_s: Option<u32>,
}
