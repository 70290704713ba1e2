//! A line of the history: what is told of an execution without reading all of it. Pure.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::asked::Reconcile;
use super::event::Outcome;
use super::record::{Execution, Frozen};
use super::status::Status;

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: Uuid,
    /// Where it stands.
    pub state: Standing,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its actions, those of a second way out and of the way back too.
    pub actions: u64,
    /// Those that are done.
    pub actions_done: u64,
    /// The name of who asked for it.
    pub requested_by: String,
    /// Why the service began it by itself, where it did.
    pub reconcile: Option<Reconcile>,
}

/// Where an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended.
    Running,
    /// It has not ended, and waits for a person.
    Held,
    /// It has ended.
    Ended(Outcome),
}

impl Standing {
    /// All there are, in the order in which they are listed to people.
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
    /// Where it stands.
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
