//! What is, before a plan: looked up from the cloud and from the engines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::cloud::{CloudVm, More, Offer, Standing, check_shape};
use crate::engine::{Engine, EngineError, EngineErrorKind, Health, Machine, Observed};
use crate::execute::{as_seen, lacking, others, real_name};
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::topology::Cloud as CloudSpec;
use crate::model::{Allocation, Cpu, Foreign, Size, TierId, Topology, Vm, VmId};
use crate::translate::Action;

use super::crowd::Crowd;
use super::identity::{self, refuse_changed, refuse_shared};
use super::leftovers::{is_stray, left_behind, surplus};
use super::members::members;
use super::nodes::Nodes;
use super::{Service, Snapshot};

/// VMs that are looked at at the same time.
const AT_ONCE: usize = 64;
/// How long a VM that nothing is on is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// From a look that failed to the next.
const BEFORE_THE_SECOND_LOOK: Duration = Duration::from_millis(100);
/// How long a host is waited for when a topology is put. One that does not answer is looked at
/// before it is used.
const PATIENCE_AT_PUT: Duration = Duration::from_secs(3);

/// What is, before a plan.
#[derive(Default)]
pub(super) struct Reality {
    /// The VMs that there are, and what their engines say of them.
    pub allocation: Allocation,
    /// What was seen on them.
    pub seen: BTreeMap<VmId, Vec<Observed>>,
    /// VMs that could be taken into use.
    pub spares: Spares,
    /// Removals of what runs on VMs that were given up and came back, though all of it is held elsewhere.
    pub surplus: Vec<Action>,
    /// Containers without limits, which may take more than is counted, by VM.
    pub unlimited: BTreeMap<VmId, Vec<Unlimited>>,
    /// What containers of others leave of the VMs that they hold something of.
    pub crowds: Vec<Crowd>,
    /// VMs in use that could not be looked at, and why: they are taken to be as confirmed.
    pub silent: BTreeMap<VmId, Fault>,
    /// The same VMs as nodes, for what tiers require of them.
    pub nodes: Nodes,
    /// What the plan's author should know.
    pub warnings: Vec<Warning>,
}

/// VMs with names of their own that could be taken into use, as they were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Spares {
    /// Those that nobody runs anything on.
    pub clean: Vec<VmId>,
    /// Those with less room, because of what others run there.
    pub occupied: BTreeMap<VmId, Vm>,
    /// Why others can't be used.
    pub unusable: Vec<Fault>,
    /// Why others could not be looked at. A plan may show them, after all others, and nothing is begun
    /// on them before they are seen.
    pub unseen: BTreeMap<VmId, Fault>,
}

/// A container that is not ours and may take more than is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unlimited {
    pub container: String,
    pub lacks: &'static str,
}

/// Why a VM is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The allocation has it.
    Used,
    /// A member of a group that nothing was put on yet.
    Idle,
    /// It could be taken into use.
    Spare,
}

/// What one VM's engine told.
pub(super) struct Look {
    pub vm: CloudVm,
    role: Role,
    pub result: Result<(Machine, Vec<Observed>), Fault>,
}

/// A warning about the world, not about a place in a document.
pub(super) fn told(problem: String) -> Warning {
    Warning {
        path: String::new(),
        problem,
    }
}

