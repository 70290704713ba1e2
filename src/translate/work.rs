//! What there is to do: the difference between two allocations, as operations on containers.
//!
//! It says what must be done and what that depends on, not in which order.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::topology::{CpuMode, PortBinding};
use crate::model::{Allocation, Container, Foreign, Size, TierId, Topology, Vm, VmId};

use super::cores;
use super::table::{OpNo, Table, TierNo, VmNo};

/// The containers of a VM.
type Used = BTreeMap<TierId, Container>;

/// What is done to a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Delete,
    #[default]
    Update,
}

/// One thing to do to one container.
#[derive(Clone, Debug, Default)]
pub(super) struct Op {
    pub(super) vm: VmNo,
    pub(super) tier: TierNo,
    pub(super) kind: Kind,
    /// What the container takes of its VM before; zero for a create.
    pub(super) before: Size,
    /// What it takes afterwards; zero for a delete.
    pub(super) after: Size,
    /// It also gets a container running again that holds its part without running.
    pub(super) repairs: bool,
    /// For a create: deletes on the same VM of containers that publish one of its ports.
    pub(super) blockers: Vec<OpNo>,
}

impl Op {
    /// What it needs in addition to what the container has.
    pub(super) fn gain(&self) -> Size {
        self.after - self.before
    }

    /// What it frees.
    pub(super) fn give(&self) -> Size {
        self.before - self.after
    }

    /// Whether it takes something away from the tier and gives it nothing. Pinning to other
    /// cores takes nothing away.
    pub(super) fn is_down(&self) -> bool {
        self.kind == Kind::Delete || (self.gain() == Size::ZERO && self.give() != Size::ZERO)
    }

    /// Whether it grows the container in one respect and shrinks it in the other.
    pub(super) fn is_mixed(&self) -> bool {
        self.kind == Kind::Update && self.gain() != Size::ZERO && self.give() != Size::ZERO
    }
}

/// A VM of either allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct VmRow {
    /// What others leave of it.
    pub(super) room: Size,
    /// What its containers take at the start.
    pub(super) used: Size,
    pub(super) ops: Vec<OpNo>,
}

/// A tier of either allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct TierRow {
    /// Its containers at the start.
    pub(super) running: usize,
    /// Runs before and after.
    pub(super) stays: bool,
    /// Runs before and not after.
    pub(super) leaves: bool,
    /// Runs before and after, with no VM in common.
    pub(super) moves: bool,
    /// Dependencies that have a container in the target.
    pub(super) needs: Vec<TierNo>,
    /// Tiers that need this one.
    pub(super) needed_by: Vec<TierNo>,
    /// If this one is removed: tiers that depend on it and are removed, too.
    pub(super) leaves_after: Vec<TierNo>,
    /// If this one is removed: tiers that it depends on and that are removed, too.
    pub(super) leaves_before: Vec<TierNo>,
    /// Place in the order of dependencies.
    pub(super) rank: usize,
    pub(super) ops: Vec<OpNo>,
}

/// All that there is to do.
pub(super) struct Work<'a> {
    pub(super) vms: Table<VmNo, VmRow>,
    pub(super) tiers: Table<TierNo, TierRow>,
    pub(super) ops: Table<OpNo, Op>,
    vm_ids: Vec<&'a VmId>,
    tier_ids: Vec<&'a TierId>,
    /// Containers that are deleted and made again in the same place.
    made_anew: BTreeSet<(VmNo, TierNo)>,
}

/// Whether one of these ports and one of those can't be published on one machine.
pub(super) fn conflict<'p>(these: &[PortBinding], those: impl IntoIterator<Item = &'p PortBinding>) -> bool {
    let mut those = those.into_iter();
    those.any(|other| these.iter().any(|port| port.conflicts(other)))
}

/// What others hold on a VM, all the while.
pub(super) fn foreign(from: Option<&Vm>, to: Option<&Vm>) -> Foreign {
    let known = [from, to].into_iter().flatten().map(|vm| &vm.foreign);
    known.fold(Foreign::default(), |all, one| all.with(one))
}

