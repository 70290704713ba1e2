//! Containers made from an earlier revision of their tier, replaced in their places.
//!
//! Rollouts come when all else is done: then a container has its size, and what makes room has gone. Where that would
//! interrupt a tier, and the way that it is now would not, its rollout comes first instead: before a tier shrinks to one
//! container, or before its VM fills up.
//!
//! A tier is replaced in batches of `max_unavailable`, each a stage; what depends on it waits until all of it is done. A
//! successor starts beside the old one where its VM has room and cores for both and they publish no port in common.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::topology::CpuMode;
use crate::model::{
    Allocation, Container, CoreSet, Cpu, Handover, RevisionId, Size, TierId, Topology, Vm, VmId,
};

use super::work::conflict;
use super::{Action, Interrupt, Stage, Way, cores, moves};

/// The whole way: rollouts that come first, sizes and places, the other rollouts.
///
/// What holds a port that something else on its VM needs is replaced before all else, as long as what it needs itself is
/// free, so that a port passes from one to the next and no container goes before its successor is up. Only where ports
/// are exchanged in a ring is there no such order.
pub(super) fn way(topology: &Topology, from: &Allocation, to: &Allocation) -> Way {
    let plain = settled(topology, from, to);
    let mut passed = Vec::new();
    let mut now = from.clone();
    loop {
        let next = Rollout::between(topology, &now, to, |tier| {
            dependencies_run(topology, (&now, to), tier) && lets_go(topology, (&now, to), tier)
        });
        let next = next.way(Manner::Unblocked);
        if next.stages.is_empty() {
            break;
        }
        now = next.target.clone();
        passed.push(next);
    }
    if passed.is_empty() {
        return plain;
    }
    passed.push(settled(topology, &now, to));
    let passed = joined(passed);
    if passed.interrupts.len() > plain.interrupts.len() {
        plain
    } else {
        passed
    }
}

/// Whether an outdated container of the tier holds a port that another on its VM needs in the end.
fn lets_go(topology: &Topology, (now, to): (&Allocation, &Allocation), tier: &TierId) -> bool {
    to.places(tier).any(|(vm, wanted)| {
        let held = now.container(vm, tier).filter(|held| held.is_replaced_by(wanted));
        let others = to
            .vms
            .get(vm)
            .into_iter()
            .flat_map(|vm| &vm.used)
            .filter(|(other, _)| *other != tier);
        let needed = others.flat_map(|(other, wanted)| topology.ports_at(other, wanted.revision.as_ref()));
        held.is_some_and(|held| conflict(topology.ports_at(tier, held.revision.as_ref()), needed))
    })
}

/// Whether what the tier depends on runs, as far as it is to run at all.
fn dependencies_run(topology: &Topology, (from, to): (&Allocation, &Allocation), tier: &TierId) -> bool {
    let runs = |other: &TierId| from.places(other).next().is_some() || to.places(other).next().is_none();
    let spec = topology.tiers.get(tier);
    spec.is_some_and(|spec| spec.depends_on.iter().all(runs))
}

/// The way without regard to ports that pass from one to the next.
fn settled(topology: &Topology, from: &Allocation, to: &Allocation) -> Way {
    let (rest, late) = along(topology, from, to);
    if late.interrupts.is_empty() {
        return joined([rest, late]);
    }
    let candidates: BTreeSet<&TierId> = late.interrupts.iter().map(|one| &one.tier).collect();
    let early = Rollout::between(topology, from, to, |tier| {
        candidates.contains(tier) && dependencies_run(topology, (from, to), tier)
    })
    .way(Manner::Gently);
    if early.stages.is_empty() {
        return joined([rest, late]);
    }
    let (rest, late) = along(topology, &early.target, to);
    joined([early, rest, late])
}

/// Sizes and places, and what is outdated then.
fn along(topology: &Topology, from: &Allocation, to: &Allocation) -> (Way, Way) {
    let rest = moves(topology, from, to);
    let late = Rollout::between(topology, &rest.target, to, |_| true).way(Manner::Fully);
    (rest, late)
}

