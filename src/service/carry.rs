//! Carrying a plan out: from the request to the end of its execution.

use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::execute::{self, Frozen, Halt, Ledger, Outcome, Pinned, Stamped, View, World, preflight};
use crate::fault::{Code, Fault};
use crate::translate::{Action, Stage};

use super::propose::Proposal;
use super::{Service, Snapshot};

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its id.
    pub id: Uuid,
    /// How.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    pub fault: Option<Fault>,
}

/// The running execution.
pub(super) struct Running {
    id: Uuid,
    halt: watch::Sender<Halt>,
    pub(super) ended: watch::Receiver<Option<Ended>>,
}

/// How often a plan is worked out anew when the state moved under it.
const ATTEMPTS: u32 = 5;

impl Service {
    /// Works a plan out and carries it out to its end, even when the caller goes away.
    ///
    /// # Errors
    ///
    /// When it can't be begun, or did not succeed.
    pub async fn execute(&self, plan: Value) -> Result<Ended, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.begin_and_wait(plan).await })
            .await
    }

    async fn begin_and_wait(&self, plan: Value) -> Result<Ended, Fault> {
        let mut ended = self.begin(&plan).await?;
        let lost = |_| {
            Fault::new(
                Code::Internal,
                "the execution ended without an answer; see its record",
            )
        };
        let ended = ended.wait_for(Option::is_some).await.map_err(lost)?.clone();
        match ended {
            Some(Ended {
                id,
                fault: Some(fault),
                ..
            }) => Err(fault.with([serde_json::json!({ "execution": id })])),
            Some(ended) => Ok(ended),
            None => Err(Fault::new(
                Code::Internal,
                "the execution ended without an outcome",
            )),
        }
    }

    /// Begins an execution; the receiver tells its end.
    async fn begin(&self, plan: &Value) -> Result<watch::Receiver<Option<Ended>>, Fault> {
        let mut attempt = 1;
        loop {
            let snapshot = self.snapshot();
            snapshot.idle()?;
            let proposal = self.propose(&snapshot, plan).await?;
            let world = self.world(&snapshot, &proposal).await?;
            refuse(preflight(&world, &snapshot.view(), &proposal.translation.stages).await)?;
            let frozen = freeze(&snapshot, plan, &proposal, &world);
            match self.start(frozen, world, snapshot).await {
                Err(fault) if fault.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn start(
        &self,
        frozen: Frozen,
        world: World,
        planned_on: Arc<Snapshot>,
    ) -> Result<watch::Receiver<Option<Ended>>, Fault> {
        let frozen = Arc::new(frozen);
        let id = frozen.id;
        let begun = Arc::clone(&frozen);
        self.with_book(move |book| book.begin(&begun, &planned_on))
            .await?;
        let (halt, halted) = watch::channel(Halt::No);
        let (tell, ended) = watch::channel(None);
        *self.lock_running() = Some(Running {
            id,
            halt,
            ended: ended.clone(),
        });
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            tracing::info!(execution = %id, actions = frozen.actions().count(), stages = frozen.stages.len(), "begun");
            let ledger = Arc::new(service.clone());
            let (outcome, failure) = execute::run(Arc::new(world), ledger, frozen, halted.clone()).await;
            let fault = match outcome {
                Outcome::Succeeded => None,
                _ => failure.or_else(|| halted.borrow().fault()),
            };
            tracing::info!(execution = %id, outcome = outcome.as_str(), "ended");
            *service.lock_running() = None;
            tell.send_replace(Some(Ended { id, outcome, fault }));
        });
        Ok(ended)
    }

    /// The handles that an execution works with.
    pub(super) async fn world(&self, snapshot: &Snapshot, proposal: &Proposal) -> Result<World, Fault> {
        let topology = snapshot.topology()?;
        let hooks = match needs_hooks(&proposal.translation.stages) {
            true => self.inner.platform.hooks(&topology).await?,
            false => None,
        };
        Ok(World {
            cloud: self.inner.platform.cloud(&topology)?,
            engines: self.inner.platform.engines(),
            vms: proposal
                .vms
                .iter()
                .map(|vm| (vm.name.clone(), vm.clone()))
                .collect(),
            hooks,
            hook_deadline: self.inner.settings.hook_deadline,
            from: snapshot.allocation.clone(),
            parallel: self.inner.settings.parallel,
            topology,
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

fn freeze(snapshot: &Snapshot, plan: &Value, proposal: &Proposal, world: &World) -> Frozen {
    Frozen {
        id: Uuid::now_v7(),
        created_at: Timestamp::now(),
        plan: plan.clone(),
        from: Pinned::from(&snapshot.allocation),
        target: proposal.target.clone(),
        stages: proposal.translation.stages.clone(),
        hooks_revision: world.hooks.as_ref().map(|hooks| hooks.revision.clone()),
    }
}

fn needs_hooks(stages: &[Stage]) -> bool {
    let hook = |action: &Action| matches!(action, Action::RunScaleHook { .. } | Action::RunTierHook { .. });
    stages.iter().flatten().any(hook)
}

/// All that stands in the way as one answer: the first says which code.
fn refuse(faults: Vec<Fault>) -> Result<(), Fault> {
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
        self.with_book(move |book| book.record(execution, &event)).await
    }

    fn view(&self) -> View {
        self.snapshot().view()
    }
}
