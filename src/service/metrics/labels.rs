//! Labels. Each value makes a series of its own, so there are only a few.

use prometheus_client::encoding::EncodeLabelSet;

use crate::translate::Action;

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    pub outcome: &'static str,
}

/// The result of placing a plan again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Replan {
    pub result: &'static str,
}

/// The result of a search for a placement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Solved {
    pub result: &'static str,
}

/// The number of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Stage {
    pub stage: &'static str,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    pub kind: &'static str,
}

/// What an action does, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Done {
    pub kind: &'static str,
    pub outcome: &'static str,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Stands {
    pub standing: &'static str,
}

/// Which part of what there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Share {
    pub share: &'static str,
}

/// The number of a stage, as a label of which there are only so many.
pub fn ordinal(stage: usize) -> &'static str {
    const NAMES: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    NAMES.get(stage).copied().unwrap_or("later")
}

/// Every [`kind`].
pub const KINDS: [&str; 8] = [
    "create_vm",
    "delete_vm",
    "create_container",
    "update_container",
    "replace_container",
    "delete_container",
    "run_scale_hook",
    "run_tier_hook",
];

/// What an action does, in one word.
pub const fn kind(action: &Action) -> &'static str {
    match action {
        Action::CreateVm { .. } => "create_vm",
        Action::DeleteVm { .. } => "delete_vm",
        Action::CreateContainer { .. } => "create_container",
        Action::UpdateContainer { .. } => "update_container",
        Action::ReplaceContainer { .. } => "replace_container",
        Action::DeleteContainer { .. } => "delete_container",
        Action::RunScaleHook { .. } => "run_scale_hook",
        Action::RunTierHook { .. } => "run_tier_hook",
    }
}
