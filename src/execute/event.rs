//! What can happen to an execution, as it is recorded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::VmId;

/// One thing that happened. `action` counts through all stages, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An action is about to have its effect.
    ActionStarted {
        /// Which.
        action: usize,
        /// Counted from 1.
        attempt: u32,
    },
    /// An action's effect is confirmed.
    ActionSucceeded {
        /// Which.
        action: usize,
        /// What it brought to light.
        #[serde(default, skip_serializing_if = "Finding::is_empty")]
        finding: Finding,
    },
    /// An action failed and is not tried again.
    ActionFailed {
        /// Which.
        action: usize,
        /// Why, for a person.
        error: String,
        /// The kind of failure, from the table of error codes.
        code: String,
        /// Hook output or the like.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    /// Nothing more happens.
    Finished {
        /// How it ended.
        outcome: Outcome,
    },
}

/// What an action brought to light.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The VM that was made, under its real name and address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<FoundVm>,
    /// Output of hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
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

impl Finding {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vm.is_none() && self.output.is_none()
    }
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done.
    Succeeded,
    /// An action failed; what was done is kept.
    Failed,
    /// Somebody cancelled it; what was done is kept.
    Cancelled,
    /// The service was told to stop; what was done is kept.
    Stopped,
    /// The service ended without warning; found on the next start.
    Interrupted,
}

impl Outcome {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }
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
