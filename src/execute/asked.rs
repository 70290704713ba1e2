//! Who asked for an execution, and what for. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Who asked for a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The name of the token; `anonymous` if there was none; `mapek` if the service acted by
    /// itself.
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

/// Why `mapek` began an execution by itself, to restore what should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "reasons": ["rubis_db on vm 'vm1' is stopped: not running"],
    "plan_of": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "since": "2026-11-21T06:00:00Z", "by": "planner" }))]
pub struct Reconcile {
    /// What differed, for a person.
    #[schema(example = json!(["rubis_db on vm 'vm1' is stopped: not running"]))]
    pub reasons: Vec<String>,
    /// The execution that first reached the plan.
    #[schema(value_type = String, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    pub plan_of: Uuid,
    /// When that execution was accepted.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub since: Timestamp,
    /// The name of the token with which it was requested.
    #[schema(example = "planner")]
    pub by: String,
}
