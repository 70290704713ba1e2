//! The current state and its record: whatever changes, changes here, and on disk first.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::execute::{By, Event, Execution, Frozen, Illegal, Outcome, Progress, Seal, Stamped, confirmed};
use crate::fault::{Code, Fault};
use crate::journal::{CordonChange, Journal, JournalError, Pruned, Retention};
use crate::model::intent::{Intent, State};
use crate::model::{Allocation, Change, TierId, Topology, VmId};
use crate::outside::Outside;
use crate::translate::Action;

use super::Snapshot;
use super::desired::Desired;
use super::document::Tags;
use super::identity::Known;
use super::observation::Difference;
use super::replay::{Before, replay, take_up};
use super::revisions;

#[cfg(test)]
mod tests;

/// The record and what it adds up to.
pub struct Book {
    journal: Box<dyn Journal>,
    /// The current state itself, as everyone sees it: there is no second copy to keep in step.
    now: watch::Sender<Arc<Snapshot>>,
    running: Option<Execution>,
    outside: Arc<dyn Outside>,
}

impl Book {
    /// Takes up what the journal holds. An execution that was cut off counts as running.
    pub fn open(
        mut journal: Box<dyn Journal>,
        outside: Arc<dyn Outside>,
    ) -> Result<(Self, watch::Receiver<Arc<Snapshot>>), JournalError> {
        let kept = journal.load()?;
        let parse = |document| {
            Topology::parse(&document).map_err(|problems| {
                JournalError::Unreadable(format!(
                    "the topology that was put is not valid any more: {problems}"
                ))
            })
        };
        let key = journal.revision_key();
        let topology = kept
            .topology
            .map(parse)
            .transpose()?
            .map(|parsed| Arc::new(parsed.topology.keyed(&key, None, |_| true)));
        let mut now = Snapshot {
            topology,
            generation: kept.generation,
            allocation: Arc::new(kept.allocation),
            engines: Arc::new(journal.engine_ids()?),
            unlabelled: journal.adopted()?.contains(""),
            ..Snapshot::default()
        };
        // One at a time: no more than one can have been cut off.
        let record = match journal.unfinished()?.first() {
            Some(id) => journal.history().execution(*id)?,
            None => None,
        };
        revisions::assume_current(journal.as_mut(), &mut now, outside.now());
        let frozen = record.as_ref().map(|(frozen, _)| frozen);
        revisions::recall(journal.as_ref(), &mut now, frozen)?;
        let running = record.map(|record| take_up(record, &mut now)).transpose()?;
        (now.desired, now.reached) = plans(journal.as_ref())?;
        now.cordons = Arc::new(journal.cordons()?);
        now.intents = Arc::new(journal.open_intents()?);
        let (now, snapshot) = watch::channel(Arc::new(now));
        let mut book = Self {
            journal,
            now,
            running,
            outside,
        };
        if let Some(frozen) = book.running.as_ref().map(|running| running.frozen.clone()) {
            book.carries_out(&frozen);
        }
        Ok((book, snapshot))
    }

    /// What is, right now.
    fn now(&self) -> Arc<Snapshot> {
        self.now.borrow().clone()
    }

