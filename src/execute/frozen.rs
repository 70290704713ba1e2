//! What is fixed about an execution before its first effect.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::Allocation;
use crate::model::topology::{OnFailure, OnShortage};
use crate::translate::{Action, Stage};

use super::asked::{By, Reconcile};
use super::pinned::Pinned;

/// What is fixed before the first effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// Its id; ids sort by time.
    pub id: Uuid,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The plan as it was sent.
    pub plan: Value,
    /// The generation of the topology that it was made for; 0 in old records, which did not have
    /// it.
    #[serde(default)]
    pub generation: u64,
    /// The allocation before.
    pub from: Pinned,
    /// The allocation to reach.
    pub target: Allocation,
    /// The actions.
    pub stages: Vec<Stage>,
    /// The commit, or content hash, of the hooks; None if none is run.
    pub hooks_revision: Option<String>,
    /// What to do when an action fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What to do when fewer VMs come than are asked for.
    #[serde(default)]
    pub on_shortage: OnShortage,
    /// The client's `Idempotency-Key`: the same request under the same key is carried out once.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// A hash of everything that the request with that key asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The sealed plan that it carries out, if it does.
    #[serde(default)]
    pub plan_id: Option<String>,
    /// Who asked for it.
    #[serde(default)]
    pub requested_by: By,
    /// Why the service began it by itself, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<Reconcile>,
    /// The intent that it carries out, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Uuid>,
}

impl Frozen {
    /// The actions of all stages, in order.
    pub fn actions(&self) -> impl Iterator<Item = (usize, &Action)> {
        self.stages.iter().flatten().enumerate()
    }
}
