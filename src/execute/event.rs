//! What can happen to an execution, as it is recorded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::engine::RunId;
use crate::fault::{Code, Fault};
use crate::model::{Addresses, Allocation, Container, CoreSet, RevisionId, Size, TierId, VmId};
use crate::translate::{Place, Stage};

use super::asked::By;
use super::pinned::Pinned;

/// One thing that happened. `action` is a number that counts through all stages from 0, and on
/// through the stages of a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An action is about to have its effect.
    ActionStarted {
        /// Its number.
        action: usize,
        /// Counted from 1.
        attempt: u32,
    },
    /// Progress of an action that takes long.
    ActionProgressed {
        /// Its number.
        action: usize,
        /// For a person.
        progress: String,
        /// The hook that is about to be run, so that its run is found again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<HookRun>,
        /// A container that it depends on, on whichever VM, and that is about to be started again for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starts: Option<Place>,
        /// What its hook says while it runs: the next piece, without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    /// What the cloud driver is about to do, in its own words, so that it knows its own VMs after a
    /// crash.
    CloudNoted {
        /// Replaces the one before.
        note: Value,
    },
    /// An attempt failed for a passing reason, or with unknown effect; another follows.
    AttemptFailed {
        /// Its number.
        action: usize,
        /// Why, for a person.
        error: String,
    },
    /// An action's effect is confirmed.
    ActionSucceeded {
        /// Its number.
        action: usize,
        /// What it has found out.
        #[serde(default, skip_serializing_if = "Finding::is_empty")]
        finding: Finding,
    },
    /// An action failed and is not tried again. One that was never begun fails where what it needs can't
    /// be had.
    ActionFailed {
        /// Its number.
        action: usize,
        /// Why, for a person.
        error: String,
        /// The kind of failure, from the table of error codes.
        code: String,
        /// The hook's output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// What is really there after the failure, if it could be looked up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<Left>,
        /// Whether something may be there that the record does not know of.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
    /// The outcome of an action that failed with an unknown effect was found out later.
    ActionSettled {
        /// Its number.
        action: usize,
        /// What is really there, if the action was about a container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<Left>,
    },
    /// An action is not begun, because of another that failed.
    ActionSkipped {
        /// Its number.
        action: usize,
        /// The one that failed.
        because: usize,
    },
    /// Fewer VMs came than were asked for, and the plan was placed once more, on those that are
    /// there. Actions of the first stages that were not begun are not done.
    Replanned {
        /// The allocation at that time.
        from: Pinned,
        /// The allocation to reach, in place of the one that was shown.
        target: Allocation,
        /// The way there.
        stages: Vec<Stage>,
    },
    /// A VM pulls an image, before anything is done.
    Pulling {
        /// The VM.
        vm: VmId,
        /// The image.
        image: String,
        /// How far it is.
        progress: String,
    },
    /// Fewer VMs came than were asked for, and the plan could not be placed on those that are there.
    ReplanFailed(Unplaced),
    /// What was done is undone, by these stages, which lead from what is confirmed back to what was
    /// there before.
    RollbackBegun {
        /// The stages.
        stages: Vec<Stage>,
    },
    /// A service took the execution up after another one had ended in the middle of it.
    Resumed {},
    /// It was cut off, and waits for a person to decide.
    Held {},
    /// Somebody asked that no further action is begun. From here on it can only end as cancelled.
    CancelRequested(By),
    /// Somebody asked that it is continued to its target.
    ResumeRequested(By),
    /// Somebody asked that what it did is undone.
    RollbackRequested(By),
    /// A last look found that a container which was confirmed no longer runs, and it could not be
    /// started again.
    Lost(Lost),
    /// Nothing more happens.
    Finished {
        /// How it ended.
        outcome: Outcome,
    },
}

impl Event {
    /// The action that the event concerns.
    #[must_use]
    pub const fn action(&self) -> Option<usize> {
        match self {
            Self::ActionStarted { action, .. }
            | Self::ActionProgressed { action, .. }
            | Self::AttemptFailed { action, .. }
            | Self::ActionSucceeded { action, .. }
            | Self::ActionFailed { action, .. }
            | Self::ActionSettled { action, .. }
            | Self::ActionSkipped { action, .. } => Some(*action),
            Self::CloudNoted { .. }
            | Self::Pulling { .. }
            | Self::Replanned { .. }
            | Self::ReplanFailed(_)
            | Self::RollbackBegun { .. }
            | Self::Resumed {}
            | Self::Held {}
            | Self::CancelRequested(_)
            | Self::ResumeRequested(_)
            | Self::RollbackRequested(_)
            | Self::Lost(_)
            | Self::Finished { .. } => None,
        }
    }
}

/// One run of one of an action's hooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// Which of the action's hooks, counted from 0. Those before it have succeeded.
    pub number: usize,
    /// The id that its engine gave it.
    pub run: RunId,
}

