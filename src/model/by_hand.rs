//! What is set by hand: how many VMs are kept, and which container of which size is where. It stays until a plan or
//! an intent names the tier.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::allocation::Allocation;
use super::ids::{TierId, VmId};
use super::units::Size;

/// What is set by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// So many VMs are kept, used or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Of each tier that was set by hand, what its container on each VM holds; nothing for one that was removed.
    #[serde(default)]
    pub tiers: BTreeMap<TierId, BTreeMap<VmId, Size>>,
}

impl ByHand {
    /// What a tier holds in all, where it was set by hand.
    #[must_use]
    pub fn total(&self, tier: &TierId) -> Option<Size> {
        let on = self.tiers.get(tier)?;
        Some(on.values().fold(Size::ZERO, |sum, size| sum + *size))
    }

    /// Takes a tier to be set by hand as it is now.
    pub fn set(&mut self, tier: &TierId, allocation: &Allocation) {
        let places = allocation.places(tier);
        let places = places.map(|(vm, held)| (vm.clone(), held.size)).collect();
        self.tiers.insert(tier.clone(), places);
    }

    /// Forgets tiers that somebody else has named since.
    pub fn forget(&mut self, tiers: &BTreeSet<TierId>) {
        self.tiers.retain(|tier, _| !tiers.contains(tier));
    }

    /// Tiers that have a container on a VM.
    #[must_use]
    pub fn on(&self, vm: &VmId) -> BTreeSet<TierId> {
        let there = self.tiers.iter().filter(|(_, on)| on.contains_key(vm));
        there.map(|(tier, _)| tier.clone()).collect()
    }
}
