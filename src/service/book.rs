//! The current state and its record: whatever changes, changes here, and on disk first.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::execute::{
    Bindings, By, Event, Execution, Frozen, Progress, Seal, Stamped, View, confirm, settle,
};
use crate::fault::{Code, Fault};
use crate::journal::{Entry, Journal, JournalError};
use crate::model::{Allocation, TierId, Topology, VmId};
use crate::translate::Action;

use super::document::{Document, Tags};

/// What is, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The topology; None before the first.
    pub topology: Option<Arc<Topology>>,
    /// How often a topology was put.
    pub generation: u64,
    /// What is confirmed.
    pub allocation: Allocation,
    /// Counts changes of the allocation since the start.
    pub revision: u64,
    /// The running execution.
    pub running: Option<Uuid>,
    /// Real names of VMs that the running execution has made.
    pub bindings: Bindings,
    /// The topology as it is answered; made when it is first asked for.
    pub(super) shown_topology: Arc<OnceLock<Document>>,
    /// The allocation as it is answered; made when it is first asked for.
    pub(super) shown_allocation: Arc<OnceLock<Document>>,
}

impl Snapshot {
    /// Takes in what is confirmed now.
    fn change(&mut self, allocation: Allocation) {
        if allocation != self.allocation {
            self.revision += 1;
            self.allocation = allocation;
            self.shown_allocation = Arc::default();
        }
    }

    /// The topology.
    ///
    /// # Errors
    ///
    /// When none was put yet.
    pub fn topology(&self) -> Result<Arc<Topology>, Fault> {
        let missing = || {
            Fault::new(
                Code::TopologyMissing,
                "there is no topology yet: PUT one to /api/topology first",
            )
        };
        self.topology.clone().ok_or_else(missing)
    }

    /// What is confirmed, with names of new VMs.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            allocation: self.allocation.clone(),
            bindings: self.bindings.clone(),
        }
    }

    /// The fault of asking for something that a running execution forbids.
    ///
    /// # Errors
    ///
    /// When one is running.
    pub fn idle(&self) -> Result<(), Fault> {
        let Some(id) = self.running else { return Ok(()) };
        let message = format!("execution {id} is running: wait for it, or cancel it");
        Err(Fault::new(Code::ExecutionRunning, message).with([json!({ "execution": id })]))
    }
}

/// The record and what it adds up to.
pub struct Book {
    journal: Box<dyn Journal>,
    publish: watch::Sender<Arc<Snapshot>>,
    now: Snapshot,
    running: Option<Execution>,
}

impl Book {
    /// Takes up what the journal holds. An execution that was cut off counts as running.
    pub fn open(journal: Box<dyn Journal>) -> Result<(Self, watch::Receiver<Arc<Snapshot>>), JournalError> {
        let kept = journal.load()?;
        let parse = |document| {
            Topology::parse(&document).map_err(|problems| {
                JournalError::Unreadable(format!(
                    "the topology that was put is not valid any more: {problems}"
                ))
            })
        };
        let topology = kept
            .topology
            .map(parse)
            .transpose()?
            .map(|parsed| Arc::new(parsed.topology));
        let mut now = Snapshot {
            topology,
            generation: kept.generation,
            allocation: kept.allocation,
            ..Snapshot::default()
        };
        // One at a time: no more than one can have been cut off.
        let running = match journal.unfinished()?.first() {
            Some(id) => journal
                .execution(*id)?
                .map(|record| take_up(record, &mut now))
                .transpose()?,
            None => None,
        };
        let (publish, snapshot) = watch::channel(Arc::new(now.clone()));
        Ok((
            Self {
                journal,
                publish,
                now,
                running,
            },
            snapshot,
        ))
    }

    fn publish(&self) {
        self.publish.send_replace(Arc::new(self.now.clone()));
    }