/// A container that was confirmed, does not run any more at the end, and could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "vm": "vm1", "container": "rubis_db", "error": "the name is taken" }))]
pub struct Lost {
    /// Its VM.
    #[schema(value_type = String, example = "vm1")]
    pub vm: VmId,
    /// Its name.
    #[schema(value_type = String, example = "rubis_db")]
    pub container: TierId,
    /// Why it could not be started again, for a person.
    #[schema(example = "the name is taken")]
    pub error: String,
}

impl Lost {
    /// The error with which the execution fails.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let Self { vm, container, error } = self;
        let message = format!(
            "container '{container}' on vm '{vm}' was confirmed, but does not run any more and could not be started again: {error}"
        );
        let particulars = json!({ "vm": vm, "container": container });
        Fault::new(Code::ContainerUnhealthy, message).with([particulars])
    }
}

/// Why a plan could not be placed on the VMs that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplaced {
    /// For a person.
    pub error: String,
    /// The kind of failure, from the table of error codes.
    pub code: String,
    /// Every reason separately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Value>,
}

impl Unplaced {
    /// From the fault.
    #[must_use]
    pub fn of(fault: Fault) -> Self {
        Self {
            error: fault.message,
            code: fault.code.as_str().to_owned(),
            details: fault.details,
        }
    }

    /// The failure that it was meant to make up for, together with this one.
    #[must_use]
    pub fn after(&self, failed: Fault) -> Fault {
        let message = format!(
            "{}; nor can the plan be carried out on the VMs that are there: {}",
            failed.message, self.error
        );
        Fault { message, ..failed }.with(self.details.iter().cloned())
    }
}

/// What an action has found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The VM that was made, under its real name and address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<FoundVm>,
    /// Output of hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The addresses of dependencies that a container was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Addresses>,
}

/// A VM that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundVm {
    /// Real name.
    pub name: VmId,
    /// Address.
    pub ip: Option<String>,
    /// Engine's endpoint.
    pub endpoint: String,
}

/// What is really there of the container that a failed action concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "left", rename_all = "snake_case")]
pub enum Left {
    /// No container.
    Nothing,
    /// A container that holds this.
    Container {
        /// Its limits.
        #[serde(flatten)]
        size: Size,
        /// Its cores.
        cores: CoreSet,
        /// What it was made from, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<RevisionId>,
        /// The addresses of dependencies that it was made with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        addresses: Option<Addresses>,
        /// The digest of the image that it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    },
}

impl Left {
    /// As in the allocation.
    #[must_use]
    pub fn container(&self) -> Option<Container> {
        match self {
            Self::Nothing => None,
            Self::Container {
                size,
                cores,
                revision,
                addresses,
                digest,
            } => Some(Container {
                cores: cores.clone(),
                revision: revision.clone(),
                addresses: addresses.clone(),
                digest: digest.clone(),
                ..Container::from(*size)
            }),
        }
    }
}

impl Finding {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vm.is_none() && self.output.is_none() && self.addresses.is_none()
    }
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = "succeeded")]
pub enum Outcome {
    /// Everything was done.
    Succeeded,
    /// An action failed; what was done is kept.
    Failed,
    /// Somebody cancelled it; what was done is kept.
    Cancelled,
    /// An action failed, and what was done has been undone.
    RolledBack,
    /// An action failed, and undoing failed, too; what is there is kept.
    RollbackFailed,
}

impl Outcome {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
        }
    }
}

/// The direction of an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// To its target.
    #[default]
    Forward,
    /// Back to what was there before.
    Back,
}

/// An event with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}
