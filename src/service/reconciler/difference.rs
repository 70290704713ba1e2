//! How what runs can differ from what should run, and where. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::VmId;

use crate::service::reconciler::drift::Drift;

/// How something differs: it is not there, does not run, is paused, ends again and again, is
/// unhealthy, holds something else than it should, was made from an earlier revision, looks for a
/// dependency where that is not any more, is not in the
/// allocation, or a container that is not ours has its name; its VM can't be asked, has another
/// engine, or could not be asked for so long that it counts as lost; less of the tier is held than
/// the plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DifferenceKind, example = "stopped")]
pub enum Kind {
    /// The allocation has it, but its engine does not, or its VM is gone.
    Missing,
    /// It is there and does not run.
    Stopped,
    /// It is paused: it holds its part and does nothing.
    Paused,
    /// It ends again and again, and is between two restarts.
    Restarting,
    /// Its health check fails.
    Unhealthy,
    /// It holds something else than it should.
    Resized,
    /// It was made from an earlier revision of its tier: the next plan that is executed replaces it.
    Outdated,
    /// It looks for a dependency where that is not any more: the next execution replaces it.
    StaleAddress,
    /// Its engine has it, the allocation does not.
    Unknown,
    /// A container that is not ours has its name.
    Foreign,
    /// Its VM can't be asked.
    Unreachable,
    /// Another engine answers in place of the one that it was put on.
    EngineChanged,
    /// Its VM could not be asked for so long that it counts as lost.
    Lost,
    /// The allocation holds less of a tier than the plan asks for.
    Short,
    /// A hook of it is still to run: the next execution runs it.
    HookOwed,
}

impl Kind {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Unhealthy => "unhealthy",
            Self::Resized => "resized",
            Self::Outdated => "outdated",
            Self::StaleAddress => "stale_address",
            Self::Unknown => "unknown",
            Self::Foreign => "foreign",
            Self::Unreachable => "unreachable",
            Self::EngineChanged => "engine_changed",
            Self::Lost => "lost",
            Self::Short => "short",
            Self::HookOwed => "hook_owed",
        }
    }
}

/// Where something differs: a container and its VM, or a whole tier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The VM.
    pub vm: Option<VmId>,
    /// The container, or the tier.
    pub container: String,
}

/// The result of one look: how each place differs, and in what, for people.
pub type Look = BTreeMap<Place, (Kind, Vec<String>)>;

/// How what runs differs from what should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "vm": "vm1", "container": "rubis_db", "kind": "stopped", "details": ["not running"],
    "since": "2026-11-21T06:00:00Z" }))]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The VM; null if it concerns a whole tier.
    #[schema(value_type = Option<String>, example = "vm1")]
    pub vm: Option<VmId>,
    /// The container, or the tier.
    #[schema(example = "rubis_db")]
    pub container: String,
    /// How it differs.
    pub kind: Kind,
    /// In what, for a person.
    #[schema(example = json!(["not running"]))]
    pub details: Vec<String>,
    /// Since when this has been seen.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub since: Timestamp,
}

impl From<&Drift> for Kind {
    fn from(drift: &Drift) -> Self {
        match drift {
            Drift::Missing => Self::Missing,
            Drift::Unknown => Self::Unknown,
            Drift::Stopped => Self::Stopped,
            Drift::Paused => Self::Paused,
            Drift::Restarting => Self::Restarting,
            Drift::Unhealthy => Self::Unhealthy,
            Drift::Resized { .. } => Self::Resized,
            Drift::Outdated { .. } => Self::Outdated,
            Drift::StaleAddress(_) => Self::StaleAddress,
            Drift::Foreign { .. } => Self::Foreign,
            Drift::Unreachable { .. } => Self::Unreachable,
            Drift::EngineChanged { .. } => Self::EngineChanged,
        }
    }
}
