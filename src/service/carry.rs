//! Carrying a plan out: from the request to the end of its execution.

use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

use crate::execute::{
    self, By, Direction, Event, Execution, Frozen, Halt, Ledger, Outcome, Pinned, Stamped, View, World,
    preflight,
};
use crate::fault::{Code, Fault};
use crate::model::Topology;
use crate::model::topology::{OnFailure, OnShortage};
use crate::translate::{Action, Stage, translate};

use super::propose::Seen;
use super::sealed::Course;
use super::{Service, Snapshot};

/// A plan to be carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The plan; one that was sealed needs not be sent again.
    pub plan: Option<Value>,
    /// The sealed plan that is to be carried out as it was shown.
    pub plan_id: Option<String>,
    /// What to do when an action fails; the topology says it otherwise.
    pub on_failure: Option<OnFailure>,
    /// What to do when fewer VMs come than are asked for; the topology says it otherwise.
    pub on_shortage: Option<OnShortage>,
    /// The same request under the same key is carried out once.
    pub idempotency_key: Option<String>,
    /// Who asks.
    pub by: By,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its id.
    pub id: Uuid,
    /// How; None where the service takes it up again when it starts.
    pub outcome: Option<Outcome>,
    /// Why, unless it succeeded.
    pub fault: Option<Fault>,
}

impl Ended {
    /// The success, or the fault with the execution's id.
    ///
    /// # Errors
    ///
    /// Unless it succeeded.
    pub fn success(self) -> Result<Self, Fault> {
        match self.fault {
            Some(fault) => Err(fault.with([json!({ "execution": self.id, "outcome": self.outcome })])),
            None => Ok(self),
        }
    }
}

/// The running execution, or one that ended a moment ago.
pub(super) struct Running {
    id: Uuid,
    halt: watch::Sender<Halt>,
    pub(super) ended: watch::Receiver<Option<Ended>>,
}

/// An execution that was begun, now or by the same request before.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its id.
    pub id: Uuid,
    ended: Waiting,
}

#[derive(Clone, Debug)]
enum Waiting {
    For(watch::Receiver<Option<Ended>>),
    No(Box<Ended>),
}

impl Begun {
    /// Waits for the end.
    pub async fn ended(self) -> Ended {
        let id = self.id;
        match self.ended {
            Waiting::No(ended) => *ended,
            Waiting::For(mut ended) => match ended.wait_for(Option::is_some).await {
                Ok(ended) => ended.clone(),
                Err(_) => None,
            }
            .unwrap_or_else(|| {
                let message = "the execution's task ended without an answer; see the execution's record";
                Ended {
                    id,
                    outcome: None,
                    fault: Some(Fault::new(Code::Internal, message)),
                }
            }),
        }
    }
}

/// How often a plan is worked out anew when the state moved under it.
const ATTEMPTS: u32 = 5;

