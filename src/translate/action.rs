//! Actions: the single steps of an execution, and their texts.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::topology::HookName;
use crate::model::{CoreSet, Handover, RevisionId, Size, TierId, VmId};

/// One step of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "kind": "create_container", "vm": "vm1", "container": "rubis_db", "cpu_cores": 1,
    "mem_units": 2, "cores": [0] }))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Makes a VM, or takes a host into use.
    CreateVm {
        /// The VM.
        #[schema(value_type = String)]
        vm: VmId,
    },
    /// Deletes an empty VM, or releases a host.
    DeleteVm {
        /// The VM.
        #[schema(value_type = String)]
        vm: VmId,
    },
    /// Starts a container.
    CreateContainer {
        /// Its VM.
        #[schema(value_type = String)]
        vm: VmId,
        /// Its tier.
        #[schema(value_type = String)]
        container: TierId,
        /// What it holds.
        #[serde(flatten)]
        size: Size,
        /// Pinned to these cores (cpuset mode).
        #[schema(value_type = Vec<u32>)]
        cores: CoreSet,
        /// The revision that it is made from; None for the one that the topology has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, example = "9f86d081884c7d65")]
        revision: Option<RevisionId>,
        /// The digest of the image that it is made from, where the image's tag was looked up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
        digest: Option<String>,
    },
    /// Changes the limits of a running container.
    UpdateContainer {
        /// Its VM.
        #[schema(value_type = String)]
        vm: VmId,
        /// Its tier.
        #[schema(value_type = String)]
        container: TierId,
        /// The new limits.
        #[serde(flatten)]
        size: Size,
        /// Pinned to these cores from now on (cpuset mode).
        #[schema(value_type = Vec<u32>)]
        cores: CoreSet,
        /// The limits before.
        was: Size,
        /// The cores before.
        #[schema(value_type = Vec<u32>)]
        was_cores: CoreSet,
    },
    /// Puts a container that is made from another revision of the tier, or image, or finds its dependencies elsewhere, in
    /// the place of one, of the same size.
    ReplaceContainer {
        /// Where.
        #[schema(value_type = String)]
        vm: VmId,
        /// Its tier.
        #[schema(value_type = String)]
        container: TierId,
        /// What both hold.
        #[serde(flatten)]
        size: Size,
        /// The cores that the successor is pinned to (cpuset mode).
        #[schema(value_type = Vec<u32>)]
        cores: CoreSet,
        /// The cores that the old one is pinned to.
        #[schema(value_type = Vec<u32>)]
        was_cores: CoreSet,
        /// How the old one makes way for the new one.
        handover: Handover,
        /// The revision that the successor is made from.
        #[schema(value_type = String, example = "9f86d081884c7d65")]
        revision: RevisionId,
        /// The one that the old one was made from.
        #[schema(value_type = String, example = "60303ae22b998861")]
        was_revision: RevisionId,
        /// The dependencies that are elsewhere by then: the old one would look for them where they are no more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schema(example = json!(["db"]))]
        moved: Vec<String>,
        /// The digest of the image that the successor is made from, where the image's tag was looked up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
        digest: Option<String>,
        /// The hooks that run in the old one before it goes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schema(value_type = Vec<String>)]
        hooks: Vec<HookName>,
    },
    /// Stops and removes a container.
    DeleteContainer {
        /// Its VM.
        #[schema(value_type = String)]
        vm: VmId,
        /// Its tier.
        #[schema(value_type = String)]
        container: TierId,
        /// What it held.
        was: Size,
        /// The cores that it was pinned to.
        #[schema(value_type = Vec<u32>)]
        was_cores: CoreSet,
        /// Run in it before it is stopped, in this order.
        #[schema(value_type = Vec<String>)]
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<HookName>,
    },
    /// Runs the scale hooks of a container that was created or updated.
    RunScaleHook {
        /// Its VM.
        #[schema(value_type = String)]
        vm: VmId,
        /// Its tier.
        #[schema(value_type = String)]
        container: TierId,
        /// Which, in this order.
        #[schema(value_type = Vec<String>)]
        hooks: Vec<HookName>,
    },
    /// Runs the dependency hook of a container when one of its dependencies has changed.
    RunTierHook {
        /// Its VM.
        #[schema(value_type = String)]
        vm: VmId,
        /// Its tier.
        #[schema(value_type = String)]
        container: TierId,
        /// Which.
        #[schema(value_type = String)]
        hook: HookName,
        /// Containers that the next stage removes, or stops for their successors: they are told as gone already, so that
        /// nobody asks them any more when they are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leaving: Vec<Place>,
    },
}

/// Where a container is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "vm": "vm1", "container": "rubis_app" }))]
pub struct Place {
    /// Its VM.
    #[schema(value_type = String, example = "vm1")]
    pub vm: VmId,
    /// Its tier.
    #[schema(value_type = String, example = "rubis_app")]
    pub container: TierId,
}

impl Action {
    /// The VM that the action concerns.
    #[must_use]
    pub fn vm(&self) -> &VmId {
        match self {
            Self::CreateVm { vm }
            | Self::DeleteVm { vm }
            | Self::CreateContainer { vm, .. }
            | Self::UpdateContainer { vm, .. }
            | Self::ReplaceContainer { vm, .. }
            | Self::DeleteContainer { vm, .. }
            | Self::RunScaleHook { vm, .. }
            | Self::RunTierHook { vm, .. } => vm,
        }
    }

    /// The tier whose container the action concerns, if there is one.
    #[must_use]
    pub fn container(&self) -> Option<&TierId> {
        match self {
            Self::CreateVm { .. } | Self::DeleteVm { .. } => None,
            Self::CreateContainer { container, .. }
            | Self::UpdateContainer { container, .. }
            | Self::ReplaceContainer { container, .. }
            | Self::DeleteContainer { container, .. }
            | Self::RunScaleHook { container, .. }
            | Self::RunTierHook { container, .. } => Some(container),
        }
    }
}

/// The text that clients of the predecessor read; the contract fixes every letter.
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
            Self::ReplaceContainer {
                vm, container, size, ..
            } => {
                write!(out, "replace container '{container}' on vm '{vm}' with {size}")
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
