//! A line of the history: what is shown of an execution without reading all of it. Pure.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::asked::Reconcile;
use super::event::Outcome;
use super::frozen::Frozen;
use super::record::Execution;
use super::status::Status;

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "state": "succeeded",
    "created_at": "2026-11-21T06:00:00Z", "finished_at": "2026-11-21T06:00:03Z", "actions": 10, "actions_done": 10,
    "requested_by": "planner", "reconcile": null }))]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Its id.
    #[schema(value_type = String, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    pub id: Uuid,
    /// Its state.
    pub state: Standing,
    /// When it was accepted.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub created_at: Timestamp,
    /// When it ended; null while it runs.
    #[schema(value_type = Option<String>, format = "date-time", example = "2026-11-21T06:00:03Z")]
    pub finished_at: Option<Timestamp>,
    /// How many actions it has, including those after a replan and those of a rollback.
    #[schema(example = 10)]
    pub actions: u64,
    /// How many of them are done.
    #[schema(example = 10)]
    pub actions_done: u64,
    /// The name of the token that asked for it; `anonymous` if there was none; `mapek` for a
    /// repair.
    #[schema(example = "planner")]
    pub requested_by: String,
    /// Why `mapek` began it by itself, if it did.
    pub reconcile: Option<Reconcile>,
}

/// The state of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended.
    Running,
    /// It has not ended, and waits for a person to decide.
    Held,
    /// It has ended.
    Ended(Outcome),
}

impl Standing {
    /// All of them, in the order in which they are listed to people.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Held,
        Self::Ended(Outcome::Succeeded),
        Self::Ended(Outcome::Failed),
        Self::Ended(Outcome::Cancelled),
        Self::Ended(Outcome::RolledBack),
        Self::Ended(Outcome::RollbackFailed),
    ];

    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Held => "held",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }

    /// From its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// The names that [`Standing::as_str`] returns.
impl PartialSchema for Standing {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "`running`, `held` where it waits for a person, or how it ended.",
            ))
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .examples([serde_json::json!("running")])
            .into()
    }
}

impl ToSchema for Standing {
    fn name() -> std::borrow::Cow<'static, str> {
        "ExecutionState".into()
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Frozen {
    /// Its line in the history before anything has happened.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            id: self.id,
            state: Standing::Running,
            created_at: self.created_at,
            finished_at: None,
            actions: count(self.actions().count()),
            actions_done: 0,
            requested_by: self.requested_by.name.clone(),
            reconcile: self.reconcile.clone(),
        }
    }
}

impl Execution {
    /// Its state.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self.progress.outcome {
            Some(outcome) => Standing::Ended(outcome),
            None if self.progress.held => Standing::Held,
            None => Standing::Running,
        }
    }

    /// Its line in the history.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let done = |state: &&super::status::ActionState| state.state == Status::Succeeded;
        Summary {
            state: self.standing(),
            finished_at: self.progress.finished_at,
            actions: count(self.progress.actions.len()),
            actions_done: count(self.progress.actions.iter().filter(done).count()),
            ..self.frozen.summary()
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
