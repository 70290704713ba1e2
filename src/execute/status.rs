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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ActionState {
    /// Where it stands.
    pub state: Status,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was first begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How far it is, where it takes long; how far it got, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The run of a hook that was begun last.
    #[serde(skip)]
    pub hook: Option<HookRun>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The failure's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether it failed, and something may be there that the record does not know of.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// Output of hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The failed action for which it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<usize>,
}