impl Service {
    /// Works a plan out and begins to carry it out. The execution goes on even when the caller goes
    /// away.
    ///
    /// # Errors
    ///
    /// When it can't be begun.
    pub async fn begin(&self, request: Request) -> Result<Begun, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.begin_here(request).await })
            .await
    }

    async fn begin_here(&self, request: Request) -> Result<Begun, Fault> {
        let mut attempt = 1;
        loop {
            if let Some(begun) = self.begun_before(&request).await? {
                return Ok(begun);
            }
            let snapshot = self.snapshot();
            snapshot.idle()?;
            let topology = snapshot.topology()?;
            let (plan, course) = self.course(&snapshot, &request).await?;
            let on_failure = request.on_failure.unwrap_or(topology.infrastructure.on_failure);
            let on_shortage = request.on_shortage.unwrap_or(topology.infrastructure.on_shortage);
            let other_ways = on_failure == OnFailure::Rollback || on_shortage == OnShortage::Replan;
            let needs_hooks = needs_hooks(&course.stages) || (other_ways && names_hooks(&topology));
            let world = self.world(&topology, &course.seen, needs_hooks).await?;
            refuse(preflight(&world, &snapshot.view(), &course.seen.containers, &course.stages).await)?;
            let frozen = Frozen {
                id: Uuid::now_v7(),
                created_at: Timestamp::now(),
                plan,
                from: Pinned::from(&course.seen.allocation),
                target: course.target,
                stages: course.stages,
                hooks_revision: world.hooks.as_ref().map(|hooks| hooks.revision.clone()),
                on_failure,
                on_shortage,
                idempotency_key: request.idempotency_key.clone(),
                plan_id: request.plan_id.clone(),
                requested_by: request.by.clone(),
            };
            let id = frozen.id;
            let planned_on = Arc::clone(&snapshot);
            match self.with_book(move |book| book.begin(&frozen, &planned_on)).await {
                Ok(()) => {
                    let ended = self.launch(id, world, Direction::Forward, Halt::No);
                    return Ok(Begun {
                        id,
                        ended: Waiting::For(ended),
                    });
                }
                Err(fault) if fault.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The plan of a request, and the way to be gone for it: as it was shown, or worked out now.
    async fn course(&self, snapshot: &Arc<Snapshot>, request: &Request) -> Result<(Value, Course), Fault> {
        if let Some(id) = &request.plan_id {
            let seal = self.sealed(id).await?;
            let plan = request.plan.clone().unwrap_or_else(|| seal.plan.clone());
            return Ok((plan, self.unseal(snapshot, seal, request.plan.as_ref()).await?));
        }
        let missing = || Fault::new(Code::JsonUnreadable, "the body is empty; it should be a plan");
        let plan = request.plan.clone().ok_or_else(missing)?;
        let proposal = self.propose(snapshot, &plan).await?;
        Ok((plan, proposal.into()))
    }

    /// The execution that the same request began before.
    async fn begun_before(&self, request: &Request) -> Result<Option<Begun>, Fault> {
        let Some(key) = request.idempotency_key.clone() else {
            return Ok(None);
        };
        let Some(before) = self.with_book(move |book| book.under_key(&key)).await? else {
            return Ok(None);
        };
        let id = before.frozen.id;
        let same = match &request.plan {
            Some(plan) => before.frozen.plan == *plan,
            None => request.plan_id.is_some(),
        };
        if !same || before.frozen.plan_id != request.plan_id {
            let message = format!(
                "this Idempotency-Key was sent with another plan before, as execution {id}; use a new one"
            );
            return Err(Fault::new(Code::KeyReused, message).with([json!({ "execution": id })]));
        }
        if let Some(running) = self.lock_running().as_ref().filter(|running| running.id == id) {
            return Ok(Some(Begun {
                id,
                ended: Waiting::For(running.ended.clone()),
            }));
        }
        if before.progress.outcome.is_none() {
            self.snapshot().idle()?;
        }
        let ended = Ended {
            id,
            outcome: before.progress.outcome,
            fault: before.failure(),
        };
        Ok(Some(Begun {
            id,
            ended: Waiting::No(Box::new(ended)),
        }))
    }

    /// Runs an execution that is on record.
    pub(super) fn launch(
        &self,
        id: Uuid,
        world: World,
        direction: Direction,
        halt: Halt,
    ) -> watch::Receiver<Option<Ended>> {
        let (halt, halted) = watch::channel(halt);
        let (tell, ended) = watch::channel(None);
        let mut running = self.lock_running();
        *running = Some(Running {
            id,
            halt,
            ended: ended.clone(),
        });
        let service = self.clone();
        let span = tracing::debug_span!("execution", execution = %id, ?direction);
        let whole = async move {
            tracing::info!(execution = %id, ?direction, "begun");
            let ledger = Arc::new(service.clone());
            let (outcome, failure) =
                execute::run(Arc::new(world), ledger, id, direction, halted.clone()).await;
            let fault = match outcome {
                Some(Outcome::Succeeded) => None,
                Some(_) => failure.or_else(|| halted.borrow().fault()),
                None => halted.borrow().fault().or(failure),
            };
            tracing::info!(execution = %id, outcome = outcome.map(Outcome::as_str), "ended");
            let mut running = service.lock_running();
            if running.as_ref().is_some_and(|running| running.id == id) {
                *running = None;
            }
            drop(running);
            tell.send_replace(Some(Ended { id, outcome, fault }));
        };
        // With the request's id on every line, long after it was answered.
        self.inner.runtime.spawn(whole.instrument(span).in_current_span());
        ended
    }

    /// The handles that an execution works with.
    pub(super) async fn world(
        &self,
        topology: &Arc<Topology>,
        seen: &Seen,
        needs_hooks: bool,
    ) -> Result<World, Fault> {
        let hooks = if needs_hooks {
            self.inner.platform.hooks(topology).await?
        } else {
            None
        };
        let settings = &self.inner.settings;
        Ok(World {
            cloud: self.inner.platform.cloud(topology)?,
            engines: self.inner.platform.engines(),
            vms: seen.vms.iter().map(|vm| (vm.name.clone(), vm.clone())).collect(),
            hooks,
            hook_deadline: settings.hook_deadline,
            from: seen.allocation.clone(),
            parallel: settings.parallel,
            parallel_on_vm: settings.parallel_on_vm,
            retry_for: settings.retry_for,
            topology: Arc::clone(topology),
        })
    }

    /// Wishes that the running execution, of that id where one is given, begins no further
    /// action. Answers whether it is running.
    pub(super) fn halt(&self, id: Option<Uuid>, halt: Halt) -> bool {
        match self.lock_running().as_ref() {
            Some(running) if id.is_none_or(|id| id == running.id) => {
                running.halt.send_replace(halt);
                true
            }
            _ => false,
        }
    }

    pub(super) fn lock_running(&self) -> MutexGuard<'_, Option<Running>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn needs_hooks(stages: &[Stage]) -> bool {
    let hook = |action: &Action| matches!(action, Action::RunScaleHook { .. } | Action::RunTierHook { .. });
    stages.iter().flatten().any(hook)
}

/// Whether a topology names any hook.
pub(super) fn names_hooks(topology: &Topology) -> bool {
    topology
        .tiers
        .values()
        .any(|tier| !tier.on_node_scale.is_empty() || tier.on_dependency_scale.is_some())
}

/// All that stands in the way as one answer: the first says which code.
pub(super) fn refuse(faults: Vec<Fault>) -> Result<(), Fault> {
    let Some(first) = faults.first() else {
        return Ok(());
    };
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let mut all = Fault::new(first.code, messages.join("; "));
    all.details = faults.iter().flat_map(|fault| fault.details.clone()).collect();
    Err(all)
}

#[async_trait]
impl Ledger for Service {
    async fn record(&self, execution: Uuid, event: Stamped) -> Result<(), Fault> {
        let recorded = event.clone();
        let action = self
            .with_book(move |book| book.record(execution, &recorded))
            .await?;
        self.inner.metrics.event(&event.event, action.as_ref());
        if matches!(event.event, Event::Finished { .. }) {
            // Counting must not spoil what is recorded.
            match Service::execution(self, execution).await {
                Ok(execution) => self.inner.metrics.ended(&execution),
                Err(error) => tracing::warn!(%execution, %error, "could not count the execution"),
            }
        }
        Ok(())
    }

    fn view(&self) -> View {
        self.snapshot().view()
    }

    async fn execution(&self, id: Uuid) -> Result<Execution, Fault> {
        Service::execution(self, id).await
    }

    async fn replan(&self, id: Uuid, world: Arc<World>) -> Result<Event, Fault> {
        self.place_anew(id, world).await
    }

    async fn way_back(&self, id: Uuid) -> Result<Vec<Stage>, Fault> {
        let execution = Service::execution(self, id).await?;
        let snapshot: Arc<Snapshot> = self.snapshot();
        let topology = snapshot.topology()?;
        let was = execution.frozen.from.into();
        Ok(translate(&topology, &snapshot.allocation, &was).stages)
    }
}
