//! The plan that holds: the last one that somebody sent, or that the service went back to by
//! itself. It is recorded, with its execution, before it is carried out. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::execute::{Frozen, Outcome, Reconcile};
use crate::model::Plan;

use super::reconciler::Difference;

/// The plan that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The plan, as it was sent.
    pub plan: Value,
    /// When it was accepted.
    pub since: Timestamp,
    /// The name of the token with which it was requested.
    pub by: String,
    /// The execution with which it was first sent.
    pub execution: Uuid,
    /// Whether it was reached.
    pub reach: Reach,
}

/// How far a plan got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its execution has not ended.
    UnderWay,
    /// What it asks for was there at the end of its execution.
    Reached,
    /// Its execution failed, or was cancelled or undone.
    Failed,
}

impl Desired {
    /// The plan that holds once this is recorded.
    #[must_use]
    pub fn of(frozen: &Frozen, outcome: Option<Outcome>) -> Self {
        let reach = match outcome {
            None => Reach::UnderWay,
            Some(Outcome::Succeeded) => Reach::Reached,
            Some(Outcome::Failed | Outcome::Cancelled | Outcome::RolledBack | Outcome::RollbackFailed) => {
                Reach::Failed
            }
        };
        let (since, by, execution, reach) = match &frozen.reconcile {
            // It was reached once. A repair that failed is in the history; drift is looked for.
            Some(back) if reach == Reach::Failed => {
                (back.since, back.by.clone(), back.plan_of, Reach::Reached)
            }
            Some(back) => (back.since, back.by.clone(), back.plan_of, reach),
            None => (
                frozen.created_at,
                frozen.requested_by.name.clone(),
                frozen.id,
                reach,
            ),
        };
        Self {
            plan: frozen.plan.clone(),
            since,
            by,
            execution,
            reach,
        }
    }

    /// The mark of an execution that brings this plan back.
    #[must_use]
    pub fn reconcile(&self, reasons: Vec<String>) -> Reconcile {
        Reconcile {
            reasons,
            plan_of: self.execution,
            since: self.since,
            by: self.by.clone(),
        }
    }
}

/// The plan that holds, and whether it was reached.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({ "plan": { "rubis": { "db": { "cpu_cores": 2, "mem_units": 2 } } },
    "since": "2026-11-21T06:00:00Z", "by": "planner", "execution": "01a1fc6c-c051-7783-a1ac-3b147b0973c0",
    "state": "reached", "differences": [], "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct PlanThatHolds {
    /// The plan as it was sent; null before the first.
    #[schema(value_type = Option<Plan>)]
    pub plan: Option<Value>,
    /// When it was accepted.
    #[schema(value_type = Option<String>, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub since: Option<Timestamp>,
    /// The name of the token that asked for it; `anonymous` without one.
    #[schema(example = "planner")]
    pub by: Option<String>,
    /// The execution with which it was sent.
    #[schema(value_type = Option<String>, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    pub execution: Option<Uuid>,
    /// Whether it was reached.
    pub state: PlanState,
    /// What differed from it at the last look.
    pub differences: Vec<Difference>,
}

/// The state of the plan that holds: there is none yet; its execution has not ended; what it asks
/// for is there; it was, and something differs now; its execution failed, was cancelled or undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = "reached")]
pub enum PlanState {
    /// There is none.
    None,
    /// Its execution has not ended.
    UnderWay,
    /// What it asks for is there.
    Reached,
    /// It was, and something differs now.
    Drifted,
    /// Its execution failed, was cancelled or undone.
    Failed,
}

impl PlanThatHolds {
    /// From what is on record, and what differs now.
    #[must_use]
    pub fn of(desired: Option<&Desired>, differences: Vec<Difference>) -> Self {
        let state = match desired.map(|desired| desired.reach) {
            None => PlanState::None,
            Some(Reach::UnderWay) => PlanState::UnderWay,
            Some(Reach::Reached) if !differences.is_empty() => PlanState::Drifted,
            Some(Reach::Reached) => PlanState::Reached,
            Some(Reach::Failed) => PlanState::Failed,
        };
        Self {
            plan: desired.map(|desired| desired.plan.clone()),
            since: desired.map(|desired| desired.since),
            by: desired.map(|desired| desired.by.clone()),
            execution: desired.map(|desired| desired.execution),
            state,
            differences,
        }
    }
}
