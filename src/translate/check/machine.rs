//! One VM as the actions are replayed: what is on it, and who holds which port and core.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::model::topology::{PortBinding, Protocol};
use crate::model::{Container, CoreSet, Cpu, RevisionId, Size, Vm, VmId};

use super::scene::TierNo;

/// What a container holds, and what it was made from.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub size: Size,
    pub cores: &'a CoreSet,
    pub revision: Option<&'a RevisionId>,
    /// The digest of its image, where that is known.
    pub digest: Option<&'a String>,
}

impl<'a> Held<'a> {
    pub(super) fn of(container: &'a Container) -> Self {
        Self {
            size: container.size,
            cores: &container.cores,
            revision: container.revision.as_ref(),
            digest: container.digest.as_ref(),
        }
    }

    /// Cores that it is pinned to beyond its size.
    pub(super) fn beyond(&self) -> Cpu {
        let cores = u32::try_from(self.cores.0.len()).unwrap_or(u32::MAX);
        Cpu::cores(cores).saturating_sub(self.size.cpu)
    }
}

impl PartialEq for Held<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.size, self.cores, self.revision, self.digest)
            == (other.size, other.cores, other.revision, other.digest)
    }
}

/// A port of the VM, on whatever address.
pub(super) type Door = (Protocol, u16);

/// One VM.
pub(super) struct Machine<'a> {
    pub id: &'a VmId,
    /// Whether it is there.
    pub there: bool,
    /// Whether it is there in the end.
    pub wanted: bool,
    pub capacity: Size,
    /// What others hold, all the while.
    pub foreign: Size,
    pub foreign_cores: BTreeSet<u32>,
    /// Containers that hold their part and do not run, so that an update to the same size has an effect.
    pub stalled: HashSet<TierNo>,
    pub used: HashMap<TierNo, Held<'a>>,
    /// What they hold together.
    pub held: Size,
    /// Cores that they are pinned to beyond their sizes.
    pub beyond: Cpu,
    pub ports: HashMap<Door, Vec<(TierNo, PortBinding)>>,
    pub cores: HashMap<u32, Vec<TierNo>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(id: &'a VmId, from: Option<&'a Vm>, to: Option<&'a Vm>) -> Self {
        let sides = [from, to].into_iter().flatten();
        let mut foreign = Size::ZERO;
        let mut foreign_cores = BTreeSet::new();
        for vm in sides {
            foreign = foreign.max(vm.foreign.size);
            foreign_cores.extend(&vm.foreign.cores.0);
        }
        Self {
            id,
            there: from.is_some(),
            wanted: to.is_some(),
            capacity: to.or(from).map_or(Size::ZERO, |vm| vm.capacity),
            foreign,
            foreign_cores,
            stalled: HashSet::new(),
            used: HashMap::new(),
            held: Size::ZERO,
            beyond: Cpu::ZERO,
            ports: HashMap::new(),
            cores: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// What our containers may hold together.
    pub(super) fn room(&self) -> Size {
        self.capacity - self.foreign
    }

    /// Puts a container there.
    pub(super) fn put(&mut self, tier: TierNo, held: Held<'a>, ports: &[PortBinding], pinned: bool) {
        self.held += held.size;
        for port in ports {
            self.ports
                .entry((port.protocol, port.host))
                .or_default()
                .push((tier, *port));
        }
        if pinned {
            self.beyond += held.beyond();
            for core in &held.cores.0 {
                self.cores.entry(*core).or_default().push(tier);
            }
        }
        self.used.insert(tier, held);
    }

    /// Takes one away.
    pub(super) fn take(&mut self, tier: TierNo, ports: &[PortBinding], pinned: bool) {
        let Some(held) = self.used.remove(&tier) else {
            return;
        };
        self.held = self.held - held.size;
        for port in ports {
            if let Some(holders) = self.ports.get_mut(&(port.protocol, port.host)) {
                holders.retain(|(holder, _)| *holder != tier);
            }
        }
        if pinned {
            self.beyond = self.beyond.saturating_sub(held.beyond());
            for core in &held.cores.0 {
                if let Some(holders) = self.cores.get_mut(core) {
                    holders.retain(|holder| *holder != tier);
                }
            }
        }
    }
}
