//! Clouds: where VMs come from.
//!
//! The trait's calls describe results, like those of [`crate::engine::Engine`]. Drivers know only
//! `model`.

pub mod autoscaling;
mod capacity;
mod embedded;
mod hosts;
mod registered;

pub use autoscaling::AutoScalingGroup;
pub use capacity::check_shape;
pub use embedded::{LOCALHOST, embedded};
pub use hosts::Hosts;
pub use registered::RegisteredNodes;

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::{About, VmId};

/// Where VMs come from.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// What the cloud has and could provide.
    async fn offer(&self) -> Result<Offer, CloudError>;

    /// What can be known about a change before it begins: what prevents it, and what its author
    /// should know. Nothing is changed.
    async fn forecast(&self, _change: &Change) -> Result<Forecast, CloudError> {
        Ok(Forecast::default())
    }

    /// Makes sure that a VM exists for the name used in the plan: a host of that name is checked to
    /// answer, a `new_vmN` is made. The result is the VM as it really is.
    ///
    /// A driver that can't choose the names of the VMs that it makes writes into the notebook what
    /// it is about to do, so that after a crash it can tell its own VMs from others.
    async fn ensure_vm(&self, name: &VmId, notebook: &dyn Notebook) -> Result<CloudVm, CloudError>;

    /// Makes sure that nothing is left of a VM that could not be made, or whose making was cut off.
    async fn abandon_vm(&self, _name: &VmId, _notebook: &dyn Notebook) -> Result<(), CloudError> {
        Ok(())
    }

    /// Makes sure that the VM is deleted, or released.
    async fn ensure_vm_absent(&self, name: &VmId) -> Result<(), CloudError>;

    /// Makes sure that the cloud takes none of these VMs away when it thinks that there are too
    /// many. Called before anything is put on a VM, and repeatedly while something is on it.
    async fn ensure_kept(&self, _vms: &BTreeSet<VmId>) -> Result<(), CloudError> {
        Ok(())
    }
}

/// What an execution gives to the driver that makes its VMs.
#[async_trait]
pub trait Notebook: Send + Sync {
    /// The plan's names of all VMs that are made together with this one, including this one.
    fn fellows(&self) -> Vec<VmId>;

    /// What was last recorded for this execution, by any process.
    async fn read(&self) -> Result<Option<Value>, CloudError>;

    /// Records this in place of what was there. It is on disk when this returns.
    async fn write(&self, note: Value) -> Result<(), CloudError>;

    /// Tells people about progress.
    async fn tell(&self, progress: &str);

    /// Whether the VM is still wanted.
    fn wish(&self) -> Wish;
}

/// What is wanted of a VM that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It should come.
    Go,
    /// It is given up, and nothing should be left of it.
    GiveUp,
    /// The driver should return soon. It is asked for the same VM again later.
    Pause,
}

/// VMs to be made and to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// To be made, by the plan's names.
    pub made: Vec<VmId>,
    /// To be deleted.
    pub gone: Vec<VmId>,
    /// Whether remarks are wanted. They may take more calls than obstacles alone.
    pub remarks: bool,
}

/// What can be known about a change before it begins.
#[derive(Debug, Default)]
pub struct Forecast {
    /// Why it can't be done.
    pub obstacles: Vec<CloudError>,
    /// What its author should know.
    pub remarks: Vec<String>,
}

/// What a cloud has and could provide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// VMs that exist: all of a group's members, or every host.
    pub vms: Vec<CloudVm>,
    /// VMs that can still be made.
    pub more: More,
    /// How many VMs may be deleted; None for any number.
    pub removable: Option<u32>,
    /// What limits the number of VMs, for people: one sentence for each limit.
    pub bounds: Vec<String>,
}

impl Offer {
    /// VMs that exist all the time.
    #[must_use]
    pub const fn of_named(vms: Vec<CloudVm>) -> Self {
        Self {
            vms,
            more: More::Named,
            removable: None,
            bounds: Vec::new(),
        }
    }
}

/// VMs that can still be made or taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// Only those named in [`Offer::vms`] that are not in the allocation yet, in that order.
    Named,
    /// Any, up to a number where the cloud sets one; known by name only once they are made.
    Anonymous {
        /// How many VMs may still be made.
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
    /// Whether it can be used.
    pub standing: Standing,
    /// Its labels and capabilities, as far as the cloud knows them.
    pub about: About,
}

/// Whether a VM that exists can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Ready,
    /// Not now, for this reason: it is still starting, or was put aside. What is on it stays.
    Aside(String),
    /// It has not been heard of when it should have, for this reason. What is on it stays as long as that is so.
    Silent(String),
    /// It has said that it leaves. As long as it answers, what is on it can be moved away.
    Departing(String),
    /// It is about to be taken away, for this reason, with what is on it.
    Leaving(String),
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
    /// The topology asks for something that the cloud can't do.
    Misconfigured,
    /// The cloud or a VM can't be reached.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The cloud refused.
    Refused,
    /// The cloud has no more VMs at the moment.
    Exhausted,
    /// A VM was made but could not be used in time, and neither could the one made in its place. It
    /// is gone.
    NeverReady,
    /// It was given up because it is no longer wanted.
    Cancelled,
    /// The cloud or a VM failed on the request, which may pass.
    Failing,
}