    /// Changes what is, and wakes whoever listens. What nobody else holds is changed in place.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        self.now.send_modify(|now| change(Arc::make_mut(now)));
    }

    /// Takes a new topology, unless an execution runs or the allocation stands in its way, or the
    /// old one is none of those that the client has `seen`, where it says so.
    pub fn put_topology(
        &mut self,
        topology: Topology,
        by: &By,
        seen: Option<&Tags>,
    ) -> Result<Arc<Snapshot>, Fault> {
        let now = self.now();
        if let Some(seen) = seen {
            now.topology_seen(seen)?;
        }
        now.idle()?;
        super::topology::check_against_use(now.topology.as_deref(), &topology, &now.allocation)?;
        let generation = self.journal.put_topology(&topology.document)?;
        let key = self.journal.revision_key();
        let topology = topology.keyed(&key, now.topology.as_deref(), |one| {
            // What the new one makes outdated was current just now, and may run; so may what was outdated already.
            revisions::runs(&now, one)
        });
        drop(now);
        // The topology is taken, whether or not it can be noted.
        let noted = self.dated("topology_put", signed(json!({ "generation": generation }), by));
        if let Err(error) = self.journal.note(&noted, &[]) {
            tracing::warn!(%error, "could not note the new topology among the events");
        }
        self.publish(|now| {
            now.generation = generation;
            now.topology = Some(Arc::new(topology));
            now.shown_topology = Arc::default();
        });
        Ok(self.now())
    }

    /// A topology that was put before, where it is kept.
    pub fn topology_of(&self, generation: u64) -> Result<Option<Value>, Fault> {
        Ok(self.journal.topology(generation)?)
    }

    /// How often a topology was put.
    pub fn generation(&self) -> u64 {
        self.now.borrow().generation
    }

    /// The execution that has not ended.
    pub const fn running(&self) -> Option<&Execution> {
        self.running.as_ref()
    }

    /// The fault of asking for something that an execution which has not ended forbids.
    pub fn idle(&self) -> Result<(), Fault> {
        self.now.borrow().idle()
    }

    /// Takes in what differs from what should be.
    pub fn differ(&mut self, differences: Vec<Difference>) {
        self.publish(|now| now.differences = Arc::new(differences));
    }

    /// Notes on the intent of an execution that it is being carried out. Where that can't be written, the next
    /// start does it.
    fn carries_out(&mut self, frozen: &Frozen) {
        let open = self.open_intents();
        let waits = |intent: &&Intent| Some(intent.id) == frozen.intent && intent.execution.is_none();
        let Some(mut intent) = open.iter().find(waits).cloned() else {
            return;
        };
        (intent.state, intent.execution) = (State::Running, Some(frozen.id));
        intent.reasons.clear();
        if let Err(error) = self.keep_intent(intent, None) {
            tracing::warn!(%error, "could not note that an intent is being carried out");
        }
    }

    /// Intents that are not over.
    pub fn open_intents(&self) -> Arc<Vec<Intent>> {
        Arc::clone(&self.now.borrow().intents)
    }

    /// Keeps an intent, new or changed, with what it does to the cordon of a node.
    pub fn keep_intent(
        &mut self,
        mut intent: Intent,
        cordon: Option<&CordonChange>,
    ) -> Result<Intent, Fault> {
        intent.changed_at = self.outside.now();
        let event = json!({ "intent": intent.id, "kind": intent.wanted.kind(), "state": intent.state,
            "node": intent.wanted.node(), "execution": intent.execution, "reasons": intent.reasons, "by": intent.by });
        let event = self.dated("intent", event);
        self.journal.keep_intent(&intent, cordon, &event)?;
        self.publish(|now| {
            match cordon {
                None => {}
                Some(CordonChange::Put(node, cordon)) => {
                    Arc::make_mut(&mut now.cordons).insert(node.clone(), cordon.clone());
                }
                Some(CordonChange::Lift(node)) => drop(Arc::make_mut(&mut now.cordons).remove(node)),
            }
            let open = Arc::make_mut(&mut now.intents);
            let place = open.iter().position(|known| known.id == intent.id);
            match (place, intent.state.is_over()) {
                (Some(place), true) => drop(open.remove(place)),
                (Some(place), false) => {
                    if let Some(known) = open.get_mut(place) {
                        known.clone_from(&intent);
                    }
                }
                (None, true) => {}
                (None, false) => open.push(intent.clone()),
            }
        });
        Ok(intent)
    }

    /// Keeps how far an intent is that was open a while ago. One that was taken back meanwhile stays over.
    pub fn keep_if_open(&mut self, intent: Intent) -> Result<(), Fault> {
        if self.is_open(intent.id) {
            self.keep_intent(intent, None)?;
        }
        Ok(())
    }

    fn is_open(&self, intent: Uuid) -> bool {
        self.open_intents().iter().any(|open| open.id == intent)
    }

    /// Whether the record can be written.
    pub fn check(&mut self) -> Result<(), Fault> {
        Ok(self.journal.check()?)
    }

    /// Brings all that was written into the one file of the record.
    pub fn checkpoint(&mut self) -> Result<(), Fault> {
        Ok(self.journal.checkpoint()?)
    }

    /// Drops some of the history that is kept no longer.
    pub fn prune(&mut self, retention: &Retention) -> Result<Pruned, Fault> {
        Ok(self.journal.prune(retention, self.outside.now())?)
    }

    /// Keeps what was shown.
    pub fn seal(&mut self, seal: &Seal) -> Result<(), Fault> {
        Ok(self.journal.seal(seal)?)
    }

    /// What was shown under that id.
    pub fn sealed(&self, id: &str) -> Result<Option<Seal>, Fault> {
        Ok(self.journal.sealed(id)?)
    }

    /// Begins an execution that was planned on `planned_on`.
    pub fn begin(&mut self, frozen: &Frozen, planned_on: &Snapshot) -> Result<(), Fault> {
        let now = self.now();
        now.idle()?;
        if let Some(intent) = frozen.intent.filter(|intent| !self.is_open(*intent)) {
            let message = format!("intent {intent} was taken back while a plan for it was worked out");
            return Err(Fault::new(Code::Cancelled, message));
        }
        let planned = (planned_on.generation, planned_on.revision, &planned_on.cordons);
        if (now.generation, now.revision, &now.cordons) != planned {
            let message = "the topology, the allocation or a cordon changed while the plan was worked out; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        self.journal.begin(frozen)?;
        self.carries_out(frozen);
        let from = Allocation::from(frozen.from.clone());
        let changes = Change::between(&now.allocation, &from);
        drop(now);
        let progress = Progress::new(frozen.actions().count());
        self.running = Some(Execution {
            frozen: frozen.clone(),
            progress,
        });
        self.publish(|now| {
            now.change(&changes);
            now.running = Some(frozen.id);
            now.held = false;
            now.desired = Some(Arc::new(Desired::of(frozen, None)));
            now.bindings = Arc::default();
        });
        Ok(())
    }

    /// Records an event of the running execution, with what it changes in the allocation. Answers
    /// with the action that it is about. The work is that of the event, however large the allocation
    /// and the execution are.
    pub fn record(&mut self, id: Uuid, stamped: &Stamped) -> Result<Option<Action>, Fault> {
        let not_running = || Fault::new(Code::Internal, format!("execution {id} is not running"));
        let running = self
            .running
            .as_mut()
            .filter(|running| running.frozen.id == id)
            .ok_or_else(not_running)?;
        let before = Before::of(&running.progress, &stamped.event);
        running.progress.apply(stamped).map_err(illegal)?;
        let confirmed = {
            let now = self.now.borrow();
            let event = &stamped.event;
            let of = |topology| confirmed(topology, running, event, &now.allocation, &now.bindings);
            now.topology.as_deref().map(of).unwrap_or_default()
        };
        if let Err(error) = self.journal.record(id, stamped, &confirmed.changes) {
            before.restore(&mut running.progress);
            return Err(error.into());
        }
        let about = stamped
            .event
            .action()
            .and_then(|index| running.action(index).cloned());
        let (held, outcome) = (running.progress.held, running.progress.outcome);
        let ended = outcome.map(|outcome| Arc::new(Desired::of(&running.frozen, Some(outcome))));
        if ended.is_some() {
            self.running = None;
        }
        self.publish(|now| {
            now.change(&confirmed.changes);
            if let Some((planned, found)) = confirmed.bound {
                Arc::make_mut(&mut now.bindings).insert(planned, found);
            }
            now.held = held;
            if let Some(desired) = ended {
                if outcome == Some(Outcome::Succeeded) {
                    now.reached = Some(Arc::clone(&desired));
                    // What it set out from is no more; what differs now is for the next look to say.
                    now.differences = Arc::default();
                }
                now.desired = Some(desired);
                now.running = None;
            }
        });
        Ok(about)
    }

    /// Keeps an event that belongs to no execution's history, and wakes whoever listens.
    pub fn note(&mut self, kind: &str, event: Value) -> Result<(), Fault> {
        let event = self.dated(kind, event);
        self.journal.note(&event, &[])?;
        self.publish(|_| {});
        Ok(())
    }

    /// Takes a VM that is gone for good, and what was on it, out of the allocation.
    pub fn give_up(&mut self, vm: &VmId, planned_on: &Snapshot, by: &By) -> Result<(), Fault> {
        let now = self.now();
        now.idle()?;
        if now.revision != planned_on.revision {
            let message = "the allocation changed while the VM was looked for; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        let lost = now.allocation.vms.get(vm);
        let containers: Vec<&TierId> = lost.iter().flat_map(|vm| vm.used.keys()).collect();
        let event = self.dated(
            "vm_given_up",
            signed(json!({ "vm": vm, "containers": containers }), by),
        );
        let changes: Vec<Change> = lost
            .map(|_| Change::VmGone { vm: vm.clone() })
            .into_iter()
            .collect();
        self.journal.note(&event, &changes)?;
        self.journal.keep_engine_id(vm, None)?;
        drop(now);
        self.publish(|now| {
            now.change(&changes);
            Arc::make_mut(&mut now.engines).remove(vm);
        });
        Ok(())
    }

    /// Remembers which engines the VMs have.
    pub fn know_engines(&mut self, engines: Known) -> Result<(), Fault> {
        for (vm, id) in &engines {
            self.journal.keep_engine_id(vm, Some(id))?;
        }
        self.publish(|now| Arc::make_mut(&mut now.engines).extend(engines));
        Ok(())
    }

    /// Counts containers of another owner as ours from now on, and takes those that run into the
    /// allocation.
    pub fn adopt(
        &mut self,
        owner: &str,
        allocation: &Allocation,
        planned_on: &Snapshot,
        by: &By,
    ) -> Result<(), Fault> {
        let now = self.now();
        now.idle()?;
        if now.revision != planned_on.revision {
            let message = "the allocation changed while the containers were looked for; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        let changes = Change::between(&now.allocation, allocation);
        let event = self.dated("owner_adopted", signed(json!({ "owner": owner }), by));
        self.journal.adopt(owner, &event, &changes)?;
        drop(now);
        self.publish(|now| now.change(&changes));
        Ok(())
    }

    /// The execution that has not ended, if it is that one.
    pub fn unfinished(&self, id: Uuid) -> Option<Execution> {
        self.running.clone().filter(|running| running.frozen.id == id)
    }

    /// One execution.
    pub fn execution(&self, id: Uuid) -> Result<Option<Execution>, Fault> {
        match self.unfinished(id) {
            Some(running) => Ok(Some(running)),
            None => self.journal.history().execution(id)?.map(replay).transpose(),
        }
    }

    /// The execution that was begun under a client's key.
    pub fn under_key(&self, key: &str) -> Result<Option<Execution>, Fault> {
        match self.journal.under_key(key)? {
            Some(id) => self.execution(id),
            None => Ok(None),
        }
    }

    /// An event of the running execution, with the time.
    pub fn stamped(&self, event: Event) -> Stamped {
        super::stamped(self.outside.as_ref(), event)
    }

    /// The event with its kind and the time.
    fn dated(&self, kind: &str, mut event: Value) -> Value {
        if let Some(fields) = event.as_object_mut() {
            fields.insert("event".to_owned(), json!(kind));
            fields.insert("at".to_owned(), json!(self.outside.now()));
        }
        event
    }
}

/// The plan that holds and the one that was reached last, by the order of the record.
type Plans = (Option<Arc<Desired>>, Option<Arc<Desired>>);

fn plans(journal: &dyn Journal) -> Result<Plans, JournalError> {
    let history = journal.history();
    let desired = |id: Option<Uuid>| -> Result<Option<Arc<Desired>>, JournalError> {
        let Some((frozen, events)) = id.map(|id| history.execution(id)).transpose()?.flatten() else {
            return Ok(None);
        };
        let outcome = events.last().and_then(|last| match last.event {
            Event::Finished { outcome } => Some(outcome),
            _ => None,
        });
        Ok(Some(Arc::new(Desired::of(&frozen, outcome))))
    };
    Ok((
        desired(journal.newest(None)?)?,
        desired(journal.newest(Some(Outcome::Succeeded))?)?,
    ))
}

/// Why an event can't be taken. That something is cancelled is no defect: the runner may not have been told
/// yet when it set out.
fn illegal(illegal: Illegal) -> Fault {
    let code = match illegal {
        Illegal::Cancelled => Code::Cancelled,
        _ => Code::Internal,
    };
    Fault::new(code, illegal.to_string())
}

/// The event with who is behind it.
fn signed(mut event: Value, by: &By) -> Value {
    if let (Some(fields), Value::Object(by)) = (event.as_object_mut(), json!(by)) {
        fields.extend(by);
    }
    event
}
