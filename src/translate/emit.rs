//! From stages of steps to stages of actions: with names, real sizes and core numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::topology::CpuMode;
use crate::model::{Allocation, Container, CoreSet, Size, TierId, Topology, Vm, VmId};

use super::action::Action;
use super::cores::Pinning;
use super::progress::{Part, Step};
use super::work::{Kind, Work, foreign};

/// Container actions in stages, and `to` with the cores that its containers end on, and with the revisions that they
/// have then.
pub(super) fn emit(
    topology: &Topology,
    from: &Allocation,
    to: &Allocation,
    work: &Work,
    stages: &[Vec<Step>],
) -> (Vec<Vec<Action>>, Allocation) {
    let mut emitter = Emitter {
        from,
        to,
        pinned: topology.infrastructure.cpu_mode == CpuMode::Cpuset,
        now: from.vms.iter().map(|(id, vm)| (id, vm.used.clone())).collect(),
        unsettled: BTreeSet::new(),
    };
    if !emitter.pinned {
        let all = emitter.now.values_mut().flat_map(BTreeMap::values_mut);
        all.for_each(|container| container.cores = CoreSet::default());
    }
    let mut actions: Vec<Vec<Action>> = stages.iter().map(|stage| emitter.stage(work, stage)).collect();
    while let Some(stage) = emitter.settle() {
        actions.push(stage);
    }
    let mut target = to.clone();
    for (id, vm) in &mut target.vms {
        vm.stalled.clear();
        let stalled = from.vms.get(id).map(|vm| &vm.stalled);
        for (tier, container) in &mut vm.used {
            let now = emitter.now.get(id).and_then(|used| used.get(tier));
            // What is going to be replaced is not set going before that.
            let outdated = now.is_some_and(|now| now.is_replaced_by(container));
            if outdated && stalled.is_some_and(|stalled| stalled.contains(tier)) {
                vm.stalled.insert(tier.clone());
            }
            container.cores = now.map_or_else(CoreSet::default, |now| now.cores.clone());
            // What is outdated still is: it is replaced after this.
            container.revision = now.map_or_else(|| container.revision.clone(), |now| now.revision.clone());
            container.addresses =
                now.map_or_else(|| container.addresses.clone(), |now| now.addresses.clone());
            container.digest = now.map_or_else(|| container.digest.clone(), |now| now.digest.clone());
        }
    }
    (actions, target)
}

struct Emitter<'a> {
    from: &'a Allocation,
    to: &'a Allocation,
    pinned: bool,
    now: BTreeMap<&'a VmId, BTreeMap<TierId, Container>>,
    /// Containers that could not get all cores of their own yet.
    unsettled: BTreeSet<(&'a VmId, &'a TierId)>,
}

impl<'a> Emitter<'a> {
    fn foreign_cores(&self, vm: &VmId) -> CoreSet {
        foreign(self.from.vms.get(vm), self.to.vms.get(vm)).cores
    }