impl<'a> Work<'a> {
    /// Compares `from` with `to`.
    pub(super) fn between(topology: &'a Topology, from: &'a Allocation, to: &'a Allocation) -> Self {
        let vm_ids: BTreeSet<&VmId> = from.vms.keys().chain(to.vms.keys()).collect();
        let tier_ids: BTreeSet<&TierId> = [from, to]
            .into_iter()
            .flat_map(|side| side.vms.values().flat_map(|vm| vm.used.keys()))
            .collect();
        let mut work = Self {
            vms: Table::new(),
            tiers: Table::new(),
            ops: Table::new(),
            vm_ids: vm_ids.into_iter().collect(),
            tier_ids: tier_ids.into_iter().collect(),
            made_anew: BTreeSet::new(),
        };
        let numbers = work.number_tiers(topology);
        for id in work.vm_ids.clone() {
            work.compare_vm(topology, &numbers, from.vms.get(id), to.vms.get(id));
        }
        work.classify_tiers(topology, &numbers, from, to);
        work
    }

    pub(super) fn vm_id(&self, vm: VmNo) -> Option<&'a VmId> {
        self.vm_ids.get(super::table::Key::row(vm)).copied()
    }

    fn vm_no(&self, id: &VmId) -> Option<VmNo> {
        let row = self.vm_ids.binary_search(&id).ok()?;
        Some(super::table::Key::of(row))
    }

    pub(super) fn tier_id(&self, tier: TierNo) -> Option<&'a TierId> {
        self.tier_ids.get(super::table::Key::row(tier)).copied()
    }

    fn number_tiers(&mut self, topology: &Topology) -> BTreeMap<&'a TierId, TierNo> {
        let ranks: BTreeMap<&TierId, usize> = topology
            .dependencies_first()
            .into_iter()
            .enumerate()
            .map(|(rank, tier)| (&tier.id, rank))
            .collect();
        let mut numbers = BTreeMap::new();
        for id in &self.tier_ids {
            let rank = ranks.get(id).copied().unwrap_or(usize::MAX);
            let number = self.tiers.push(TierRow {
                rank,
                ..TierRow::default()
            });
            numbers.insert(*id, number);
        }
        numbers
    }

    fn compare_vm(
        &mut self,
        topology: &Topology,
        numbers: &BTreeMap<&'a TierId, TierNo>,
        from: Option<&'a Vm>,
        to: Option<&'a Vm>,
    ) {
        let capacity = to.or(from).map_or(Size::ZERO, |vm| vm.capacity);
        let foreign = foreign(from, to);
        let room = capacity - foreign.size;
        let pinned = topology.infrastructure.cpu_mode == CpuMode::Cpuset;
        let takes = |container: &Container| {
            if pinned {
                cores::taken(container, capacity)
            } else {
                container.size
            }
        };
        let stays = |tier: &TierId| to.is_some_and(|vm| vm.used.contains_key(tier));
        let unsound = match from {
            Some(vm) if pinned => cores::unsound(vm, &foreign.cores, capacity, stays),
            _ => BTreeSet::new(),
        };
        // What holds its part without running is set going by an update to the size that it has.
        let stalled = |tier: &TierId| from.is_some_and(|vm| vm.stalled.contains(tier));
        let olds = from.map(|vm| &vm.used);
        let news = to.map(|vm| &vm.used);
        let tiers: BTreeSet<&TierId> = [olds, news]
            .into_iter()
            .flatten()
            .flat_map(BTreeMap::keys)
            .collect();

        let vm = self.vms.push(VmRow {
            room,
            ..VmRow::default()
        });
        let mut used = Size::ZERO;
        for id in tiers {
            let Some(&tier) = numbers.get(id) else { continue };
            let old = olds.and_then(|used| used.get(id));
            let new = news.and_then(|used| used.get(id));
            used += old.map_or(Size::ZERO, takes);
            let kind = match (old, new) {
                (None, None) => continue,
                (Some(old), Some(new)) if self.is_made_anew(topology, id, (old, new), to, stalled(id)) => {
                    let gone = self.ops.push(Op {
                        vm,
                        tier,
                        kind: Kind::Delete,
                        before: takes(old),
                        ..Op::default()
                    });
                    self.vms[vm].ops.push(gone);
                    self.tiers[tier].ops.push(gone);
                    self.made_anew.insert((vm, tier));
                    Kind::Create
                }
                // A replacement also gets it running.
                (Some(old), Some(new))
                    if old.size == new.size && !unsound.contains(id) && old.is_replaced_by(new) =>
                {
                    continue;
                }
                (Some(old), Some(new)) if old.size == new.size && !unsound.contains(id) && !stalled(id) => {
                    continue;
                }
                (Some(_), Some(_)) => Kind::Update,
                (None, Some(_)) => Kind::Create,
                (Some(_), None) => Kind::Delete,
            };
            let op = self.ops.push(Op {
                vm,
                tier,
                kind,
                before: old.filter(|_| kind != Kind::Create).map_or(Size::ZERO, takes),
                // The target's cores are ignored: they are chosen here.
                after: new.map_or(Size::ZERO, |new| takes(&new.size.into())),
                repairs: kind == Kind::Update && stalled(id),
                blockers: Vec::new(),
            });
            self.vms[vm].ops.push(op);
            self.tiers[tier].ops.push(op);
        }
        self.vms[vm].used = used;
        self.find_blockers(topology, vm, (olds, news));
    }

    /// Whether a container has to go before its successor is made, in a step of its own: what it holds of disk or GPUs
    /// changes, which no engine does while it runs; or it is outdated, and another one that comes needs a port that it
    /// holds, or it does not run and changes its size, too. All others are replaced in one action, which keeps the old
    /// one until the new one is up; see [`super::rollout`].
    fn is_made_anew(
        &self,
        topology: &Topology,
        id: &TierId,
        (old, new): (&Container, &Container),
        to: Option<&Vm>,
        stalled: bool,
    ) -> bool {
        if old.size.is_fixed_against(new.size) {
            return true;
        }
        if !old.is_replaced_by(new) {
            return false;
        }
        let held = topology.ports_at(id, old.revision.as_ref());
        let others = to
            .into_iter()
            .flat_map(|vm| &vm.used)
            .filter(|(other, _)| *other != id);
        let needed = others.flat_map(|(other, new)| topology.ports_at(other, new.revision.as_ref()));
        let in_the_way = conflict(held, needed);
        in_the_way || (stalled && old.size != new.size)
    }

    /// Who has to leave a VM before a container that publishes the same port can start there, or one of the same
    /// name.
    fn find_blockers(&mut self, topology: &Topology, vm: VmNo, (olds, news): (Option<&Used>, Option<&Used>)) {
        let of_kind = |kind, side: Option<&Used>| -> Vec<(OpNo, &[PortBinding])> {
            let ops = self.vms[vm].ops.iter().copied();
            ops.filter(|op| self.ops[*op].kind == kind)
                .map(|op| {
                    let id = self.tier_id(self.ops[op].tier);
                    let held = id.and_then(|id| side?.get(id));
                    let revision = held.and_then(|held| held.revision.as_ref());
                    (op, id.map_or(&[][..], |id| topology.ports_at(id, revision)))
                })
                .collect()
        };
        let deletes = of_kind(Kind::Delete, olds);
        for (create, ports) in of_kind(Kind::Create, news) {
            let tier = self.ops[create].tier;
            self.ops[create].blockers = deletes
                .iter()
                .filter(|(delete, theirs)| self.ops[*delete].tier == tier || conflict(ports, *theirs))
                .map(|(delete, _)| *delete)
                .collect();
        }
    }

    fn classify_tiers(
        &mut self,
        topology: &Topology,
        numbers: &BTreeMap<&'a TierId, TierNo>,
        from: &Allocation,
        to: &Allocation,
    ) {
        let mut after: Table<TierNo, usize> = Table::like(&self.tiers, |_| 0);
        let mut shared: Table<TierNo, bool> = Table::like(&self.tiers, |_| false);
        for (id, vm) in &from.vms {
            for tier in vm.used.keys() {
                let Some(&number) = numbers.get(tier) else {
                    continue;
                };
                self.tiers[number].running += 1;
                let made_anew = self
                    .vm_no(id)
                    .is_some_and(|vm| self.made_anew.contains(&(vm, number)));
                if to.container(id, tier).is_some() && !made_anew {
                    shared[number] = true;
                }
            }
        }
        for tier in to.vms.values().flat_map(|vm| vm.used.keys()) {
            if let Some(&number) = numbers.get(tier) {
                after[number] += 1;
            }
        }
        for tier in self.tiers.keys() {
            let row = &mut self.tiers[tier];
            row.stays = row.running > 0 && after[tier] > 0;
            row.leaves = row.running > 0 && after[tier] == 0;
            row.moves = row.stays && !shared[tier];
        }
        for (id, &tier) in numbers {
            let Some(spec) = topology.tiers.get(*id) else {
                continue;
            };
            for dependency in spec.depends_on.iter().filter_map(|id| numbers.get(id)) {
                let dependency = *dependency;
                if after[dependency] > 0 {
                    self.tiers[tier].needs.push(dependency);
                    self.tiers[dependency].needed_by.push(tier);
                } else if self.tiers[tier].leaves {
                    self.tiers[tier].leaves_before.push(dependency);
                    self.tiers[dependency].leaves_after.push(tier);
                }
            }
        }
    }
}