impl Service {
    /// What is: the confirmed allocation with the VMs that the cloud has, and with what their engines
    /// report in its place. A VM that does not answer is taken to be as confirmed; a plan that
    /// touches it is refused before anything is done. One that nothing was put on yet and that does
    /// not answer comes last, and is not begun on.
    ///
    /// # Errors
    ///
    /// When two names lead to one engine, or another engine is in the place of one that is in use.
    pub(super) async fn reality(
        &self,
        snapshot: &Snapshot,
        topology: &Arc<Topology>,
        offer: &Offer,
        wanted: &BTreeMap<TierId, Size>,
    ) -> Result<Reality, Fault> {
        let members = members(&snapshot.allocation, offer, topology.infrastructure.vm);
        let mut reality = Reality {
            allocation: members.allocation,
            ..Reality::default()
        };
        for (vm, why) in members.gone {
            reality.warnings.push(told(format!(
                "VM '{vm}' is gone ({why}): what it held is planned anew"
            )));
        }
        let named = matches!(offer.more, More::Named);
        let role = |vm: &CloudVm| {
            let used = reality.allocation.vms.contains_key(&vm.name);
            match (used, members.idle.contains(&vm.name)) {
                (true, true) => Some(Role::Idle),
                (true, false) => Some(Role::Used),
                (false, _) => (named && vm.standing == Standing::Ready).then_some(Role::Spare),
            }
        };
        let vms = offer.vms.iter();
        let vms: Vec<(CloudVm, Role)> = vms.filter_map(|vm| Some((vm.clone(), role(vm)?))).collect();
        let looks = self.look_at(topology, vms).await?;
        for look in &looks {
            self.note_look(&look.vm.name, look.result.as_ref());
        }
        reality.nodes = self.nodes_of(snapshot, topology, offer, &looks);
        if named {
            self.know_engines(snapshot, &looks).await?;
        }
        let on_record = self.on_record(snapshot).await?;
        let mut back = Vec::new();
        for mut look in looks {
            if let Ok((_, seen)) = &mut look.result {
                self.take_over(&look.vm.name, &on_record, seen);
            }
            if snapshot.allocation.vms.contains_key(&look.vm.name) {
                reality.take_in(topology, look);
            } else {
                back.push(look);
            }
        }
        // Only now is it known what the others hold.
        for mut look in back {
            reality.strip(topology, &mut look, wanted);
            reality.take_in(topology, look);
        }
        Ok(reality)
    }

    /// Looks, as far as they answer, which engines the hosts of a topology have.
    ///
    /// # Errors
    ///
    /// When two hosts have one, or one in use has another than before.
    pub(super) async fn check_engines(&self, topology: &Topology) -> Result<(), Fault> {
        let CloudSpec::Hosts(hosts) = &topology.infrastructure.cloud else {
            return Ok(());
        };
        let engines = self.inner.platform.engines();
        let tls = topology.infrastructure.docker.tls.as_ref();
        let looks = hosts.clone().into_iter().map(|host| {
            let engine = engines.at(&host.docker, tls);
            async move {
                let machine = tokio::time::timeout(PATIENCE_AT_PUT, engine.ok()?.machine()).await;
                Some((host.name, machine.ok()?.ok()?.identity))
            }
        });
        let seen: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        let seen: identity::Engines = seen.into_iter().flatten().collect();
        refuse_shared(&seen)?;
        let snapshot = self.snapshot();
        seen.iter()
            .try_for_each(|(vm, now)| refuse_changed(&snapshot.allocation, &snapshot.engines, vm, now))
    }

    /// Containers that an earlier version made, before there were owners, and that the record has: by
    /// VM and name. They are ours.
    pub(super) async fn on_record(&self, snapshot: &Snapshot) -> Result<BTreeSet<(VmId, String)>, Fault> {
        if !snapshot.unlabelled {
            return Ok(BTreeSet::new());
        }
        let confirmed = snapshot.allocation.vms.iter();
        let confirmed = confirmed.flat_map(|(vm, held)| held.used.keys().map(move |tier| (vm.clone(), tier)));
        let mut known: BTreeSet<_> = confirmed.map(|(vm, tier)| (vm, tier.to_string())).collect();
        if let Some(id) = snapshot.running {
            // What was being made when the earlier version was stopped is not confirmed.
            let running = self.execution(id).await?;
            let begun = running.actions().filter_map(|(_, action)| {
                let vm = real_name(&snapshot.bindings, action.vm()).clone();
                Some((vm, action.container()?.to_string()))
            });
            known.extend(begun);
        }
        Ok(known)
    }

    /// Takes the containers over that are on record.
    pub(super) fn take_over(&self, vm: &VmId, on_record: &BTreeSet<(VmId, String)>, seen: &mut [Observed]) {
        let owners = self.inner.platform.engines().owners();
        for one in seen.iter_mut().filter(|one| {
            let nobodys = one.by_mapek() && one.owner().is_none() && !one.managed;
            nobodys && on_record.contains(&(vm.clone(), one.name.clone()))
        }) {
            tracing::info!(%vm, container = one.name, "taking over a container that an earlier version made");
            owners.take_over(&one.id);
            one.managed = true;
        }
    }

