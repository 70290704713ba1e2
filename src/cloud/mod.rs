//! Clouds: where VMs come from.
//!
//! The trait speaks of ends, as [`crate::engine::Engine`] does. Drivers know only `model`.

mod capacity;
mod embedded;
mod hosts;

pub use capacity::check_shape;
pub use embedded::{LOCALHOST, embedded};
pub use hosts::Hosts;

use async_trait::async_trait;

use crate::model::VmId;

/// Where VMs come from.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// What the cloud has and could give.
    async fn offer(&self) -> Result<Offer, CloudError>;

    /// Makes sure that a VM exists for the name used in the plan: a host of that name is checked
    /// to answer, a `new_vmN` is made. Answers with the VM as it really is.
    async fn ensure_vm(&self, name: &VmId) -> Result<CloudVm, CloudError>;

    /// Makes sure that the VM is gone, or released.
    async fn ensure_vm_absent(&self, name: &VmId) -> Result<(), CloudError>;
}

/// What a cloud has and could give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// VMs that exist: all of a group's members, or every host.
    pub vms: Vec<CloudVm>,
    /// VMs that can still be made.
    pub more: More,
}

/// VMs that can still be made or taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// Only those named in [`Offer::vms`] that are not in the allocation yet, in that order.
    Named,
    /// Any, up to a number where the cloud sets one; known by name only once they are made.
    Anonymous {
        /// Most VMs that may still be made.
        at_most: Option<u32>,
    },
}

/// A VM that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudVm {
    /// Its name.
    pub name: VmId,
    /// The address at which its published ports are reached.
    pub ip: Option<String>,
    /// Its engine's endpoint.
    pub endpoint: String,
}

/// Why a cloud could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CloudError {
    /// What was tried, what happened, and what to do.
    pub message: String,
    /// What kind of failure it is.
    pub kind: CloudErrorKind,
    /// Whether the effect may have happened.
    pub effect: crate::engine::Effect,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudErrorKind {
    /// The topology says something that the cloud can't do.
    Misconfigured,
    /// The cloud or a VM can't be reached.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The cloud said no.
    Refused,
    /// The cloud or a VM failed over the request, which may pass.
    Failing,
}