    fn stage(&mut self, work: &Work<'a>, steps: &[Step]) -> Vec<Action> {
        let mut by_vm: BTreeMap<&'a VmId, Vec<(&'a TierId, Kind, Part)>> = BTreeMap::new();
        for step in steps {
            let op = &work.ops[step.op];
            if let (Some(vm), Some(tier)) = (work.vm_id(op.vm), work.tier_id(op.tier)) {
                by_vm.entry(vm).or_default().push((tier, op.kind, step.part));
            }
        }
        let mut actions = Vec::with_capacity(steps.len());
        for (vm, changes) in by_vm {
            self.on_vm(vm, &changes, &mut actions);
        }
        actions
    }

    /// Carries out one stage's changes on one VM.
    fn on_vm(&mut self, vm: &'a VmId, changes: &[(&'a TierId, Kind, Part)], actions: &mut Vec<Action>) {
        let target = self.to.vms.get(vm);
        let capacity = target.map_or(Size::ZERO, |vm| vm.capacity);
        let held = self.now.get(vm).cloned().unwrap_or_default();
        let foreign = self.foreign_cores(vm);
        let mut pinning = Pinning::begin(&held, &foreign, capacity);
        let stays = |tier: &TierId| target.is_some_and(|vm| vm.used.contains_key(tier));
        for (tier, kind, part) in changes.iter().copied() {
            let was = held.get(tier).cloned().unwrap_or_default();
            if kind == Kind::Delete {
                self.now.entry(vm).or_default().remove(tier);
                actions.push(Action::DeleteContainer {
                    vm: vm.clone(),
                    container: tier.clone(),
                    was: was.size,
                    was_cores: was.cores,
                    hooks: Vec::new(),
                });
                continue;
            }
            let Some(new) = target.and_then(|vm| vm.used.get(tier)) else {
                continue;
            };
            let goal = new.size;
            let size = if part == Part::Down {
                was.size.min(goal)
            } else {
                goal
            };
            let mut cores = CoreSet::default();
            if self.pinned {
                cores.0 = pinning.choose(tier, size, stays);
                if !pinning.settled(tier, size, &cores.0) {
                    self.unsettled.insert((vm, tier));
                }
            }
            let revision = match kind {
                Kind::Create => new.revision.clone(),
                Kind::Update | Kind::Delete => was.revision.clone(),
            };
            let digest = match kind {
                Kind::Create => new.digest.clone(),
                Kind::Update | Kind::Delete => was.digest.clone(),
            };
            let now = Container {
                cores: cores.clone(),
                revision: revision.clone(),
                addresses: match kind {
                    Kind::Create => new.addresses.clone(),
                    Kind::Update | Kind::Delete => was.addresses.clone(),
                },
                digest: digest.clone(),
                ..Container::from(size)
            };
            self.now.entry(vm).or_default().insert(tier.clone(), now);
            actions.push(match kind {
                Kind::Create => Action::CreateContainer {
                    vm: vm.clone(),
                    container: tier.clone(),
                    size,
                    cores,
                    revision,
                    digest,
                },
                Kind::Update | Kind::Delete => Action::UpdateContainer {
                    vm: vm.clone(),
                    container: tier.clone(),
                    size,
                    cores,
                    was: was.size,
                    was_cores: was.cores,
                },
            });
        }
    }

    /// A further stage for containers that share cores, or have too few because the VM had none to
    /// spare when they were changed. None if there is nothing that can be fixed. This happens only
    /// if what runs was out of order to begin with.
    fn settle(&mut self) -> Option<Vec<Action>> {
        let mut actions = Vec::new();
        let open: Vec<(&VmId, &TierId)> = self.unsettled.iter().copied().collect();
        let vms: BTreeSet<&VmId> = open.iter().map(|(vm, _)| *vm).collect();
        for vm in vms {
            let capacity = self.to.vms.get(vm).map_or(Size::ZERO, |vm| vm.capacity);
            let held = self.now.get(vm).cloned().unwrap_or_default();
            let foreign = self.foreign_cores(vm);
            let mut pinning = Pinning::begin(&held, &foreign, capacity);
            for (_, tier) in open.iter().filter(|(on, _)| *on == vm) {
                let Some(was) = held.get(*tier) else { continue };
                if pinning.settled(tier, was.size, &was.cores.0) {
                    self.unsettled.remove(&(vm, *tier));
                    continue;
                }
                let cores = CoreSet(pinning.choose(tier, was.size, |_| true));
                if cores == was.cores || cores.0.is_empty() {
                    continue;
                }
                let now = Container {
                    cores: cores.clone(),
                    revision: was.revision.clone(),
                    addresses: was.addresses.clone(),
                    digest: was.digest.clone(),
                    ..Container::from(was.size)
                };
                self.now.entry(vm).or_default().insert((*tier).clone(), now);
                actions.push(Action::UpdateContainer {
                    vm: vm.clone(),
                    container: (*tier).clone(),
                    size: was.size,
                    cores,
                    was: was.size,
                    was_cores: was.cores.clone(),
                });
            }
        }
        (!actions.is_empty()).then_some(actions)
    }
}

/// The VMs of `these` that are not among `those`.
pub(super) fn only_in<'a>(these: &'a Allocation, those: &'a Allocation) -> impl Iterator<Item = &'a VmId> {
    let vms: &'a BTreeMap<VmId, Vm> = &these.vms;
    vms.keys().filter(|id| !those.vms.contains_key(*id))
}
