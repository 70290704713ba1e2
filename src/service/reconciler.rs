//! The reconciler: what runs is compared with what should be again and again. Differences are told once;
//! where the topology says `self_heal`, those that last lead to an execution of the plan that was reached
//! last. Where nothing can be done, nothing is begun, and the next attempt is twice as far away.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::execute::{By, Outcome};
use crate::fault::{Code, Fault};
use crate::model::Plan;
use crate::model::topology::SelfHeal;

use super::Service;
use super::admission::Request;
use super::observation::{Look, News, Place, Watch, on_vm, owed, short};

impl Service {
    /// Starts to look every `interval`, for as long as the service lives.
    pub fn watch_for_drift(&self, interval: Duration) {
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let (mut watch, start) = (Watch::default(), Instant::now());
            loop {
                tokio::time::sleep(interval).await;
                service.reconcile(&mut watch, start).await;
            }
        });
    }

    async fn reconcile(&self, watch: &mut Watch, start: Instant) {
        // What an execution is changing is no difference.
        let before = self.snapshot();
        let Some(topology) = before.topology.clone().filter(|_| before.running.is_none()) else {
            return;
        };
        let look = match self.differences().await {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(%error, "could not look for drift");
                return;
            }
        };
        let after = self.snapshot();
        if after.running.is_some()
            || (after.revision, after.generation) != (before.revision, before.generation)
        {
            return;
        }
        let heal = topology.infrastructure.self_heal;
        let containers = look.keys().filter(|place| place.vm.is_some()).count();
        let news = watch.take(
            look,
            heal.unwrap_or_default(),
            start.elapsed(),
            self.inner.settings.outside.now(),
        );
        self.inner.metrics.drift(containers);
        self.tell(watch, news).await;
        if let Err(error) = self.keep().await {
            tracing::warn!(%error, "could not see to it that the cloud leaves VMs in use alone");
        }
        let due = watch.due();
        if let Some(heal) = heal.filter(|_| !due.is_empty()) {
            self.repair(watch, &due, heal, start).await;
        }
    }

    /// Sets out to bring the plan back that was reached last.
    async fn repair(&self, watch: &mut Watch, due: &[Place], heal: SelfHeal, start: Instant) {
        let reasons = watch.reasons(due);
        let result = self.restore(reasons.clone()).await;
        // Somebody else was faster: it is looked at again once that is over.
        if result
            .as_ref()
            .is_err_and(|fault| matches!(fault.code, Code::ExecutionRunning | Code::Stopping))
        {
            return;
        }
        let first = watch.tried(due, heal, start.elapsed());
        match result {
            Ok(outcome) => tracing::info!(outcome = outcome.as_str(), "reconciled"),
            Err(error) if first => {
                tracing::warn!(%error, reasons = reasons.join("; "), "nothing can be done about what differs");
                let event =
                    json!({ "reasons": reasons, "error": error.message, "code": error.code.as_str() });
                self.note("reconcile_refused", event).await;
            }
            Err(error) => {
                tracing::debug!(%error, "still nothing can be done about what differs");
            }
        }
    }

    async fn restore(&self, reasons: Vec<String>) -> Result<Outcome, Fault> {
        let snapshot = self.snapshot();
        let Some(reached) = snapshot.reached.clone() else {
            let message = "no plan was reached yet, so it is not known what should be; send one";
            return Err(Fault::new(Code::Conflict, message));
        };
        tracing::warn!(reasons = reasons.join("; "), plan_of = %reached.execution, "reconciling");
        let ended = self
            .begin(Request {
                plan: Some(reached.plan.clone()),
                by: By::itself(),
                reconcile: Some(reached.reconcile(reasons)),
                ..Request::default()
            })
            .await?
            .ended()
            .await;
        // A failure is on record, with the execution.
        Ok(ended.outcome.unwrap_or(Outcome::Failed))
    }

    /// Tells, once, what is new and what is over: in the log, among the events, to who asks for the plan.
    async fn tell(&self, watch: &Watch, news: News) {
        for one in news.begun {
            let (vm, container, kind) = (one.vm, one.container, one.kind.as_str());
            let vm_name = vm.as_ref().map(|vm| vm.as_str().to_owned());
            tracing::warn!(vm = vm_name, %container, kind, differences = one.details.join("; "), "drift");
            let event = json!({ "vm": vm, "container": container, "kind": kind, "differences": one.details });
            self.note("drift", event).await;
        }
        for Place { vm, container } in news.over {
            let vm_name = vm.as_ref().map(|vm| vm.as_str().to_owned());
            tracing::info!(vm = vm_name, %container, "drift is over");
            self.note("drift_over", json!({ "vm": vm, "container": container }))
                .await;
        }
        let differences = watch.differences();
        if *self.snapshot().differences != differences {
            let taken = self.with_book(move |book| {
                book.differ(differences);
                Ok(())
            });
            // The service is stopping.
            let _ = taken.await;
        }
    }

    /// Keeps an event. It is news, and not worth failing for.
    async fn note(&self, kind: &'static str, event: serde_json::Value) {
        if let Err(error) = self.with_book(move |book| book.note(kind, event)).await {
            tracing::warn!(%error, kind, "could not note what differs among the events");
        }
    }

    /// What differs now.
    async fn differences(&self) -> Result<Look, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.differences_here().await })
            .await
    }

    async fn differences_here(&self) -> Result<Look, Fault> {
        let snapshot = self.snapshot();
        let topology = snapshot.topology()?;
        let mut all = Look::new();
        if !snapshot.allocation.vms.is_empty() {
            let known = self.known(&topology).await?;
            let looks = snapshot.allocation.vms.iter().map(|(name, vm)| {
                let (snapshot, topology, known) = (&snapshot, &topology, known.get(name));
                async move {
                    let seen = self.look(snapshot, topology, name, known).await;
                    let seen = seen.as_deref();
                    on_vm(topology, name, vm, seen)
                }
            });
            all.extend(join_all(looks).await.into_iter().flatten());
        }
        // A plan that failed, or was cancelled, was meant to change what the one before asks for.
        if let (Some(desired), Some(reached)) = (&snapshot.desired, &snapshot.reached)
            && desired.execution == reached.execution
            && let Ok((plan, _)) = Plan::parse(&reached.plan, &topology)
        {
            all.extend(short(&plan, &snapshot.allocation));
        }
        for (place, what) in owed(&topology, &snapshot.allocation) {
            all.entry(place).or_insert(what);
        }
        Ok(all)
    }
}
