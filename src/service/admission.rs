//! Admission: from a plan that somebody wants to an execution on record, with its runner.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::execute::{By, Direction, Frozen, Pinned, Reconcile, World, preflight};
use crate::fault::{Code, Fault};
use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{TierId, Topology, VmId};
use crate::translate::{Action, Stage};

use super::keys::{Turn, fingerprint};
use super::propose::{Seen, Wishes};
use super::requirements::Confine;
use super::running::{Ended, Launch};
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
    /// Why the service asks by itself, where it does. Where there is nothing to do then, nothing is
    /// begun.
    pub reconcile: Option<Reconcile>,
    /// Containers that are to be restarted where they are, if they are still unhealthy.
    pub restart: BTreeSet<(VmId, TierId)>,
    /// What is wanted of where things are, besides what the tiers say.
    pub confine: Confine,
    /// The intent that this carries out.
    pub intent: Option<Uuid>,
}

/// What a request comes to, with all that it needs at hand.
pub(super) struct Prepared {
    plan: Value,
    course: Course,
    world: World,
    on_failure: OnFailure,
    on_shortage: OnShortage,
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
    pub(super) fn under_way(id: Uuid, ended: watch::Receiver<Option<Ended>>) -> Self {
        let ended = Waiting::For(ended);
        Self { id, ended }
    }