/// One way after the other. A tier that several interrupt has the first one's reason.
fn joined(ways: impl IntoIterator<Item = Way>) -> Way {
    let mut whole = Way::default();
    let mut interrupts: BTreeMap<TierId, Interrupt> = BTreeMap::new();
    for way in ways {
        whole.stages.extend(way.stages);
        for one in way.interrupts {
            interrupts.entry(one.tier.clone()).or_insert(one);
        }
        whole.target = way.target;
    }
    whole.interrupts = interrupts.into_values().collect();
    whole
}

/// How much of what is outdated is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Everything.
    Fully,
    /// What nothing else on its VM is in the way of.
    Unblocked,
    /// Of that, what no tier is interrupted for.
    Gently,
}

/// What is to be replaced, and how far that is.
struct Rollout<'a> {
    topology: &'a Topology,
    pinned: bool,
    now: Allocation,
    /// Where containers of a tier are outdated, and what they should be made from.
    open: BTreeMap<&'a TierId, BTreeMap<VmId, RevisionId>>,
    interrupts: Vec<Interrupt>,
}

/// What a stage takes of one VM besides what is held there.
#[derive(Clone, Debug, Default)]
struct Taken {
    size: Size,
    cores: BTreeSet<u32>,
}

/// Why the successor can't start beside the old one.
enum Obstacle {
    /// Others in the same stage take the room; it has room by itself.
    Passing,
    /// There is none.
    Lasting(String),
}

impl<'a> Rollout<'a> {
    fn between(
        topology: &'a Topology,
        from: &Allocation,
        to: &'a Allocation,
        takes_part: impl Fn(&TierId) -> bool,
    ) -> Self {
        let mut open: BTreeMap<&TierId, BTreeMap<VmId, RevisionId>> = BTreeMap::new();
        for (vm, there) in &to.vms {
            for (tier, wanted) in there.used.iter().filter(|(tier, _)| takes_part(tier)) {
                let outdated = from
                    .container(vm, tier)
                    .is_some_and(|held| held.is_replaced_by(wanted));
                if let (true, Some(revision)) = (outdated, &wanted.revision) {
                    let places = open.entry(tier).or_default();
                    places.insert(vm.clone(), revision.clone());
                }
            }
        }
        Self {
            topology,
            pinned: topology.infrastructure.cpu_mode == CpuMode::Cpuset,
            now: from.clone(),
            open,
            interrupts: Vec::new(),
        }
    }

    /// Replaces what the manner allows.
    fn way(mut self, manner: Manner) -> Way {
        let order: Vec<&TierId> = {
            let tiers = self
                .topology
                .dependencies_first()
                .into_iter()
                .map(|tier| &tier.id);
            tiers.filter(|tier| self.open.contains_key(tier)).collect()
        };
        if manner != Manner::Fully {
            self.open.retain(|tier, places| {
                let now = &self.now;
                let topology = self.topology;
                places.iter().all(|(vm, revision)| {
                    let vm = now.vms.get(vm);
                    vm.is_some_and(|vm| !blocked(topology, vm, tier, revision))
                })
            });
        }
        if manner == Manner::Gently {
            let lone: Vec<&TierId> = self
                .open
                .keys()
                .copied()
                .filter(|tier| self.interrupts(tier))
                .collect();
            self.open.retain(|tier, _| !lone.contains(tier));
        }
        let mut stages: Vec<Stage> = Vec::new();
        while !self.open.is_empty() {
            let stage = self.stage(&order);
            if stage.is_empty() {
                // Every stage takes the first container in line at least.
                break;
            }
            let pause = stage
                .iter()
                .filter_map(Action::container)
                .map(|tier| self.hooks(tier))
                .max();
            stages.push(stage);
            // Hooks come before the next batch.
            stages.extend(vec![Stage::new(); pause.unwrap_or(0)]);
            self.open.retain(|_, places| !places.is_empty());
        }
        Way {
            stages,
            interrupts: self.interrupts,
            target: self.now,
        }
    }

