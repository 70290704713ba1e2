//! Actions: the single steps of an execution, and their texts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::topology::HookName;
use crate::model::{CoreSet, Size, TierId, VmId};

/// One step of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Makes a VM, or takes a host into use.
    CreateVm {
        /// The VM.
        vm: VmId,
    },
    /// Deletes an empty VM, or releases a host.
    DeleteVm {
        /// The VM.
        vm: VmId,
    },
    /// Starts a container.
    CreateContainer {
        /// Where.
        vm: VmId,
        /// Of which tier.
        container: TierId,
        /// With what.
        #[serde(flatten)]
        size: Size,
        /// Pinned to these cores (cpuset mode).
        cores: CoreSet,
    },
    /// Changes the limits of a running container.
    UpdateContainer {
        /// Where.
        vm: VmId,
        /// Of which tier.
        container: TierId,
        /// The new limits.
        #[serde(flatten)]
        size: Size,
        /// Pinned to these cores from now on (cpuset mode).
        cores: CoreSet,
        /// The limits before.
        was: Size,
        /// The cores before.
        was_cores: CoreSet,
    },
    /// Stops and removes a container.
    DeleteContainer {
        /// Where.
        vm: VmId,
        /// Of which tier.
        container: TierId,
        /// What it held.
        was: Size,
        /// The cores that it was pinned to.
        was_cores: CoreSet,
        /// Run in it before it is stopped, in this order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<HookName>,
    },
    /// Runs the scale hooks of a container that was created or updated.
    RunScaleHook {
        /// Where.
        vm: VmId,
        /// Of which tier.
        container: TierId,
        /// Which, in this order.
        hooks: Vec<HookName>,
    },
    /// Runs the dependency hook of a container one of whose dependencies changed.
    RunTierHook {
        /// Where.
        vm: VmId,
        /// Of which tier.
        container: TierId,
        /// Which.
        hook: HookName,
        /// Containers that the next stage removes: they are told as gone already, so that nobody asks them any
        /// more when they are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leaving: Vec<Place>,
    },
}

/// Where a container is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its VM.
    pub vm: VmId,
    /// Its tier.
    pub container: TierId,
}

impl Action {
    /// The VM that the action is about.
    #[must_use]
    pub fn vm(&self) -> &VmId {
        match self {
            Self::CreateVm { vm }
            | Self::DeleteVm { vm }
            | Self::CreateContainer { vm, .. }
            | Self::UpdateContainer { vm, .. }
            | Self::DeleteContainer { vm, .. }
            | Self::RunScaleHook { vm, .. }
            | Self::RunTierHook { vm, .. } => vm,
        }
    }

    /// The tier whose container the action is about, if it is about one.
    #[must_use]
    pub fn container(&self) -> Option<&TierId> {
        match self {
            Self::CreateVm { .. } | Self::DeleteVm { .. } => None,
            Self::CreateContainer { container, .. }
            | Self::UpdateContainer { container, .. }
            | Self::DeleteContainer { container, .. }
            | Self::RunScaleHook { container, .. }
            | Self::RunTierHook { container, .. } => Some(container),
        }
    }
}

/// The text that clients of the predecessor read; the contract fixes it to the letter.
impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateVm { vm } => write!(out, "create vm '{vm}'"),
            Self::DeleteVm { vm } => write!(out, "delete vm '{vm}'"),
            Self::CreateContainer {
                vm, container, size, ..
            } => {
                write!(out, "create container '{container}' on vm '{vm}' with {size}")
            }
            Self::UpdateContainer {
                vm, container, size, ..
            } => {
                write!(out, "update container '{container}' on vm '{vm}' with {size}")
            }
            Self::DeleteContainer { vm, container, .. } => {
                write!(out, "delete container '{container}' from vm '{vm}'")
            }
            Self::RunScaleHook { vm, container, .. } => {
                write!(out, "run scale hook for container '{container}' on vm '{vm}'")
            }
            Self::RunTierHook { vm, container, .. } => {
                write!(out, "run tier hook for container '{container}' on vm '{vm}'")
            }
        }
    }
}
