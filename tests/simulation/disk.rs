//! The service's record, on a disk that outlives the service, can be full, and can be cut off at
//! every write. Inside is the real journal, on SQLite.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use mapek::execute::{Event, Frozen, Outcome, Seal, Stamped};
use mapek::journal::{
    CordonChange, DesiredChange, History, Journal, JournalError, Kept, Pruned, Retention, SqliteJournal,
};
use mapek::model::intent::{Cordon, Intent};
use mapek::model::{Change, Registration, Registrations, RevisionKey, VmId};
use serde_json::Value;
use uuid::Uuid;

use crate::world::World;

pub struct SimulatedDisk {
    world: World,
    journal: SqliteJournal,
}

impl SimulatedDisk {
    pub fn new(world: World, journal: SqliteJournal) -> Self {
        Self { world, journal }
    }

    /// Writes, where it is to be: the service may be killed before and after.
    fn write<T>(
        &mut self,
        note: impl FnOnce(&World) -> Option<String>,
        write: impl FnOnce(&mut SqliteJournal) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        {
            let mut state = self.world.lock();
            if state.step_here(&self.world.over) {
                return Err(killed());
            }
            if state.disk_full_until > state.now() {
                return Err(full());
            }
        }
        let done = write(&mut self.journal)?;
        let broken = note(&self.world);
        if let Some(promise) = broken {
            self.world.broken(promise);
        }
        if self.world.lock().step_here(&self.world.over) {
            return Err(killed());
        }
        Ok(done)
    }
}

fn full() -> JournalError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    JournalError::Database(rusqlite::Error::SqliteFailure(code, None))
}

/// Nobody is there any more to read it.
fn killed() -> JournalError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
    JournalError::Database(rusqlite::Error::SqliteFailure(code, None))
}

fn record(world: &World, id: Uuid, event: &Event) -> Option<String> {
    let state = &mut *world.lock();
    state.settle();
    let now = state.now();
    let name = state.checks.name(id);
    let about = event.action().map(|index| state.checks.action(id, index));
    let text = match event {
        Event::ActionStarted { attempt: 1, .. } => "begins".to_owned(),
        Event::ActionStarted { attempt, .. } => format!("tries again ({attempt})"),
        Event::ActionSucceeded { .. } => "confirms".to_owned(),
        Event::ActionFailed { error, left, .. } => format!("fails ({error}), leaving {left:?}:"),
        Event::AttemptFailed { error, .. } => format!("stumbles ({error}):"),
        other => format!("{other:?}"),
    };
    state.note(&format!("{name} {text} {}", about.unwrap_or_default()));
    state
        .checks
        .record(id, event, now, &state.machines, state.group.as_ref())
}

impl Journal for SimulatedDisk {
    fn load(&self) -> Result<Kept, JournalError> {
        self.journal.load()
    }

    fn revision_key(&self) -> RevisionKey {
        self.journal.revision_key()
    }

    fn generations(&self) -> Result<Vec<u64>, JournalError> {
        self.journal.generations()
    }

    fn topology(&self, generation: u64) -> Result<Option<Value>, JournalError> {
        self.journal.topology(generation)
    }

    fn put_topology(&mut self, document: &Value) -> Result<u64, JournalError> {
        self.write(|_| None, |journal| journal.put_topology(document))
    }

    fn begin(&mut self, execution: &Frozen) -> Result<(), JournalError> {
        let note = |world: &World| {
            let state = &mut *world.lock();
            let now = state.now();
            let broken = state
                .checks
                .begin(execution, now, state.group.as_ref().map(|group| group.desired));
            let name = state.checks.name(execution.id);
            state.note(&format!("{name} is begun by {}", execution.requested_by.name));
            for (index, stage) in execution.stages.iter().enumerate() {
                for action in stage {
                    state.note(&format!("  stage {index}: {action}"));
                }
            }
            broken
        };
        self.write(note, |journal| journal.begin(execution))
    }

    fn record(&mut self, execution: Uuid, event: &Stamped, changes: &[Change]) -> Result<(), JournalError> {
        self.write(
            |world| record(world, execution, &event.event),
            |journal| journal.record(execution, event, changes),
        )
    }

    fn note(&mut self, event: &Value, changes: &[Change]) -> Result<(), JournalError> {
        self.write(|_| None, |journal| journal.note(event, changes))
    }

    fn check(&mut self) -> Result<(), JournalError> {
        self.write(|_| None, Journal::check)
    }

    fn checkpoint(&mut self) -> Result<(), JournalError> {
        self.write(|_| None, Journal::checkpoint)
    }

    fn seal(&mut self, seal: &Seal) -> Result<(), JournalError> {
        self.write(|_| None, |journal| journal.seal(seal))
    }

    fn prune(&mut self, retention: &Retention, now: Timestamp) -> Result<Pruned, JournalError> {
        self.write(|_| None, |journal| journal.prune(retention, now))
    }

    fn keep_engine_id(&mut self, vm: &VmId, engine: Option<&str>) -> Result<(), JournalError> {
        self.write(|_| None, |journal| journal.keep_engine_id(vm, engine))
    }

    fn owner(&self) -> Uuid {
        self.journal.owner()
    }

    fn adopted(&self) -> Result<BTreeSet<String>, JournalError> {
        self.journal.adopted()
    }

    fn adopt(&mut self, owner: &str, event: &Value, changes: &[Change]) -> Result<(), JournalError> {
        self.write(|_| None, |journal| journal.adopt(owner, event, changes))
    }

    fn engine_ids(&self) -> Result<BTreeMap<VmId, String>, JournalError> {
        self.journal.engine_ids()
    }

    fn sealed(&self, id: &str) -> Result<Option<Seal>, JournalError> {
        self.journal.sealed(id)
    }

    fn under_key(&self, key: &str) -> Result<Option<Uuid>, JournalError> {
        self.journal.under_key(key)
    }

    fn newest(&self, outcome: Option<Outcome>) -> Result<Option<Uuid>, JournalError> {
        self.journal.newest(outcome)
    }

    fn keep_intent(
        &mut self,
        intent: &Intent,
        cordon: Option<&CordonChange>,
        event: &Value,
    ) -> Result<(), JournalError> {
        self.write(|_| None, |journal| journal.keep_intent(intent, cordon, event))
    }

    fn open_intents(&self) -> Result<Vec<Intent>, JournalError> {
        self.journal.open_intents()
    }

    fn cordons(&self) -> Result<BTreeMap<VmId, Cordon>, JournalError> {
        self.journal.cordons()
    }

    fn keep_desired(&mut self, change: &DesiredChange) -> Result<Option<u64>, JournalError> {
        self.write(|_| None, |journal| journal.keep_desired(change))
    }

    fn desired(&self) -> Result<BTreeMap<String, Value>, JournalError> {
        self.journal.desired()
    }

    fn keep_node(
        &mut self,
        node: &VmId,
        registration: Option<&Registration>,
        event: &Value,
    ) -> Result<(), JournalError> {
        self.write(|_| None, |journal| journal.keep_node(node, registration, event))
    }

    fn nodes(&self) -> Result<Registrations, JournalError> {
        self.journal.nodes()
    }

    fn unfinished(&self) -> Result<Vec<Uuid>, JournalError> {
        self.journal.unfinished()
    }

    fn history(&self) -> Arc<dyn History> {
        self.journal.history()
    }
}
