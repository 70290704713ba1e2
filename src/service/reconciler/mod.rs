//! The reconciler: what runs is compared with what should be again and again. Differences are told once;
//! where the topology says `self_heal`, those that last lead to an execution of the plan that was reached
//! last. For that, containers that stay unhealthy are restarted, and VMs whose engines are lost are given
//! up. Where nothing can be done, nothing is begun, and the next attempt is twice as far away.

mod compare;
mod difference;
pub(super) mod drift;
mod lost;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::cloud::{CloudVm, Standing};
use crate::execute::{By, Outcome};
use crate::fault::{Code, Fault};
use crate::model::topology::SelfHeal;
use crate::model::{TierId, Topology, Vm, VmId, Whereabouts};

use crate::service::admission::{Begun, Request};
use crate::service::besides::Word;
use crate::service::nodes::fleet;
use crate::service::observed::PATIENCE;
use crate::service::observed::membership::at_their_addresses;
use crate::service::{Service, Snapshot};

pub use difference::{Difference, Kind};

use compare::{on_vm, owed, short};
use difference::{Look, Place};
use watch::{News, Watch};

/// What somebody wants: how often the topology has changed, and the execution that the plan was first wanted
/// with.
type Wanted = (u64, Option<Uuid>);

/// What should be done about what has lasted long enough.
struct Repair {
    /// The reasons, for people.
    reasons: Vec<String>,
    /// VMs whose engines are lost.
    lost: BTreeSet<VmId>,
    /// Containers that stay unhealthy.
    unhealthy: BTreeSet<(VmId, TierId)>,
    /// Whether there is anything besides what was on lost VMs.
    more: bool,
}

impl Repair {
    fn of(watch: &Watch, due: &[Place]) -> Self {
        let lost = watch.of_kind(due, Kind::Lost);
        let unhealthy = watch.of_kind(due, Kind::Unhealthy).into_iter();
        Self {
            reasons: watch.reasons(due),
            more: lost.len() < due.len(),
            lost: lost.into_iter().filter_map(|place| place.vm).collect(),
            unhealthy: unhealthy
                .filter_map(|place| Some((place.vm?, TierId::new(&place.container))))
                .collect(),
        }
    }

    /// The VMs to give up, in the order in which that is tried.
    fn attempts(&self) -> Vec<BTreeSet<VmId>> {
        let mut attempts = Vec::new();
        if !self.lost.is_empty() {
            attempts.push(self.lost.clone());
        }
        if self.lost.len() > 1 {
            attempts.extend(self.lost.iter().map(|vm| [vm.clone()].into()));
        }
        if self.more {
            attempts.push(BTreeSet::new());
        }
        attempts
    }
}

impl Service {
    /// Starts to look every `interval`, for as long as the service runs.
    pub fn watch_for_drift(&self, interval: Duration) {
        let service = self.clone();
        self.inner.runtime.spawn(async move {
            let (mut watch, mut last, start) = (Watch::default(), Wanted::default(), Instant::now());
            loop {
                let wake = service.inner.wake.notified();
                let _ = tokio::time::timeout(interval, wake).await;
                service.reconcile(&mut watch, &mut last, start).await;
            }
        });
    }

    async fn reconcile(&self, watch: &mut Watch, last: &mut Wanted, start: Instant) {
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
        let wanted = (
            after.generation,
            after.desired.as_ref().map(|plan| plan.execution),
        );
        if std::mem::replace(last, wanted) != wanted {
            watch.try_anew();
        }
        let mut due = watch.due();
        // The hooks that a plan owes which failed, or was cancelled, are about that plan: going back to the one
        // before it is no way to run them.
        if !after.wants_what_was_reached() {
            let owed = watch.of_kind(&due, Kind::HookOwed);
            due.retain(|place| !owed.contains(place));
        }
        if heal.is_some() {
            self.leave(watch).await;
        }
        if let Some(heal) = heal.filter(|_| !due.is_empty()) {
            self.repair(watch, &due, heal, start).await;
        }
    }

    /// Begins to bring back the plan that was reached last.
    async fn repair(&self, watch: &mut Watch, due: &[Place], heal: SelfHeal, start: Instant) {
        let reasons = watch.reasons(due);
        let result = self.restore(&Repair::of(watch, due)).await;
        // Another request was faster: this is looked at again once that is over.
        if result
            .as_ref()
            .is_err_and(|fault| matches!(fault.code, Code::ExecutionRunning | Code::Stopping))
        {
            return;
        }
        let first = watch.tried(due, heal, start.elapsed());
        match result {
            Ok(outcome) => tracing::info!(outcome = outcome.as_str(), "reconciled"),
            Err(error) if first => self.tell_refused(reasons, &error).await,
            Err(error) => {
                tracing::debug!(%error, "still nothing can be done about what differs");
            }
        }
    }

    /// Reports once what was restarted so often that it is left as it is.
    async fn leave(&self, watch: &mut Watch) {
        let places = watch.hopeless();
        if !places.is_empty() {
            let message = "it was restarted with growing pauses, and stays unhealthy: it is left as it is until it is \
                           well, or another plan or topology is sent";
            let fault = Fault::new(Code::ContainerUnhealthy, message);
            self.tell_refused(watch.reasons(&places), &fault).await;
        }
    }

    pub(in crate::service) async fn tell_refused(&self, reasons: Vec<String>, error: &Fault) {
        tracing::warn!(%error, reasons = reasons.join("; "), "nothing can be done about what differs");
        let event = json!({ "reasons": reasons, "error": error.message, "code": error.code.as_str() });
        self.note("reconcile_refused", event).await;
    }

