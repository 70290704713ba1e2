//! Who asked for an execution, and what for. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who asked for a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The name of the token; `anonymous` without one; `mapek` where the service acted by itself.
    #[serde(rename = "by")]
    pub name: String,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's id, as in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl By {
    /// The service itself.
    #[must_use]
    pub fn itself() -> Self {
        Self {
            name: "mapek".to_owned(),
            ..Self::default()
        }
    }
}

/// Why the service set out to restore a plan by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    /// What differed from what should be, each for a person.
    pub reasons: Vec<String>,
    /// The execution that first reached the plan.
    pub plan_of: Uuid,
    /// When that was accepted.
    pub since: Timestamp,
    /// The name of who asked for it.
    pub by: String,
}