    async fn look_at(&self, topology: &Arc<Topology>, vms: Vec<(CloudVm, Role)>) -> Result<Vec<Look>, Fault> {
        let engines = self.inner.platform.engines();
        let topology = Arc::clone(topology);
        let looks = async move {
            let infrastructure = &topology.infrastructure;
            let looks = vms.into_iter().map(|(vm, role)| {
                let engine = engines.at(&vm.endpoint, infrastructure.docker.tls.as_ref());
                async move {
                    let look = async {
                        let engine = engine.map_err(Fault::from)?;
                        match role {
                            Role::Used => look(engine.as_ref()).await,
                            Role::Idle | Role::Spare => {
                                // One that is late is asked again, too: `PATIENCE` bounds both.
                                let (machine, seen) =
                                    look_again(engine.as_ref(), EngineError::may_pass).await?;
                                check_shape(
                                    &machine,
                                    infrastructure.size_of(&vm.name),
                                    infrastructure.mem_unit_mb,
                                )
                                .map_err(|problem| Fault::new(Code::ShapeTooLarge, problem))?;
                                Ok((machine, seen))
                            }
                        }
                    };
                    let result = match role {
                        Role::Used => look.await,
                        Role::Idle | Role::Spare => {
                            let late = || Fault::new(Code::EngineTimeout, late());
                            let look = tokio::time::timeout(PATIENCE, look).await;
                            look.unwrap_or_else(|_| Err(late()))
                        }
                    };
                    Look { vm, role, result }
                }
            });
            Ok(stream::iter(looks).buffered(AT_ONCE).collect().await)
        };
        self.to_the_end(looks).await
    }

    /// Compares the engines with those that were known, and remembers them.
    async fn know_engines(&self, snapshot: &Snapshot, looks: &[Look]) -> Result<(), Fault> {
        let seen: identity::Engines = looks
            .iter()
            .filter_map(|look| {
                Some((
                    look.vm.name.clone(),
                    look.result.as_ref().ok()?.0.identity.clone(),
                ))
            })
            .collect();
        refuse_shared(&seen)?;
        for (vm, now) in &seen {
            refuse_changed(&snapshot.allocation, &snapshot.engines, vm, now)?;
        }
        let news = identity::news(&snapshot.engines, &seen);
        if news.is_empty() {
            return Ok(());
        }
        self.with_book(move |book| book.know_engines(news)).await
    }
}

fn late() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

/// What it is, and what it runs. Whoever asks waits for the answer: one that is late is not
/// asked again.
pub(super) async fn look(engine: &dyn Engine) -> Result<(Machine, Vec<Observed>), Fault> {
    let passes = |error: &EngineError| error.may_pass() && error.kind != EngineErrorKind::TimedOut;
    Ok(look_again(engine, passes).await?)
}

/// Asks an engine what it is and what it runs, and once more after a failure that `passes`: one broken
/// connection is no reason to refuse a plan.
async fn look_again(
    engine: &dyn Engine,
    passes: impl Fn(&EngineError) -> bool,
) -> Result<(Machine, Vec<Observed>), EngineError> {
    let ask = || futures_util::future::try_join(engine.machine(), engine.observe());
    match ask().await {
        Err(error) if passes(&error) => {
            tracing::debug!(%error, "looking once more");
            tokio::time::sleep(BEFORE_THE_SECOND_LOOK).await;
            ask().await
        }
        looked => looked,
    }
}