    /// Goes back to the plan that was reached last. For that, lost VMs are given up if the whole
    /// plan can be placed without them: all lost VMs or, if that is impossible, the first one
    /// without which it is possible. Other differences do not wait for that.
    async fn restore(&self, repair: &Repair) -> Result<Outcome, Fault> {
        let snapshot = self.snapshot();
        let Some(reached) = snapshot.reached.clone() else {
            let message = "no plan was reached yet, so it is not known what should be; send one";
            return Err(Fault::new(Code::Conflict, message));
        };
        let mut refused = None;
        for lost in repair.attempts() {
            let request = Request {
                plan: Some(reached.plan.clone()),
                by: By::itself(),
                reconcile: Some(reached.reconcile(repair.reasons.clone())),
                restart: repair.unhealthy.clone(),
                holding: Some(snapshot.desired.clone()),
                word: Word::Besides,
                ..Request::default()
            };
            match self.begin_without(&lost, request).await {
                Ok(begun) => {
                    let reasons = repair.reasons.join("; ");
                    tracing::warn!(reasons, plan_of = %reached.execution, "reconciling");
                    // A failure is recorded with the execution.
                    return Ok(begun.ended().await.outcome.unwrap_or(Outcome::Failed));
                }
                Err(fault) if matches!(fault.code, Code::ExecutionRunning | Code::Stopping) => {
                    return Err(fault);
                }
                Err(fault) => drop(refused.get_or_insert(fault)),
            }
        }
        Err(refused.unwrap_or_else(crate::service::crashed))
    }

    /// Begins a request, and gives these VMs up before that. Nothing is given up for what can't be
    /// begun.
    async fn begin_without(&self, lost: &BTreeSet<VmId>, request: Request) -> Result<Begun, Fault> {
        let mut request = request;
        let gone = self.leave_those_that_answer(lost, &mut request).await?;
        if !gone.is_empty() {
            let without = Arc::new(self.snapshot().without(&gone));
            without.idle()?;
            self.prepare(&without, &request).await?;
            for vm in gone {
                self.give_up_here(vm, By::itself()).await?;
            }
        }
        self.begin(request).await
    }

    /// Reports, once, what is new and what is over: in the log, as events, and in the answer about
    /// the plan.
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
            let taken = self.with_store(move |store| {
                store.differ(differences);
                Ok(())
            });
            // The service is stopping.
            let _ = taken.await;
        }
    }

    /// Records an event. It is only for information, and not worth failing for.
    pub(in crate::service) async fn note(&self, kind: &'static str, event: serde_json::Value) {
        if let Err(error) = self.with_store(move |store| store.note(kind, event)).await {
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
        if !snapshot.allocation.vms.is_empty() || snapshot.reached.is_some() {
            let known = self.known(&topology).await?;
            all.extend(self.on_others(&snapshot, &topology, &known).await);
            let allocation = at_their_addresses(&snapshot.allocation, &known);
            let whereabouts = Whereabouts::of(&topology, (&allocation, &allocation));
            let looks = snapshot.allocation.vms.iter().map(|(name, vm)| {
                let (snapshot, topology, known) = (&snapshot, &topology, known.get(name));
                let whereabouts = &whereabouts;
                async move {
                    let seen = self.look(snapshot, topology, name, known).await;
                    let seen = seen.as_deref();
                    on_vm(topology, whereabouts, (name, vm), seen)
                }
            });
            all.extend(join_all(looks).await.into_iter().flatten());
            self.assess(&fleet(&known)).await;
            self.lost_or_leaving(&snapshot, &known, &mut all);
        }
        // A plan that failed, or was cancelled, was meant to change what the one before it asks
        // for.
        if let Some(reached) = &snapshot.reached
            && snapshot.wants_what_was_reached()
            && let Ok(whole) = snapshot.besides.with(&reached.plan, &topology, Word::Besides)
        {
            all.extend(short(&whole.plan, &snapshot.allocation));
        }
        for (place, what) in owed(&topology, &snapshot.allocation) {
            all.entry(place).or_insert(what);
        }
        Ok(all)
    }

    /// What VMs outside of the allocation run of ours: they were given up, and came back. Those
    /// that can't be asked are not waited for long.
    async fn on_others(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        known: &BTreeMap<VmId, CloudVm>,
    ) -> Look {
        let others = known
            .values()
            .filter(|vm| answers(vm) && !snapshot.allocation.vms.contains_key(&vm.name));
        let whereabouts = Whereabouts::of(topology, (&snapshot.allocation, &snapshot.allocation));
        let whereabouts = &whereabouts;
        let looks = others.map(|vm| async move {
            let look = self.look(snapshot, topology, &vm.name, Some(vm));
            let mut seen = tokio::time::timeout(PATIENCE, look).await.ok()?.ok()?;
            seen.retain(|one| {
                one.managed && one.state.holds() && topology.tiers.contains_key(one.name.as_str())
            });
            let nothing = Vm::empty(None, topology.infrastructure.size_of(&vm.name));
            Some(on_vm(topology, whereabouts, (&vm.name, &nothing), Ok(&seen)))
        });
        join_all(looks).await.into_iter().flatten().flatten().collect()
    }
}

/// Whether a VM that the allocation does not have may be asked what it runs.
fn answers(vm: &CloudVm) -> bool {
    match vm.standing {
        Standing::Ready | Standing::Silent(_) | Standing::Departing(_) => true,
        Standing::Aside(_) | Standing::Leaving(_) => false,
    }
}
