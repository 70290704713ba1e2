//! The plan that holds: the last one that somebody wanted, or that the service went back to by
//! itself. It is on record, with its execution, before it is carried out. Pure.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::execute::{Frozen, Outcome, Reconcile};

/// The plan that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The plan, as it was sent.
    pub plan: Value,
    /// When it was accepted.
    pub since: Timestamp,
    /// The name of who asked for it.
    pub by: String,
    /// The execution that it was first wanted with.
    pub execution: Uuid,
    /// What came of it.
    pub reach: Reach,
}

/// What came of a plan.
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
    /// What holds once that is on record.
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
            // It was reached once. A repair that failed is in the history; what differs is looked at.
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

    /// What an execution that brings this plan back is marked with.
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

/// `state` of the plan that holds, as in JSON.
#[must_use]
pub fn state(desired: Option<&Desired>, differs: bool) -> &'static str {
    match desired.map(|desired| desired.reach) {
        None => "none",
        Some(Reach::UnderWay) => "under_way",
        Some(Reach::Reached) if differs => "drifted",
        Some(Reach::Reached) => "reached",
        Some(Reach::Failed) => "failed",
    }
}