    /// Takes a new topology, unless an execution runs or the allocation stands in its way, or the
    /// old one is none of those that the client has `seen`, where it says so.
    pub fn put_topology(
        &mut self,
        topology: Topology,
        by: &By,
        seen: Option<&Tags>,
    ) -> Result<Arc<Snapshot>, Fault> {
        if let Some(seen) = seen {
            self.now.topology_seen(seen)?;
        }
        self.now.idle()?;
        super::topology::check_against_use(self.now.topology.as_deref(), &topology, &self.now.allocation)?;
        let generation = self.journal.put_topology(&topology.document)?;
        self.now.generation = generation;
        self.now.topology = Some(Arc::new(topology));
        self.now.shown_topology = Arc::default();
        // The topology is taken, whether or not it can be noted.
        if let Err(error) = self.note_by("topology_put", json!({ "generation": generation }), by) {
            tracing::warn!(%error, "could not note the new topology among the events");
            self.publish();
        }
        Ok(Arc::new(self.now.clone()))
    }

    /// Whether the record can be written.
    pub fn check(&mut self) -> Result<(), Fault> {
        Ok(self.journal.check()?)
    }

    /// Keeps what was shown.
    pub fn seal(&mut self, seal: &Seal) -> Result<(), Fault> {
        Ok(self.journal.seal(seal)?)
    }

    /// What was shown under that id.
    pub fn sealed(&self, id: &str) -> Result<Option<Seal>, Fault> {
        Ok(self.journal.sealed(id)?)
    }

    /// Keeps an event of somebody's making.
    pub fn note_by(&mut self, kind: &str, event: Value, by: &By) -> Result<(), Fault> {
        self.note(kind, signed(event, by))
    }