    pub(super) fn over(ended: Ended) -> Self {
        Self {
            id: ended.id,
            ended: Waiting::No(Box::new(ended)),
        }
    }

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
        self.to_the_end(async move { service.admit(request).await }).await
    }

    /// Lets the first request under a key in; those like it wait for what comes of it.
    async fn admit(&self, request: Request) -> Result<Begun, Fault> {
        let Some(key) = request.idempotency_key.clone() else {
            return self.begin_here(request, None).await;
        };
        let print = fingerprint(&request);
        let (of, asked) = (print.clone(), request.clone());
        let turn = self
            .ask(move |supervisor| supervisor.turn(&key, &of, &asked))
            .await?;
        match turn {
            Turn::Begun(begun) => Ok(begun),
            Turn::First(tell) => {
                let begun = self.begin_here(request, Some(print)).await;
                tell.send_replace(Some(begun.clone()));
                begun
            }
            Turn::After(mut answer) => {
                let answer = answer.wait_for(Option::is_some).await.ok();
                answer.and_then(|answer| answer.clone()).unwrap_or_else(|| {
                    let message =
                        "the first request under this Idempotency-Key ended without an answer; send it again";
                    Err(Fault::new(Code::Internal, message))
                })
            }
        }
    }

    async fn begin_here(&self, request: Request, fingerprint: Option<String>) -> Result<Begun, Fault> {
        let mut attempt = 1;
        loop {
            let snapshot = self.snapshot();
            snapshot.idle()?;
            let Prepared {
                plan,
                course,
                world,
                on_failure,
                on_shortage,
            } = self.prepare(&snapshot, &request).await?;
            let frozen = Frozen {
                id: self.inner.settings.outside.id(),
                created_at: self.inner.settings.outside.now(),
                plan,
                generation: snapshot.generation,
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
            let begun = self
                .ask(move |supervisor| supervisor.begin(&service, &frozen, &planned_on, launch))
                .await;
            match begun {
                Ok(ended) => return Ok(Begun::under_way(id, ended)),
                Err(fault) if fault.code == Code::Conflict && attempt < ATTEMPTS => attempt += 1,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// What a request comes to on what a snapshot says. Nothing is changed or recorded.
    ///
    /// # Errors
    ///
    /// When it can't be carried out, as far as that can be known beforehand.
    pub(super) async fn prepare(
        &self,
        snapshot: &Arc<Snapshot>,
        request: &Request,
    ) -> Result<Prepared, Fault> {
        let topology = snapshot.topology()?;
        let (plan, course) = self.course(snapshot, request).await?;
        if request.reconcile.is_some() && course.stages.is_empty() {
            let message = "no action would change anything about it";
            return Err(Fault::new(Code::Conflict, message));
        }
        let on_failure = request.on_failure.unwrap_or(topology.infrastructure.on_failure);
        let on_shortage = request.on_shortage.unwrap_or(topology.infrastructure.on_shortage);
        let other_ways = on_failure == OnFailure::Rollback || on_shortage == OnShortage::Replan;
        let needs_hooks = needs_hooks(&course.stages) || (other_ways && names_hooks(&topology));
        let world = self.world(&topology, &course.seen, needs_hooks).await?;
        refuse(preflight(&world, &snapshot.view(), &course.seen.containers, &course.stages).await)?;
        refuse(cordoned(snapshot, &course))?;
        refuse(unseen(&course))?;
        refuse(unconfirmed(&course))?;
        Ok(Prepared {
            plan,
            course,
            world,
            on_failure,
            on_shortage,
        })
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
        let wishes = Wishes {
            restart: &request.restart,
            confine: &request.confine,
        };
        let proposal = self.propose(snapshot, &plan, wishes).await?;
        Ok((plan, proposal.into()))
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
            outside: Arc::clone(&settings.outside),
            topology: Arc::clone(topology),
        })
    }
}

pub(super) fn needs_hooks(stages: &[Stage]) -> bool {
    let hook = |action: &Action| match action {
        Action::RunScaleHook { .. } | Action::RunTierHook { .. } => true,
        Action::DeleteContainer { hooks, .. } | Action::ReplaceContainer { hooks, .. } => !hooks.is_empty(),
        _ => false,
    };
    stages.iter().flatten().any(hook)
}

/// What is to be put on nodes that take nothing new: those were cordoned after a plan was sealed.
fn cordoned(snapshot: &Snapshot, course: &Course) -> Vec<Fault> {
    let actions = course.stages.iter().flatten();
    // One that is there already, and has to go before its successor is made, is nothing new.
    let there = |vm: &VmId, container: &TierId| {
        let vm = course.seen.allocation.vms.get(vm);
        vm.is_some_and(|vm| vm.used.contains_key(container))
    };
    let put = actions.filter_map(|action| match action {
        Action::CreateContainer { vm, container, .. } if !there(vm, container) => {
            Some((action, vm, snapshot.cordons.get(vm)?))
        }
        _ => None,
    });
    let put = put.map(|(action, vm, cordon)| {
        let message = format!("{action}: node '{vm}' is {}", cordon.reason());
        (message, vm, cordon)
    });
    // What is there may be resized as far as all of it together holds no more than now.
    let grown = snapshot.cordons.iter().filter_map(|(vm, cordon)| {
        let before = course.seen.allocation.vms.get(vm)?.held();
        let after = course.target.vms.get(vm)?.held();
        let message = format!(
            "node '{vm}' would hold {} cores and {} mem_units in all, more than now: it is {}",
            after.cpu,
            after.mem,
            cordon.reason()
        );
        (!after.fits(before)).then_some((message, vm, cordon))
    });
    put.chain(grown)
        .map(|(message, vm, cordon)| {
            Fault::new(Code::PlanMoved, message).with([json!({ "vm": vm, "cordoned": cordon.since })])
        })
        .collect()
}

/// VMs that are to be taken into use, and that could not be looked at when the plan was placed: what
/// others run there is not known.
fn unseen(course: &Course) -> Vec<Fault> {
    let made = course.stages.iter().flatten().filter_map(|action| match action {
        Action::CreateVm { vm } => course.seen.unseen.get(vm),
        _ => None,
    });
    made.cloned().collect()
}

/// VMs in use that could not be looked at, where nothing is to be done: that all is as the plan asks can't
/// be said then. Where something is, the VMs that it touches must answer, and the others need not.
fn unconfirmed(course: &Course) -> Vec<Fault> {
    let used = |vm: &VmId| {
        let vm = course.seen.allocation.vms.get(vm);
        vm.is_some_and(|vm| !vm.used.is_empty())
    };
    let silent = course.seen.silent.iter().filter(|(vm, _)| used(vm));
    let faults = silent.map(|(vm, fault)| fault.clone().with([json!({ "vm": vm })]));
    if course.stages.iter().all(Vec::is_empty) {
        faults.collect()
    } else {
        Vec::new()
    }
}

/// Whether a topology names any hook.
pub(super) fn names_hooks(topology: &Topology) -> bool {
    topology.tiers.values().any(|tier| tier.hooks().next().is_some())
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::intent::Cordon;
    use crate::model::{Allocation, CoreSet, Size, TierId, Vm};

    /// A VM that holds something, if `holds`, and does not answer.
    fn course(holds: bool, stages: Vec<Stage>) -> Course {
        let (name, mut vm) = (VmId::new("vm1"), Vm::empty(None, Size::new(4, 4)));
        if holds {
            vm.used.insert(TierId::of("app", "db"), Size::new(1, 1).into());
        }
        let allocation = Allocation {
            vms: [(name.clone(), vm)].into(),
        };
        let silent = Fault::new(Code::EngineUnreachable, "VM 'vm1': connection refused");
        Course {
            target: allocation.clone(),
            stages,
            seen: Seen {
                vms: Vec::new(),
                allocation,
                occupied: BTreeMap::new(),
                unseen: BTreeMap::new(),
                silent: [(name, silent)].into(),
                containers: BTreeMap::new(),
            },
        }
    }

    #[test]
    fn a_plan_that_changes_nothing_is_not_reached_where_nobody_could_look() {
        let faults = unconfirmed(&course(true, Vec::new()));
        let codes: Vec<Code> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, [Code::EngineUnreachable]);
        assert!(unconfirmed(&course(false, Vec::new())).is_empty());
        let elsewhere = vec![vec![Action::CreateVm { vm: VmId::new("vm2") }]];
        assert!(unconfirmed(&course(true, elsewhere)).is_empty());
    }

    #[test]
    fn nothing_new_is_put_on_a_cordoned_node_and_what_is_there_may_be_made_anew() {
        let cordon = Cordon {
            intent: Uuid::nil(),
            by: "operator".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let snapshot = Snapshot {
            cordons: Arc::new([(VmId::new("vm1"), cordon)].into()),
            ..Snapshot::default()
        };
        let make = |vm: &str, tier: &str| Action::CreateContainer {
            vm: VmId::new(vm),
            container: TierId::of("app", tier),
            size: Size::new(1, 1),
            cores: CoreSet::default(),
            revision: None,
        };
        let refused = |vm: &str, tier: &str| {
            let faults = cordoned(&snapshot, &course(true, vec![vec![make(vm, tier)]]));
            faults.iter().map(|fault| fault.code).collect::<Vec<Code>>()
        };
        assert_eq!(refused("vm1", "web"), [Code::PlanMoved]);
        assert_eq!(refused("vm1", "db"), []);
        assert_eq!(refused("vm2", "web"), []);

        // It may shrink, too, and not grow.
        let resized = |cores: u32, mem: u64| {
            let mut course = course(true, Vec::new());
            for vm in course.target.vms.values_mut() {
                vm.used
                    .insert(TierId::of("app", "db"), Size::new(cores, mem).into());
            }
            cordoned(&snapshot, &course).len()
        };
        assert_eq!((resized(1, 1), resized(2, 1), resized(1, 2)), (0, 1, 1));
    }
}
