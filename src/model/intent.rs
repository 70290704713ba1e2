//! Intents: what somebody wants of nodes and of where tiers are, besides plans. Recorded before
//! anything is done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ids::{TierId, VmId};
use super::units::Size;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = IntentWanted, example = json!({ "kind": "drain", "node": "vm1" }))]
pub enum Wanted {
    /// The node takes nothing new; what is on it stays.
    Cordon {
        /// The node.
        #[schema(value_type = String, example = "vm1")]
        node: VmId,
    },
    /// The node may be used again.
    Uncordon {
        /// The node.
        #[schema(value_type = String, example = "vm1")]
        node: VmId,
    },
    /// The node takes nothing new, and everything on it is moved away.
    Drain {
        /// The node.
        #[schema(value_type = String, example = "vm1")]
        node: VmId,
    },
    /// A container of the tier is moved to another node.
    Migrate {
        /// The tier, by its flat name.
        #[schema(value_type = String, example = "rubis_db")]
        tier: TierId,
        /// The node that it leaves; needed if the tier is on several nodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, example = "vm1")]
        from: Option<VmId>,
        /// Where it may be moved to.
        to: Destination,
    },
    /// So many VMs are kept, used or not.
    SetCapacity {
        /// How many.
        capacity: u32,
    },
    /// The container of the tier on this node has this size; nothing to remove it.
    SetTier {
        /// The tier, by its flat name.
        #[schema(value_type = String, example = "rubis_db")]
        tier: TierId,
        /// The node.
        #[schema(value_type = String, example = "vm1")]
        node: VmId,
        /// What it holds.
        #[serde(flatten)]
        size: Size,
    },
    /// An app is as its newest request wants it.
    DeployApp {
        /// The app.
        app: String,
    },
    /// An app is removed.
    RemoveApp {
        /// The app.
        app: String,
    },
}

/// Where something may be moved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = IntentDestination, example = json!(["vm2", "vm3"]))]
pub enum Destination {
    /// To one of these nodes.
    #[schema(value_type = Vec<String>)]
    Nodes(Vec<VmId>),
    /// To a node for which this expression is true.
    Expression(String),
}

impl Wanted {
    /// Its name in JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Cordon { .. } => "cordon",
            Self::Uncordon { .. } => "uncordon",
            Self::Drain { .. } => "drain",
            Self::Migrate { .. } => "migrate",
            Self::SetCapacity { .. } => "set_capacity",
            Self::SetTier { .. } => "set_tier",
            Self::DeployApp { .. } => "deploy_app",
            Self::RemoveApp { .. } => "remove_app",
        }
    }

    /// The node that it concerns, if there is one.
    #[must_use]
    pub const fn node(&self) -> Option<&VmId> {
        match self {
            Self::Cordon { node }
            | Self::Uncordon { node }
            | Self::Drain { node }
            | Self::SetTier { node, .. } => Some(node),
            Self::Migrate { .. }
            | Self::SetCapacity { .. }
            | Self::DeployApp { .. }
            | Self::RemoveApp { .. } => None,
        }
    }

    /// The app that it is about, where it is about one.
    #[must_use]
    pub const fn app(&self) -> Option<&String> {
        match self {
            Self::DeployApp { app } | Self::RemoveApp { app } => Some(app),
            _ => None,
        }
    }
}

/// The fields that describe what is wanted, for all kinds of intents together.
#[derive(ToSchema)]
#[schema(as = IntentShownWanted, example = json!({ "kind": "drain", "node": "vm1" }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub(crate) struct Shown {
    /// What is wanted.
    #[schema(example = "drain")]
    kind: Kind,
    /// The node that it concerns, if there is one.
    #[schema(example = "vm1")]
    node: Option<String>,
    /// The tier that is to be moved.
    #[schema(example = "rubis_db")]
    tier: Option<String>,
    /// The node that it leaves.
    #[schema(example = "vm1")]
    from: Option<String>,
    /// Where it may be moved to.
    to: Option<Destination>,
    /// How many VMs are kept.
    #[schema(example = 3)]
    capacity: Option<u32>,
    /// Cores that the tier's container on the node has.
    #[schema(example = 1)]
    cpu_cores: Option<f64>,
    /// Memory units that it has.
    #[schema(example = 2)]
    mem_units: Option<u64>,
    /// The app that is deployed or removed.
    #[schema(example = "rubis")]
    app: Option<String>,
}

/// What can be wanted: that a node takes nothing new, that it may be used again, that everything on
/// it is moved away, that a tier is moved; that so many VMs are kept, that a container has a size; that an app is
/// deployed, or removed.
#[derive(ToSchema)]
#[schema(as = IntentKind, rename_all = "snake_case", example = "drain")]
#[expect(dead_code, reason = "only its shape is of interest")]
pub(crate) enum Kind {
    Cordon,
    Uncordon,
    Drain,
    Migrate,
    SetCapacity,
    SetTier,
    DeployApp,
    RemoveApp,
}

/// How far an intent is: not begun; being carried out, by an execution; what was wanted is so; nothing was done,
/// and the reasons say why; its execution did not succeed; it was taken back before it began.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    strum::EnumString,
    strum::VariantNames,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = IntentState, example = "running")]
pub enum State {
    /// It has not begun.
    Pending,
    /// An execution carries it out.
    Running,
    /// It is carried out.
    Done,
    /// Nothing was done.
    Refused,
    /// Its execution did not succeed.
    Failed,
    /// It was taken back before it began.
    Cancelled,
}

impl State {
    /// Whether it is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Done | Self::Refused | Self::Failed | Self::Cancelled => true,
        }
    }

    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What somebody wants, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "kind": "drain", "node": "vm1", "state": "running",
    "execution": "01a1fc6c-c051-7783-a1ac-3b147b0973c1", "reasons": [], "by": "operator",
    "created_at": "2026-11-21T06:00:00Z", "changed_at": "2026-11-21T06:00:01Z" }))]
pub struct Intent {
    /// Its id.
    #[schema(value_type = String, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    pub id: Uuid,
    /// What is wanted.
    #[serde(flatten)]
    #[schema(value_type = Shown)]
    pub wanted: Wanted,
    /// How far it is.
    pub state: State,
    /// The execution that carries it out; null if there is none.
    #[schema(value_type = Option<String>, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c1")]
    pub execution: Option<Uuid>,
    /// Why it was refused, failed, was cancelled, or waits.
    #[schema(example = json!([]))]
    pub reasons: Vec<String>,
    /// The name of the token that asked for it; `anonymous` if there was none.
    #[schema(example = "operator")]
    pub by: String,
    /// When the request came.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:01Z")]
    pub changed_at: Timestamp,
}

/// A cordon: a node takes nothing new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cordon {
    /// The intent that asked for it.
    pub intent: Uuid,
    /// Who asked.
    pub by: String,
    /// Since when, for people.
    pub since: Timestamp,
}

impl Cordon {
    /// As a sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("cordoned by {} since {}", self.by, self.since)
    }
}