    /// Begins an execution that was planned on `planned_on`.
    pub fn begin(&mut self, frozen: &Frozen, planned_on: &Snapshot) -> Result<(), Fault> {
        self.now.idle()?;
        if (self.now.generation, self.now.revision) != (planned_on.generation, planned_on.revision) {
            let message =
                "the topology or the allocation changed while the plan was worked out; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        self.journal.begin(frozen)?;
        let from = Allocation::from(frozen.from.clone());
        self.now.change(from);
        let progress = Progress::new(frozen.actions().count());
        self.running = Some(Execution {
            frozen: frozen.clone(),
            progress,
        });
        self.now.running = Some(frozen.id);
        self.now.bindings = BTreeMap::new();
        self.publish();
        Ok(())
    }

    /// Records an event of the running execution, with what it changes in the allocation. Answers
    /// with the action that it is about.
    pub fn record(&mut self, id: Uuid, stamped: &Stamped) -> Result<Option<Action>, Fault> {
        let not_running = || Fault::new(Code::Internal, format!("execution {id} is not running"));
        let running = self
            .running
            .as_mut()
            .filter(|running| running.frozen.id == id)
            .ok_or_else(not_running)?;
        let mut progress = running.progress.clone();
        progress
            .apply(stamped)
            .map_err(|illegal| Fault::new(Code::Internal, illegal.to_string()))?;
        let changed = self.now.topology.as_ref().and_then(|topology| {
            let (mut allocation, mut bindings) = (self.now.allocation.clone(), self.now.bindings.clone());
            take_in(topology, running, &stamped.event, &mut allocation, &mut bindings)
                .then_some((allocation, bindings))
        });
        self.journal
            .record(id, stamped, changed.as_ref().map(|(allocation, _)| allocation))?;
        running.progress = progress;
        let about = stamped
            .event
            .action()
            .and_then(|index| running.actions().nth(index).map(|(_, action)| action.clone()));
        let ended = running.progress.outcome.is_some();
        if let Some((allocation, bindings)) = changed {
            self.now.change(allocation);
            self.now.bindings = bindings;
        }
        if ended {
            self.running = None;
            self.now.running = None;
        }
        self.publish();
        Ok(about)
    }

    /// Keeps an event that belongs to no execution's history, and wakes whoever listens.
    pub fn note(&mut self, kind: &str, event: Value) -> Result<(), Fault> {
        self.journal.note(&stamped(kind, event), None)?;
        self.publish();
        Ok(())
    }

    /// Takes a VM that is gone for good, and what was on it, out of the allocation.
    pub fn give_up(&mut self, vm: &VmId, planned_on: &Snapshot, by: &By) -> Result<(), Fault> {
        self.now.idle()?;
        if self.now.revision != planned_on.revision {
            let message = "the allocation changed while the VM was looked for; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        let mut allocation = self.now.allocation.clone();
        let lost = allocation.vms.remove(vm);
        let containers: Vec<&TierId> = lost.iter().flat_map(|vm| vm.used.keys()).collect();
        let event = stamped(
            "vm_given_up",
            signed(json!({ "vm": vm, "containers": containers }), by),
        );
        self.journal.note(&event, Some(&allocation))?;
        self.now.change(allocation);
        self.publish();
        Ok(())
    }

    /// Events after the one with that number, oldest first.
    pub fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, Fault> {
        Ok(self.journal.events_after(seq, limit)?)
    }

    /// The number of the newest event.
    pub fn newest_event(&self) -> Result<u64, Fault> {
        Ok(self.journal.newest_event()?)
    }

    /// One execution.
    pub fn execution(&self, id: Uuid) -> Result<Option<Execution>, Fault> {
        match &self.running {
            Some(running) if running.frozen.id == id => Ok(Some(running.clone())),
            _ => self.journal.execution(id)?.map(replay).transpose(),
        }
    }

    /// The execution that was begun under a client's key.
    pub fn under_key(&self, key: &str) -> Result<Option<Execution>, Fault> {
        match self.journal.under_key(key)? {
            Some(id) => self.execution(id),
            None => Ok(None),
        }
    }

    /// The newest executions, newest first.
    pub fn executions(&self, limit: u32) -> Result<Vec<Execution>, Fault> {
        self.journal.executions(limit)?.into_iter().map(replay).collect()
    }
}

/// The event with its kind and the time.
fn stamped(kind: &str, mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        fields.insert("event".to_owned(), json!(kind));
        fields.insert("at".to_owned(), json!(Timestamp::now()));
    }
    event
}

/// The event with who is behind it.
fn signed(mut event: Value, by: &By) -> Value {
    if let (Some(fields), Value::Object(by)) = (event.as_object_mut(), json!(by)) {
        fields.extend(by);
    }
    event
}

/// Takes into the allocation what an event confirms. Answers whether it confirms anything.
fn take_in(
    topology: &Topology,
    execution: &Execution,
    event: &Event,
    allocation: &mut Allocation,
    bindings: &mut Bindings,
) -> bool {
    let action = |index: usize| execution.actions().nth(index).map(|(_, action)| action);
    match event {
        Event::ActionSucceeded {
            action: index,
            finding,
        } => {
            let Some(action) = action(*index) else {
                return false;
            };
            confirm(allocation, bindings, topology.infrastructure.vm, action, finding);
            true
        }
        Event::ActionFailed {
            action: index,
            left: Some(left),
            ..
        } => {
            let Some(action) = action(*index) else {
                return false;
            };
            settle(allocation, bindings, action, left);
            true
        }
        Event::Replanned { from, .. } => {
            *allocation = from.clone().into();
            true
        }
        Event::Lost(lost) => {
            let vm = allocation.vms.get_mut(&lost.vm);
            vm.is_some_and(|vm| vm.used.remove(&lost.container).is_some())
        }
        Event::ActionStarted { .. }
        | Event::ActionProgressed { .. }
        | Event::CloudNoted { .. }
        | Event::AttemptFailed { .. }
        | Event::ActionFailed { .. }
        | Event::ActionSkipped { .. }
        | Event::ReplanFailed(_)
        | Event::RollbackBegun { .. }
        | Event::Resumed {}
        | Event::Finished { .. } => false,
    }
}

/// An execution that was cut off, as the running one. The allocation was kept with its events; the
/// names of new VMs are read from them again.
fn take_up((frozen, events): (Frozen, Vec<Stamped>), now: &mut Snapshot) -> Result<Execution, JournalError> {
    let impossible = |illegal| JournalError::Unreadable(format!("an impossible history: {illegal}"));
    let mut execution = Execution {
        progress: Progress::new(frozen.actions().count()),
        frozen,
    };
    for stamped in &events {
        execution.progress.apply(stamped).map_err(impossible)?;
        if let Some(topology) = &now.topology {
            let mut ignored = Allocation::default();
            take_in(
                topology,
                &execution,
                &stamped.event,
                &mut ignored,
                &mut now.bindings,
            );
        }
    }
    now.running = Some(execution.frozen.id);
    Ok(execution)
}

fn replay((frozen, events): (Frozen, Vec<Stamped>)) -> Result<Execution, Fault> {
    Execution::replay(frozen, &events).map_err(|illegal| {
        Fault::new(
            Code::JournalUnavailable,
            format!("the journal holds an impossible history: {illegal}"),
        )
    })
}
