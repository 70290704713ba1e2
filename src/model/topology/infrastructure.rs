//! The `infrastructure` part of a topology.

use std::path::PathBuf;

use crate::model::ids::VmId;
use crate::model::units::Size;

use super::access::DockerAccess;

/// Where VMs come from, what one VM has, and the rules for all placements.
#[derive(Clone, Debug, PartialEq)]
pub struct Infrastructure {
    /// Where VMs come from (`cloud_driver`).
    pub cloud: Cloud,
    /// Where hooks come from (`hooks_git_repo`, `hooks_ref`).
    pub hooks: Option<Hooks>,
    /// What one VM has (`cpu_cores`, `mem_units`).
    pub vm: Size,
    /// MiB in one memory unit (`mem_unit_mb`).
    pub mem_unit_mb: u64,
    /// Most VMs in use (`max_vms`).
    pub max_vms: Option<u32>,
    /// Fewest VMs kept, even with nothing on them (`min_vms`).
    pub min_vms: u32,
    /// How processor limits are set (`cpu_mode`).
    pub cpu_mode: CpuMode,
    /// How Docker is reached on VMs of a cloud, and TLS files (`docker`).
    pub docker: DockerAccess,
    /// Weights of the placement's objective (`weights`).
    pub weights: Weights,
}

/// Where VMs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// This machine's own Docker engine is the one VM.
    Embedded,
    /// Machines that already exist, in the order of the document.
    Hosts(Vec<Host>),
    /// An AWS Auto Scaling group.
    AutoScaling(AutoScaling),
}

/// One machine that already exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: VmId,
    /// Its engine: `unix:///…`, `tcp://IP:2375`, `https://IP:2376` or `ssh://user@IP`.
    pub docker: String,
    /// The address at which its published ports are reached.
    pub ip: Option<String>,
}

/// An AWS Auto Scaling group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoScaling {
    /// Name of the group.
    pub group: String,
    /// File with `AWS_ACCESS_KEY_ID=…` lines; without it, the SDK's own chain.
    pub credentials: Option<PathBuf>,
    /// Region; without it, the SDK's own chain.
    pub region: Option<String>,
    /// Another endpoint for the AWS API.
    pub endpoint_url: Option<String>,
    /// Seconds to wait for a new instance to be usable.
    pub ready_timeout_s: u64,
}

/// Where hooks come from: a folder or git repository with `scale_hooks/` and `tier_hooks/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// URL or path.
    pub repo: String,
    /// Branch, tag or commit; the repository's HEAD without it.
    pub reference: Option<String>,
}

/// How processor limits are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuMode {
    /// Whole cores; each container is pinned to cores of its own.
    #[default]
    Cpuset,
    /// Decimal cores in steps of 0.01, as a share of all cores.
    Quota,
}

impl CpuMode {
    /// The smallest step of an amount of processor, in hundredths of a core.
    #[must_use]
    pub const fn step(self) -> u64 {
        match self {
            Self::Cpuset => 100,
            Self::Quota => 1,
        }
    }
}

/// Weights of the placement's objective. The defaults are the predecessor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Weights {
    /// A new VM used.
    pub vm_create: u32,
    /// An existing VM used.
    pub vm_use: u32,
    /// An existing VM not used, so deleted.
    pub vm_delete: u32,
    /// A new container.
    pub container_create: u32,
    /// An existing container kept or resized.
    pub container_set: u32,
    /// An existing container of a tier in the plan, removed.
    pub container_delete: u32,
    /// The same, where the tier has `max_node` 1.
    pub container_delete_pinned: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            vm_create: 20,
            vm_use: 11,
            vm_delete: 2,
            container_create: 4,
            container_set: 3,
            container_delete: 1,
            container_delete_pinned: 100,
        }
    }
}
