//! Core numbers: which cores a container is pinned to.
//!
//! A container that grows takes only cores that nobody held when the stage began, and one that
//! shrinks keeps some of its own. So whatever the order within a stage, no core is in two
//! containers. Released cores are free in the next stage.
//!
//! Cores of foreign containers are not given to anyone.
//!
//! What runs may have been changed by others: two containers on one core, cores that the VM does
//! not have, more or fewer cores than the size says. [`unsound`] names the containers that must be
//! pinned again.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Container, CoreSet, Cpu, Size, TierId, Vm};

/// Cores that `capacity` has: `0..n`.
fn count(capacity: Size) -> u32 {
    let whole = capacity.cpu.in_hundredths() / Cpu::CORE.in_hundredths();
    u32::try_from(whole).unwrap_or(u32::MAX).min(100_000)
}

/// How many cores a container of this size is pinned to.
fn wanted(size: Size) -> usize {
    usize::try_from(size.cpu.whole_cores()).unwrap_or(usize::MAX)
}

/// What a running container takes of its VM: whole cores, and all cores that it is pinned to.
pub(super) fn taken(container: &Container, capacity: Size) -> Size {
    let limit = count(capacity);
    let pinned = container.cores.0.range(..limit).count();
    let cores = wanted(container.size).max(pinned);
    Size {
        cpu: Cpu::cores(u32::try_from(cores).unwrap_or(u32::MAX)),
        ..container.size
    }
}

/// The containers of `stay` on a VM that must be pinned again even if their size stays.
///
/// If no container's cores are known at all, the allocation has only sizes, and nothing has to be
/// done.
pub(super) fn unsound(
    vm: &Vm,
    foreign: &CoreSet,
    capacity: Size,
    stay: impl Fn(&TierId) -> bool,
) -> BTreeSet<TierId> {
    let limit = count(capacity);
    let told = vm.used.values().any(|container| !container.cores.0.is_empty());
    let mut claimed = foreign.0.clone();
    let mut bad = BTreeSet::new();
    for (tier, container) in vm.used.iter().filter(|(tier, _)| told && stay(tier)) {
        let cores = &container.cores.0;
        let sound = cores.len() == wanted(container.size)
            && cores.range(limit..).next().is_none()
            && cores.is_disjoint(&claimed);
        claimed.extend(cores.iter().copied());
        if !sound {
            bad.insert(tier.clone());
        }
    }
    bad
}

/// One VM during one stage.
pub(super) struct Pinning<'v> {
    /// What runs when the stage begins.
    held: &'v BTreeMap<TierId, Container>,
    /// Cores of foreign containers.
    foreign: &'v CoreSet,
    limit: u32,
    free: BTreeSet<u32>,
    /// Cores that are held more than once: few, and usually none.
    contested: BTreeSet<u32>,
}

impl<'v> Pinning<'v> {
    pub(super) fn begin(held: &'v BTreeMap<TierId, Container>, foreign: &'v CoreSet, capacity: Size) -> Self {
        let limit = count(capacity);
        let mut free: BTreeSet<u32> = (0..limit).collect();
        let ours = held.values().flat_map(|container| &container.cores.0);
        let (mut seen, mut contested) = (BTreeSet::new(), BTreeSet::new());
        for core in ours.chain(&foreign.0) {
            free.remove(core);
            if !seen.insert(*core) {
                contested.insert(*core);
            }
        }
        Self {
            held,
            foreign,
            limit,
            free,
            contested,
        }
    }

    /// Cores for the container of `tier` at `size`: its own, as far as they are rightly its own,
    /// then free ones, lowest first. Fewer than requested if the VM has no more.
    ///
    /// If containers share a core, the first by name that is in `stay` keeps it.
    pub(super) fn choose(
        &mut self,
        tier: &TierId,
        size: Size,
        stay: impl Fn(&TierId) -> bool,
    ) -> BTreeSet<u32> {
        let wanted = wanted(size);
        let own = self.held.get(tier).map(|container| &container.cores.0);
        let mine = |core: &u32| {
            if !self.contested.contains(core) {
                return true;
            }
            let mut before = self.held.range(..tier.clone());
            !self.foreign.0.contains(core)
                && !before.any(|(other, container)| stay(other) && container.cores.0.contains(core))
        };
        let mut chosen: BTreeSet<u32> = own
            .into_iter()
            .flatten()
            .copied()
            .filter(|core| *core < self.limit && mine(core))
            .take(wanted)
            .collect();
        while chosen.len() < wanted
            && let Some(core) = self.free.pop_first()
        {
            chosen.insert(core);
        }
        if chosen.is_empty() {
            // There is nothing to move to yet. Fewer of the shared cores is no worse than now, and
            // an empty set would mean all cores to the engine.
            chosen = own.into_iter().flatten().copied().take(wanted).collect();
        }
        chosen
    }

    /// Whether `cores` is what a container of `tier` at `size` should end with.
    pub(super) fn settled(&self, tier: &TierId, size: Size, cores: &BTreeSet<u32>) -> bool {
        cores.len() == wanted(size)
            && self.foreign.0.is_disjoint(cores)
            && self
                .held
                .iter()
                .all(|(other, container)| other == tier || container.cores.0.is_disjoint(cores))
    }
}
