//! The state of one action, and its history. Pure.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::event::HookRun;

/// The state of one action.
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
    /// It is not begun, because another one failed.
    Skipped,
}

/// One action's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionState {
    /// Its state.
    pub state: Status,
    /// How many times it was begun.
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
    /// Its progress, if it takes long; once it has ended, how far it got.
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
    /// True if it failed, and something may be there that the record does not know.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(value_type = Option<bool>, example = true)]
    pub unknown: bool,
    /// The output of its hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2 workers")]
    pub output: Option<String>,
    /// The failed action for which it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0)]
    pub because: Option<usize>,
}
