//! For tests of crashes: a journal that ends the process at a chosen record, as `kill -9` does.
//!
//! Built only with debug assertions, so that no release has it.

use std::collections::{BTreeMap, BTreeSet};
use std::process;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::execute::{Frozen, Outcome, Seal, Stamped};
use crate::model::intent::{Cordon, Intent};
use crate::model::{Change, Registration, Registrations, RevisionKey, VmId};

use super::{CordonChange, DesiredChange, History, Journal, JournalError, Kept, Pruned, Retention};

/// A journal around another one.
pub struct KillingJournal<J> {
    inner: J,
    at: KillAt,
    written: u64,
}

/// When the process ends: before or after a record about executions is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KillAt {
    /// The effect has happened, but its record is missing.
    Before(Record),
    /// The record is there, but nothing after it has happened.
    After(Record),
}

/// One of the records that are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// By its number since the process started, from 1. The record that begins an execution counts,
    /// too.
    Number(u64),
    /// The first of an event of this name.
    Of(String),
}

impl Record {
    fn is(&self, number: u64, event: Option<&Stamped>) -> bool {
        match self {
            Self::Number(wanted) => number == *wanted,
            Self::Of(name) => event
                .and_then(|event| serde_json::to_value(event).ok())
                .is_some_and(|event| event.get("event").and_then(Value::as_str) == Some(name)),
        }
    }
}

impl KillAt {
    /// From `before:N` or `after:N`, where N is a number or the name of an event.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (moment, record) = text.split_once(':')?;
        let record = match record.parse() {
            Ok(number) => Record::Number(number),
            Err(_) => Record::Of(record.to_owned()),
        };
        match moment {
            "before" => Some(Self::Before(record)),
            "after" => Some(Self::After(record)),
            _ => None,
        }
    }
}

impl<J: Journal> KillingJournal<J> {
    /// Around `inner`.
    pub fn new(inner: J, at: KillAt) -> Self {
        Self {
            inner,
            at,
            written: 0,
        }
    }

    fn around<T>(
        &mut self,
        event: Option<&Stamped>,
        write: impl FnOnce(&mut J) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        self.written += 1;
        if matches!(&self.at, KillAt::Before(record) if record.is(self.written, event)) {
            die();
        }
        let result = write(&mut self.inner);
        if matches!(&self.at, KillAt::After(record) if record.is(self.written, event)) {
            die();
        }
        result
    }
}

/// Ends the process without cleaning up.
fn die() -> ! {
    let id = process::id().to_string();
    // The signal takes effect at once. If there is no `kill`, abort does not clean up either.
    let _ = process::Command::new("kill").args(["-9", &id]).status();
    process::abort()
}

impl<J: Journal> Journal for KillingJournal<J> {
    fn load(&self) -> Result<Kept, JournalError> {
        self.inner.load()
    }

    fn owner(&self) -> Uuid {
        self.inner.owner()
    }

    fn adopted(&self) -> Result<BTreeSet<String>, JournalError> {
        self.inner.adopted()
    }

    fn adopt(&mut self, owner: &str, event: &Value, changes: &[Change]) -> Result<(), JournalError> {
        self.inner.adopt(owner, event, changes)
    }

    fn engine_ids(&self) -> Result<BTreeMap<VmId, String>, JournalError> {
        self.inner.engine_ids()
    }

    fn keep_engine_id(&mut self, vm: &VmId, engine: Option<&str>) -> Result<(), JournalError> {
        self.inner.keep_engine_id(vm, engine)
    }

    fn revision_key(&self) -> RevisionKey {
        self.inner.revision_key()
    }

    fn generations(&self) -> Result<Vec<u64>, JournalError> {
        self.inner.generations()
    }

    fn topology(&self, generation: u64) -> Result<Option<Value>, JournalError> {
        self.inner.topology(generation)
    }

    fn put_topology(&mut self, document: &Value) -> Result<u64, JournalError> {
        self.inner.put_topology(document)
    }

    fn begin(&mut self, execution: &Frozen) -> Result<(), JournalError> {
        self.around(None, |inner| inner.begin(execution))
    }

    fn record(&mut self, execution: Uuid, event: &Stamped, changes: &[Change]) -> Result<(), JournalError> {
        self.around(Some(event), |inner| inner.record(execution, event, changes))
    }

    fn note(&mut self, event: &Value, changes: &[Change]) -> Result<(), JournalError> {
        self.inner.note(event, changes)
    }

    fn check(&mut self) -> Result<(), JournalError> {
        self.inner.check()
    }

    fn checkpoint(&mut self) -> Result<(), JournalError> {
        self.inner.checkpoint()
    }

    fn seal(&mut self, seal: &Seal) -> Result<(), JournalError> {
        self.inner.seal(seal)
    }

    fn sealed(&self, id: &str) -> Result<Option<Seal>, JournalError> {
        self.inner.sealed(id)
    }

    fn under_key(&self, key: &str) -> Result<Option<Uuid>, JournalError> {
        self.inner.under_key(key)
    }

    fn newest(&self, outcome: Option<Outcome>) -> Result<Option<Uuid>, JournalError> {
        self.inner.newest(outcome)
    }

    fn keep_intent(
        &mut self,
        intent: &Intent,
        cordon: Option<&CordonChange>,
        event: &Value,
    ) -> Result<(), JournalError> {
        self.around(None, |inner| inner.keep_intent(intent, cordon, event))
    }

    fn open_intents(&self) -> Result<Vec<Intent>, JournalError> {
        self.inner.open_intents()
    }

    fn cordons(&self) -> Result<BTreeMap<VmId, Cordon>, JournalError> {
        self.inner.cordons()
    }

    fn keep_desired(&mut self, change: &DesiredChange) -> Result<Option<u64>, JournalError> {
        self.around(None, |inner| inner.keep_desired(change))
    }

    fn desired(&self) -> Result<BTreeMap<String, Value>, JournalError> {
        self.inner.desired()
    }

    fn keep_node(
        &mut self,
        node: &VmId,
        registration: Option<&Registration>,
        event: &Value,
    ) -> Result<(), JournalError> {
        self.inner.keep_node(node, registration, event)
    }

    fn nodes(&self) -> Result<Registrations, JournalError> {
        self.inner.nodes()
    }

    fn unfinished(&self) -> Result<Vec<Uuid>, JournalError> {
        self.inner.unfinished()
    }
    fn prune(&mut self, retention: &Retention, now: Timestamp) -> Result<Pruned, JournalError> {
        self.inner.prune(retention, now)
    }

    fn history(&self) -> Arc<dyn History> {
        self.inner.history()
    }
}
