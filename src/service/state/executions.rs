//! Executions: begun, continued event by event, and looked up.

use std::sync::Arc;

use uuid::Uuid;

use crate::execute::{Event, Execution, Frozen, Illegal, Outcome, Progress, Stamped, confirmed, untold};
use crate::fault::{Code, Fault};
use crate::journal::{Journal, JournalError};
use crate::model::{Allocation, Change};
use crate::translate::Action;

use crate::service::Snapshot;
use crate::service::desired::Desired;
use crate::service::state::Store;
use crate::service::state::replay::{Before, replay};

impl Store {
    /// The execution that has not ended.
    pub const fn running(&self) -> Option<&Execution> {
        self.running.as_ref()
    }

    /// Begins an execution that was planned on `planned_on`.
    ///
    /// An app whose request it carries out is taken into what holds with that, as it was `imagined`.
    pub fn begin(
        &mut self,
        frozen: &Frozen,
        planned_on: &Snapshot,
        imagined: Option<(&str, &Snapshot)>,
    ) -> Result<(), Fault> {
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
        // A plan that changed nothing has left no other trace.
        let by_itself = frozen.intent.is_some() || frozen.reconcile.is_some();
        if by_itself && now.desired != planned_on.desired {
            let message = "another plan was carried out while this one was worked out";
            return Err(Fault::new(Code::Conflict, message));
        }
        if !now.besides.wants_the_same_as(&planned_on.besides) {
            let message = "what is wanted besides plans changed while the plan was worked out; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        if let Some((app, imagined)) = imagined {
            self.dispatch(imagined, app)?;
        }
        if let Err(error) = self.journal.begin(frozen) {
            // Where this can't be written either, the next attempt, or the next start, does it.
            if imagined.is_some()
                && let Err(error) = self.settle_at_start()
            {
                tracing::warn!(%error, "could not take back an app whose execution was not begun");
            }
            return Err(error.into());
        }
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

    /// Records an event of the running execution, with what it changes in the allocation. Returns
    /// the action that it concerns. The work depends only on the event, not on the size of the
    /// allocation or the execution.
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
        let over = ended.is_some().then(|| running.frozen.clone());
        let untold = untold(running);
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
                    // What it started from is gone; the next look will say what differs now.
                    now.differences = Arc::default();
                }
                now.desired = Some(desired);
                now.untold = Arc::new(untold);
                now.running = None;
            }
        });
        if let Some(frozen) = over {
            self.settle_ended(&frozen, &stamped.event);
        }
        self.forget_terminated(&confirmed.changes);
        Ok(about)
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
}

/// Why an event can't be accepted. A cancel is no defect: the runner may not have been told yet
/// when it started.
fn illegal(illegal: Illegal) -> Fault {
    let code = match illegal {
        Illegal::Cancelled => Code::Cancelled,
        _ => Code::Internal,
    };
    Fault::new(code, illegal.to_string())
}

/// Takes in, from the order of the record, the plan that holds, the one that was reached last, and what the
/// newest execution did not come to tell.
pub(super) fn recall(journal: &dyn Journal, now: &mut Snapshot) -> Result<(), JournalError> {
    let history = journal.history();
    let found = |id: Option<Uuid>| Ok(id.map(|id| history.execution(id)).transpose()?.flatten());
    let desired = |(frozen, events): &(Frozen, Vec<Stamped>)| {
        let outcome = events.last().and_then(|last| match last.event {
            Event::Finished { outcome } => Some(outcome),
            _ => None,
        });
        Arc::new(Desired::of(frozen, outcome))
    };
    let newest: Option<(Frozen, Vec<Stamped>)> = found(journal.newest(None)?)?;
    let reached: Result<_, JournalError> = found(journal.newest(Some(Outcome::Succeeded))?);
    now.desired = newest.as_ref().map(desired);
    now.reached = reached?.as_ref().map(desired);
    // One that can't be read tells of nothing.
    let newest = newest.and_then(|record| replay(record).ok());
    now.untold = Arc::new(newest.as_ref().map(untold).unwrap_or_default());
    Ok(())
}