    /// Whether replacing the tier takes its only container down.
    fn interrupts(&self, tier: &TierId) -> bool {
        let mut places = self.now.places(tier);
        let (Some((vm, _)), None) = (places.next(), places.next()) else {
            return false;
        };
        let place = self.open.get(tier).and_then(|places| places.get(vm));
        place.is_some_and(|revision| self.beside(vm, tier, revision, &Taken::default()).is_err())
    }

    /// How many stages the hooks of a replaced container take, and those of what depends on it.
    fn hooks(&self, tier: &TierId) -> usize {
        let own = self.topology.tiers.get(tier);
        let scale = own.is_some_and(|spec| !spec.on_node_scale.is_empty());
        let told = own.is_some_and(|spec| spec.on_dependency_scale.is_some());
        let others = self
            .topology
            .dependents(tier)
            .any(|user| user.on_dependency_scale.is_some());
        (usize::from(scale) + usize::from(told)).max(usize::from(others))
    }

    /// The next batch of each tier whose turn it is.
    fn stage(&mut self, order: &[&'a TierId]) -> Stage {
        let mut stage = Stage::new();
        let mut taken: BTreeMap<VmId, Taken> = BTreeMap::new();
        // Whose turn it is is settled before anything is taken out of the line.
        let open = order.iter().filter(|tier| self.open.contains_key(**tier));
        let ready: Vec<&TierId> = open.copied().filter(|tier| !self.waits(tier)).collect();
        for tier in ready {
            self.batch(tier, &mut taken, &mut stage);
        }
        for action in &stage {
            if let Action::ReplaceContainer {
                vm,
                container,
                size,
                cores,
                revision,
                ..
            } = action
                && let Some(there) = self.now.vms.get_mut(vm)
            {
                let is = Container {
                    cores: cores.clone(),
                    revision: Some(revision.clone()),
                    ..Container::from(*size)
                };
                there.used.insert(container.clone(), is);
                there.stalled.remove(container);
            }
        }
        stage
    }

    /// Whether something that the tier depends on, directly or not, is still to be replaced.
    fn waits(&self, tier: &TierId) -> bool {
        let mut seen: BTreeSet<&TierId> = BTreeSet::new();
        let mut next: Vec<&TierId> = vec![tier];
        while let Some(id) = next.pop() {
            for other in self
                .topology
                .tiers
                .get(id)
                .into_iter()
                .flat_map(|spec| &spec.depends_on)
            {
                if self.open.get(other).is_some_and(|places| !places.is_empty()) {
                    return true;
                }
                if seen.insert(other) {
                    next.push(other);
                }
            }
        }
        false
    }

    fn batch(&mut self, tier: &'a TierId, taken: &mut BTreeMap<VmId, Taken>, stage: &mut Stage) {
        let limit = self
            .topology
            .tiers
            .get(tier)
            .map_or(1, |spec| spec.max_unavailable.max(1));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let running = self.now.places(tier).count();
        let (mut count, mut down) = (0, 0);
        let places = self.open.get(tier).cloned().unwrap_or_default();
        // Those that do not run go first: until they do, the others are all that the tier has.
        let now = &self.now.vms;
        let runs = |vm: &VmId| now.get(vm).is_none_or(|vm| !vm.stalled.contains(tier));
        let (up, mut in_line): (Vec<_>, Vec<_>) = places.into_iter().partition(|(vm, _)| runs(vm));
        in_line.extend(up);
        for (vm, revision) in in_line {
            if count == limit {
                return;
            }
            let here = taken.entry(vm.clone()).or_default();
            let Some(old) = self.now.container(&vm, tier).cloned() else {
                continue;
            };
            let (handover, cores) = match self.beside(&vm, tier, &revision, here) {
                Ok(cores) => {
                    here.size += old.size;
                    here.cores.extend(&cores.0);
                    (Handover::StartFirst, cores)
                }
                Err(Obstacle::Passing) => continue,
                Err(Obstacle::Lasting(why)) => {
                    // One of several stays up.
                    if running > 1 && down + 1 == running {
                        continue;
                    }
                    if running == 1 {
                        self.interrupts.push(Interrupt {
                            tier: tier.clone(),
                            reason: format!(
                                "its only container, on '{vm}', is replaced, and the new one can't start beside it: {why}"
                            ),
                        });
                    }
                    down += 1;
                    (Handover::StopFirst, old.cores.clone())
                }
            };
            count += 1;
            if let Some(places) = self.open.get_mut(tier) {
                places.remove(&vm);
            }
            let hooks = self
                .topology
                .tiers
                .get(tier)
                .map(|spec| spec.on_node_stop.clone());
            stage.push(Action::ReplaceContainer {
                hooks: hooks.unwrap_or_default(),
                vm,
                container: tier.clone(),
                size: old.size,
                cores,
                was_cores: old.cores,
                handover,
                revision,
                was_revision: old.revision.unwrap_or_else(|| RevisionId::new("")),
            });
        }
    }

    /// The cores for a successor beside the old one, and what keeps it from starting there.
    fn beside(
        &self,
        vm: &VmId,
        tier: &TierId,
        revision: &RevisionId,
        taken: &Taken,
    ) -> Result<CoreSet, Obstacle> {
        let lasting = |why: String| Err(Obstacle::Lasting(why));
        let Some((there, old)) = self
            .now
            .vms
            .get(vm)
            .and_then(|there| Some((there, there.used.get(tier)?)))
        else {
            return lasting("it is not there".to_owned());
        };
        let (held, needed) = (
            self.topology.ports_at(tier, old.revision.as_ref()),
            self.topology.ports_at(tier, Some(revision)),
        );
        if let Some(port) = needed
            .iter()
            .find(|port| held.iter().any(|other| other.conflicts(port)))
        {
            return lasting(format!("both publish port {}/{}", port.host, port.protocol));
        }
        let alone = self.room(there, old, &Taken::default());
        match (alone, self.room(there, old, taken)) {
            (Err(why), _) => lasting(format!("'{vm}' lacks {why}")),
            (Ok(_), Err(_)) => Err(Obstacle::Passing),
            (Ok(_), Ok(cores)) => Ok(cores),
        }
    }

    /// The cores for another container like `old`; or what lacks.
    fn room(&self, there: &Vm, old: &Container, taken: &Taken) -> Result<CoreSet, String> {
        let capacity = there.capacity;
        let takes = |held: &Container| {
            if self.pinned {
                cores::taken(held, capacity)
            } else {
                held.size
            }
        };
        let used: Size = there.used.values().map(takes).sum();
        let over = (used + taken.size + old.size) - there.room();
        let mut lacks = Vec::new();
        if over.cpu != Cpu::ZERO {
            lacks.push(super::reasons::amount(Size { mem: 0, ..over }, ""));
        }
        if over.mem != 0 {
            lacks.push(super::reasons::amount(
                Size {
                    cpu: Cpu::ZERO,
                    ..over
                },
                "",
            ));
        }
        if !lacks.is_empty() {
            return Err(lacks.join(" and "));
        }
        if !self.pinned {
            return Ok(CoreSet::default());
        }
        let wanted = usize::try_from(old.size.cpu.whole_cores()).unwrap_or(usize::MAX);
        let free = Allocation::free_cores(there).0;
        let chosen: BTreeSet<u32> = free.difference(&taken.cores).copied().take(wanted).collect();
        if chosen.len() < wanted {
            return Err("cores that nobody is pinned to".to_owned());
        }
        Ok(CoreSet(chosen))
    }
}

/// Whether another container on the VM holds a port that the successor needs.
fn blocked(topology: &Topology, vm: &Vm, tier: &TierId, revision: &RevisionId) -> bool {
    let needed = topology.ports_at(tier, Some(revision));
    let mut others = vm.used.iter().filter(|(other, _)| *other != tier);
    others.any(|(other, held)| conflict(needed, topology.ports_at(other, held.revision.as_ref())))
}
