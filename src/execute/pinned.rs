//! An allocation as it is stored: with what its JSON leaves out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::{Addresses, Allocation, CoreSet, Foreign, Owed, RevisionId, TierId, VmId};

/// An allocation with what [`Allocation`]'s JSON leaves out of each container: cores, revision, addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Sizes; no cores.
    pub allocation: Allocation,
    /// Cores, by VM and tier.
    pub cores: BTreeMap<VmId, BTreeMap<TierId, CoreSet>>,
    /// What others hold, by VM.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<VmId, Foreign>,
    /// The hooks that are owed, by VM and tier. Empty in old records, which did not have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owed: BTreeMap<VmId, BTreeMap<TierId, Owed>>,
    /// What the containers were made from, by VM and tier. Empty in old records, which did not have
    /// it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<VmId, BTreeMap<TierId, RevisionId>>,
    /// The addresses that the containers were made with, by VM and tier. Empty in old records, which
    /// did not have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<VmId, BTreeMap<TierId, Addresses>>,
    /// The digests of the images that the containers were made from, by VM and tier, where they are known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<VmId, BTreeMap<TierId, String>>,
}

impl Pinned {
    /// What a VM holds, cores included.
    #[must_use]
    pub fn on(&self, vm: &VmId) -> Value {
        json!([
            self.allocation.vms.get(vm).map(|vm| &vm.used),
            self.cores.get(vm),
            self.owed.get(vm),
            self.revisions.get(vm)
        ])
    }
}

impl From<&Allocation> for Pinned {
    fn from(allocation: &Allocation) -> Self {
        let of_vm = |vm: &crate::model::Vm| {
            vm.used
                .iter()
                .map(|(t, c)| (t.clone(), c.cores.clone()))
                .collect()
        };
        let cores = allocation
            .vms
            .iter()
            .map(|(id, vm)| (id.clone(), of_vm(vm)))
            .collect();
        let foreign = allocation
            .vms
            .iter()
            .map(|(id, vm)| (id.clone(), vm.foreign.clone()));
        let foreign = foreign
            .filter(|(_, foreign)| *foreign != Foreign::default())
            .collect();
        let mut owed: BTreeMap<VmId, BTreeMap<TierId, Owed>> = BTreeMap::new();
        for (id, vm) in &allocation.vms {
            for (tier, container) in vm.used.iter().filter(|(_, held)| !held.owed.is_nothing()) {
                let of_vm = owed.entry(id.clone()).or_default();
                of_vm.insert(tier.clone(), container.owed);
            }
        }
        let mut revisions: BTreeMap<VmId, BTreeMap<TierId, RevisionId>> = BTreeMap::new();
        for (id, vm) in &allocation.vms {
            for (tier, container) in &vm.used {
                if let Some(revision) = &container.revision {
                    let of_vm = revisions.entry(id.clone()).or_default();
                    of_vm.insert(tier.clone(), revision.clone());
                }
            }
        }
        let mut addresses: BTreeMap<VmId, BTreeMap<TierId, Addresses>> = BTreeMap::new();
        for (id, vm) in &allocation.vms {
            for (tier, container) in &vm.used {
                if let Some(known) = &container.addresses {
                    let of_vm = addresses.entry(id.clone()).or_default();
                    of_vm.insert(tier.clone(), known.clone());
                }
            }
        }
        let mut digests: BTreeMap<VmId, BTreeMap<TierId, String>> = BTreeMap::new();
        for (id, vm) in &allocation.vms {
            for (tier, container) in &vm.used {
                if let Some(digest) = &container.digest {
                    let of_vm = digests.entry(id.clone()).or_default();
                    of_vm.insert(tier.clone(), digest.clone());
                }
            }
        }
        let mut allocation = allocation.clone().owing_nothing();
        for vm in allocation.vms.values_mut() {
            vm.foreign = Foreign::default();
            vm.stalled.clear();
        }
        for container in allocation.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
            container.cores = CoreSet::default();
            container.revision = None;
            container.addresses = None;
            container.digest = None;
        }
        Self {
            allocation,
            cores,
            foreign,
            owed,
            revisions,
            addresses,
            digests,
        }
    }
}

impl From<Pinned> for Allocation {
    fn from(pinned: Pinned) -> Self {
        let Pinned {
            mut allocation,
            mut cores,
            mut foreign,
            mut owed,
            mut revisions,
            mut addresses,
            mut digests,
        } = pinned;
        for (id, vm) in &mut allocation.vms {
            vm.foreign = foreign.remove(id).unwrap_or_default();
            let mut of_vm = cores.remove(id).unwrap_or_default();
            let mut owed = owed.remove(id).unwrap_or_default();
            let mut revisions = revisions.remove(id).unwrap_or_default();
            let mut addresses = addresses.remove(id).unwrap_or_default();
            let mut digests = digests.remove(id).unwrap_or_default();
            for (tier, container) in &mut vm.used {
                container.cores = of_vm.remove(tier).unwrap_or_default();
                container.owed = owed.remove(tier).unwrap_or_default();
                container.revision = revisions.remove(tier);
                container.addresses = addresses.remove(tier);
                container.digest = digests.remove(tier);
            }
        }
        allocation
    }
}
