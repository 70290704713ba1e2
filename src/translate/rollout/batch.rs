//! How containers are replaced in their places, tier by tier and batch by batch.
//!
//! A tier is replaced in batches of `max_unavailable`, each a stage; tiers that depend on it wait. A
//! successor starts beside the old one if its VM has room for both and they share no port.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::topology::CpuMode;
use crate::model::{
    Addresses, Allocation, Container, CoreSet, Handover, RevisionId, Size, TierId, Topology, Vm, VmId,
};
use crate::translate::work::conflict;
use crate::translate::{Action, Interrupt, Stage, Way, cores};

/// Which outdated containers are replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// All of them.
    Fully,
    /// Those that nothing else on their VM is in the way of.
    Unblocked,
    /// Of those, the ones for which no tier is interrupted.
    Gently,
}

/// What is to be replaced, and how far that is.
pub(super) struct Rollout<'a> {
    topology: &'a Topology,
    pinned: bool,
    now: Allocation,
    /// Where containers of a tier are outdated, and what they should be made from.
    open: BTreeMap<&'a TierId, BTreeMap<VmId, Successor>>,
    /// The addresses that the successors of a stage are made with.
    fresh: BTreeMap<(VmId, TierId), Option<Addresses>>,
    interrupts: Vec<Interrupt>,
}

/// What a container should be made from, and with which addresses.
#[derive(Clone)]
struct Successor {
    revision: RevisionId,
    addresses: Option<Addresses>,
    digest: Option<String>,
}

/// What a stage takes of one VM in addition to what is held there.
#[derive(Clone, Debug, Default)]
struct Taken {
    size: Size,
    cores: BTreeSet<u32>,
}

/// Why the successor can't start beside the old one.
enum Obstacle {
    /// Others in the same stage take the room; there would be room for it alone.
    Passing,
    /// There is none.
    Lasting(String),
}

impl<'a> Rollout<'a> {
    pub(super) fn between(
        topology: &'a Topology,
        from: &Allocation,
        to: &'a Allocation,
        takes_part: impl Fn(&TierId) -> bool,
    ) -> Self {
        let mut open: BTreeMap<&TierId, BTreeMap<VmId, Successor>> = BTreeMap::new();
        for (vm, there) in &to.vms {
            for (tier, wanted) in there.used.iter().filter(|(tier, _)| takes_part(tier)) {
                let outdated = from
                    .container(vm, tier)
                    .is_some_and(|held| held.is_replaced_by(wanted));
                if let (true, Some(revision)) = (outdated, &wanted.revision) {
                    let successor = Successor {
                        revision: revision.clone(),
                        addresses: wanted.addresses.clone(),
                        digest: wanted.digest.clone(),
                    };
                    open.entry(tier).or_default().insert(vm.clone(), successor);
                }
            }
        }
        Self {
            topology,
            pinned: topology.infrastructure.cpu_mode == CpuMode::Cpuset,
            now: from.clone(),
            open,
            fresh: BTreeMap::new(),
            interrupts: Vec::new(),
        }
    }

    /// Replaces the containers that the manner allows.
    pub(super) fn way(mut self, manner: Manner) -> Way {
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
                places.iter().all(|(vm, next)| {
                    let vm = now.vms.get(vm);
                    vm.is_some_and(|vm| !blocked(topology, vm, tier, &next.revision))
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
                // Every stage takes at least the first container in line.
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
        place.is_some_and(|next| self.beside(vm, tier, &next.revision, &Taken::default()).is_err())
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
        // It is decided whose turn it is before anything is taken out of the line.
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
                digest,
                ..
            } = action
                && let Some(there) = self.now.vms.get_mut(vm)
            {
                let is = Container {
                    cores: cores.clone(),
                    revision: Some(revision.clone()),
                    addresses: self.fresh.remove(&(vm.clone(), container.clone())).flatten(),
                    digest: digest.clone(),
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
        for (vm, next) in in_line {
            if count == limit {
                return;
            }
            let here = taken.entry(vm.clone()).or_default();
            let Some(old) = self.now.container(&vm, tier).cloned() else {
                continue;
            };
            let moved = moved(&old, &next);
            let (handover, cores) = match self.beside(&vm, tier, &next.revision, here) {
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
                                "its only container, on '{vm}', is replaced{}, and the new one can't start beside it: {why}",
                                because(&old, &next, &moved)
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
            self.fresh.insert((vm.clone(), tier.clone()), next.addresses);
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
                revision: next.revision,
                was_revision: old.revision.unwrap_or_else(|| RevisionId::new("")),
                moved,
                digest: next.digest,
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

    /// The cores for another container like `old`; or what is missing.
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
        if over != Size::ZERO {
            return Err(over.in_words(" and "));
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

/// The dependencies that a container looks for elsewhere than its successor will.
fn moved(old: &Container, next: &Successor) -> Vec<String> {
    let (Some(had), Some(wanted)) = (&old.addresses, &next.addresses) else {
        return Vec::new();
    };
    let elsewhere = wanted
        .iter()
        .filter(|(name, address)| had.get(*name) != Some(address));
    elsewhere.map(|(name, _)| name.clone()).collect()
}

/// Why a container is replaced, where that is not for its revision.
fn because(old: &Container, next: &Successor, moved: &[String]) -> String {
    if old.revision.as_ref() != Some(&next.revision) {
        return String::new();
    }
    let mut reasons = Vec::new();
    if !moved.is_empty() {
        reasons.push(format!("{} moves", moved.join(" and ")));
    }
    if next.digest.is_some() && old.digest.is_some() && old.digest != next.digest {
        reasons.push("its image's tag names another image by now".to_owned());
    }
    if reasons.is_empty() {
        return String::new();
    }
    format!(" since {}", reasons.join(" and "))
}
