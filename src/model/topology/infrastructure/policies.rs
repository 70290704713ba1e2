//! What becomes of a plan, or an execution, where something is not as it was thought to be.

use strum::{EnumString, VariantNames};
use utoipa::ToSchema;

/// What happens to a plan if containers that are not mapek's have no limits, so that what they may
/// take can't be counted: they are named in a warning; the plan is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, VariantNames, ToSchema)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(example = "refuse")]
pub enum OnForeign {
    /// The containers are named in a warning.
    #[default]
    Warn,
    /// The plan is refused.
    Refuse,
}

/// What an execution does when an action fails for good: what was done is kept; what was done is
/// undone; what does not depend on the failed action is still done.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    EnumString,
    VariantNames,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(example = "rollback")]
pub enum OnFailure {
    /// It ends; what was done is kept.
    #[default]
    Stop,
    /// What was done is undone.
    Rollback,
    /// What does not depend on the failed action is still done.
    Continue,
}

/// What an execution does when fewer VMs come than it asked for: it fails, as after any other
/// failure; the same plan is placed once more, on the VMs that are there.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    EnumString,
    VariantNames,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(example = "replan")]
pub enum OnShortage {
    /// It fails, as after any other failure.
    #[default]
    Fail,
    /// The same plan is placed once more, on the VMs that are there.
    Replan,
}
