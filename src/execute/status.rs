//! Where one action stands, and how it came to that. Pure.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::event::HookRun;

/// Where one action stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StepState, example = "succeeded")]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// Begun; its effect may or may not have happened.
    Running,
    /// Its effect is confirmed.
    Succeeded,
    /// It failed.
    Failed,
    /// It is not begun, because of another that failed.
    Skipped,
}

/// One action's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionState {
    /// Where it stands.
    pub state: Status,
    /// How often it was begun.
    #[schema(example = 1)]
    pub attempts: u32,
    /// When it was first begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time", example = "2026-11-21T06:00:03Z")]
    pub finished_at: Option<Timestamp>,
    /// How far it is, where it takes long; how far it got, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "instance i-0abc is Pending")]
    pub progress: Option<String>,
    /// The run of a hook that was begun last.
    #[serde(skip)]
    pub hook: Option<HookRun>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "no answer within 30 s")]
    pub error: Option<String>,
    /// The failure's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "engine_timeout")]
    pub code: Option<String>,
    /// True where it failed, and something may be there that the record does not know of.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(value_type = Option<bool>, example = true)]
    pub unknown: bool,
    /// What its hooks said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2 workers")]
    pub output: Option<String>,
    /// The failed action for which it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0)]
    pub because: Option<usize>,
}
