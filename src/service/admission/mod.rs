//! Admission: from a plan that somebody sends to a recorded execution with its runner.

mod begun;
mod checks;
pub(super) mod idempotency;
mod prepare;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::execute::{By, Direction, Frozen, Pinned, Reconcile};
use crate::fault::{Code, Fault};
use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{TierId, VmId};

use crate::service::admission::idempotency::{Arrival, fingerprint};
use crate::service::besides::Word;
use crate::service::desired::Desired;
use crate::service::intents::SetTier;
use crate::service::requirements::Confine;
use crate::service::supervisor::runner::Launch;
use crate::service::{Service, Snapshot};

pub use begun::Begun;
pub(super) use checks::refuse;
pub(super) use prepare::{names_hooks, needs_hooks};

use prepare::Prepared;

/// A plan to be carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The plan; a sealed one need not be sent again.
    pub plan: Option<Value>,
    /// The sealed plan to carry out as it was shown.
    pub plan_id: Option<String>,
    /// What to do when an action fails; without it, the topology decides.
    pub on_failure: Option<OnFailure>,
    /// What to do when fewer VMs come than are asked for; without it, the topology decides.
    pub on_shortage: Option<OnShortage>,
    /// The same request under the same key is carried out once.
    pub idempotency_key: Option<String>,
    /// Who asks.
    pub by: By,
    /// Why the service asks by itself, if it does. Then nothing is begun if there is nothing to do.
    pub reconcile: Option<Reconcile>,
    /// Containers to restart where they are, if they are still unhealthy.
    pub restart: BTreeSet<(VmId, TierId)>,
    /// Where things should be, besides what the tiers say.
    pub confine: Confine,
    /// The intent that this carries out.
    pub intent: Option<Uuid>,
    /// The plan that held when the service made this request by itself, if it did. Once another plan holds, nothing
    /// is begun: what somebody has asked for meanwhile must not be undone.
    pub holding: Option<Option<Arc<Desired>>>,
    /// The app whose request this carries out.
    pub app: Option<String>,
    /// The one container that is set by hand; nothing is placed then.
    pub set: Option<SetTier>,
    /// Whose word counts where the plan and what is wanted besides name the same.
    pub word: Word,
}

/// How often a plan is worked out again when the state has changed meanwhile.
const ATTEMPTS: u32 = 5;

impl Service {
    /// Works a plan out and begins to carry it out. The execution goes on even if the caller goes
    /// away.
    ///
    /// # Errors
    ///
    /// When it can't be begun.
    pub async fn begin(&self, request: Request) -> Result<Begun, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.admit(request).await }).await
    }

    /// Lets the first request under a key in; repetitions wait for its result.
    async fn admit(&self, request: Request) -> Result<Begun, Fault> {
        let Some(key) = request.idempotency_key.clone() else {
            return self.begin_here(request, None).await;
        };
        let print = fingerprint(&request);
        let (of, asked) = (print.clone(), request.clone());
        let arrival = self
            .ask(move |supervisor| supervisor.arrive(&key, &of, &asked))
            .await?;
        match arrival {
            Arrival::Begun(begun) => Ok(begun),
            Arrival::First(tell) => {
                let begun = self.begin_here(request, Some(print)).await;
                tell.send_replace(Some(begun.clone()));
                begun
            }
            Arrival::After(mut answer) => {
                let answer = answer.wait_for(Option::is_some).await.ok();
                answer.and_then(|answer| answer.clone()).unwrap_or_else(|| {
                    let message =
                        "the first request under this Idempotency-Key ended without an answer; send it again";
                    Err(Fault::new(Code::Internal, message))
                })
            }
        }
    }

    /// What a request is planned on: what is, or what there would be with the app that it is about.
    async fn planned_on(&self, snapshot: &Arc<Snapshot>, request: &Request) -> Result<Arc<Snapshot>, Fault> {
        let (Some(app), Some(intent)) = (request.app.clone(), request.intent) else {
            return Ok(Arc::clone(snapshot));
        };
        let imagined = self.with_store(move |store| store.imagine(&app, intent)).await?;
        Ok(Arc::new(imagined))
    }

    async fn begin_here(&self, request: Request, fingerprint: Option<String>) -> Result<Begun, Fault> {
        let mut attempt = 1;
        loop {
            let snapshot = self.snapshot();
            snapshot.idle()?;
            if request
                .holding
                .as_ref()
                .is_some_and(|held| *held != snapshot.desired)
            {
                let message = "another plan was carried out while this one was worked out";
                return Err(Fault::new(Code::Conflict, message));
            }
            let planned = self.planned_on(&snapshot, &request).await?;
            let Prepared {
                plan,
                course,
                world,
                on_failure,
                on_shortage,
            } = self.prepare(&planned, &request).await?;
            let frozen = Frozen {
                id: self.inner.settings.outside.id(),
                created_at: self.inner.settings.outside.now(),
                plan,
                generation: planned.generation,
                from: Pinned::from(&course.seen.allocation),
                target: course.target,
                stages: course.stages,
                hooks_revision: world.hooks.as_ref().map(|hooks| hooks.revision.clone()),
                on_failure,
                on_shortage,
                idempotency_key: request.idempotency_key.clone(),
                fingerprint: fingerprint.clone(),
                plan_id: request.plan_id.clone(),
                requested_by: request.by.clone(),
                reconcile: request.reconcile.clone(),
                intent: request.intent,
            };
            let id = frozen.id;
            let launch = Launch {
                id,
                direction: Direction::Forward,
                world: Some(world),
            };
            let (service, planned_on) = (self.clone(), Arc::clone(&snapshot));
            let app = request.app.clone();
            let begun = self
                .ask(move |supervisor| {
                    let imagined = app.as_deref().map(|app| (app, &*planned));
                    supervisor.begin(&service, &frozen, &planned_on, imagined, launch)
                })
                .await;
            match begun {
                Ok(ended) => return Ok(Begun::under_way(id, ended)),
                Err(fault) if fault.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
                Err(fault) => return Err(fault),
            }
        }
    }
}