impl Reality {
    /// Leaves out what nobody wants of what a VM runs that is not in the allocation: it is removed before
    /// the VM is used.
    fn strip(&mut self, topology: &Topology, look: &mut Look, wanted: &BTreeMap<TierId, Size>) {
        let (vm, Ok((_, seen))) = (&look.vm.name, &mut look.result) else {
            return;
        };
        let removals = surplus(topology, vm, seen, wanted, &self.allocation.totals());
        if removals.is_empty() {
            return;
        }
        tracing::warn!(%vm, containers = removals.len(), "containers of ours that run elsewhere by now are to be removed");
        self.seen.insert(vm.clone(), seen.clone());
        let goes = |one: &Observed| {
            let is = |tier: &TierId| tier.as_str() == one.name;
            one.managed && removals.iter().filter_map(Action::container).any(is)
        };
        seen.retain(|one| !goes(one));
        self.surplus.extend(removals);
    }

    /// Marks containers that are to be restarted, where they are unhealthy now.
    pub(super) fn restart(&mut self, restart: &BTreeSet<(VmId, TierId)>) {
        for (vm, tier) in restart {
            let seen = self.seen.get(vm).into_iter().flatten();
            let sick = |one: &Observed| {
                one.managed && one.name == tier.as_str() && one.health == Some(Health::Unhealthy)
            };
            if let Some(held) = self.allocation.vms.get_mut(vm)
                && seen.into_iter().any(sick)
            {
                held.stalled.insert(tier.clone());
            }
        }
    }

    fn take_in(&mut self, topology: &Topology, look: Look) {
        let Look { vm, role, result } = look;
        let name = vm.name;
        let seen = match (result, role) {
            (Ok((_, seen)), _) => seen,
            (Err(error), Role::Used) => {
                tracing::warn!(vm = %name, %error, "planning without having seen what runs there");
                let message = format!("VM '{name}': {}", error.message);
                self.silent.insert(name, Fault { message, ..error });
                return;
            }
            (Err(error), Role::Idle) => {
                self.allocation.vms.remove(&name);
                let problem = format!("VM '{name}' is idle and is not used: {}", error.message);
                self.warnings.push(told(problem));
                return;
            }
            (Err(error), Role::Spare) if error.code == Code::ShapeTooLarge => {
                let message = format!("VM '{name}' is not used: {}", error.message);
                self.warnings.push(told(message.clone()));
                self.spares.unusable.push(Fault { message, ..error });
                return;
            }
            (Err(error), Role::Spare) => {
                let message = format!("VM '{name}': {}", error.message);
                self.spares.unseen.insert(name, Fault { message, ..error });
                return;
            }
        };
        let unlimited: Vec<Unlimited> = others(topology, &seen)
            .filter_map(|one| {
                Some(Unlimited {
                    container: one.name.clone(),
                    lacks: lacking(one)?,
                })
            })
            .collect();
        if !unlimited.is_empty() {
            self.unlimited.insert(name.clone(), unlimited);
        }
        let before = self.allocation.vms.get(&name).cloned();
        let capacity = topology.infrastructure.size_of(&name);
        let capacity = before.as_ref().map_or(capacity, |vm| vm.capacity);
        let crowd = Crowd::on(topology, &name, capacity, others(topology, &seen));
        self.crowds.extend(crowd);
        let before = before.unwrap_or_else(|| Vm::empty(vm.ip, capacity));
        let now = as_seen(topology, &before, &seen);
        let strays = seen.iter().any(|one| is_stray(topology, one));
        if role != Role::Spare || !now.used.is_empty() || strays {
            // A VM that was given up, or whose containers were adopted, is in use as long as ours run there.
            if role == Role::Spare {
                tracing::warn!(vm = %name, "containers of ours run on a VM that the allocation does not have");
            }
            self.allocation.vms.insert(name.clone(), now);
            self.seen.entry(name).or_insert(seen);
            return;
        }
        // What was left behind on one that was given up is taken away before the VM is used again.
        if seen.iter().any(left_behind) {
            self.seen.entry(name.clone()).or_insert(seen);
        }
        if now.foreign == Foreign::default() {
            self.spares.clean.push(name);
        } else if now.room().mem > 0 && now.room().cpu > Cpu::ZERO {
            self.spares.occupied.insert(name, now);
        } else {
            let message = format!("VM '{name}' is not used: what others run there takes all that it has");
            self.spares.unusable.push(Fault::new(Code::Infeasible, message));
        }
    }
}
