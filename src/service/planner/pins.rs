//! Containers that were set by hand keep their sizes and their VMs, whatever else is placed: for the search, each is a
//! tier of its own that is on one VM. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::by_hand::ByHand;
use crate::model::topology::Tier;
use crate::model::{Allocation, Plan, Size, TierId, Topology, VmId};
use crate::solve::conditions::{Ask, Candidate, Conditions};

use crate::service::requirements::Confine;

/// What each pinned tier holds on each VM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<TierId, BTreeMap<VmId, Size>>);

/// A question in which each pinned container is a tier of its own.
pub struct Split<'q> {
    /// The topology with such tiers.
    pub topology: Cow<'q, Topology>,
    /// The allocation with such tiers.
    pub on: Cow<'q, Allocation>,
    /// The plan for such tiers.
    pub plan: Cow<'q, Plan>,
    /// What they ask: to be where they are.
    pub conditions: Conditions,
}

/// The name that a pinned container goes by in the search, and in reasons why there is no placement.
fn name(tier: &TierId, vm: &VmId) -> TierId {
    TierId::new(&format!("{tier}@{vm}"))
}

impl Pins {
    /// Of these tiers, those that can stay as they were set: their VMs are there, and a request does not want them
    /// elsewhere.
    pub fn of(by_hand: &ByHand, tiers: &BTreeSet<TierId>, on: &Allocation, confine: &Confine) -> Self {
        let stays = |tier: &TierId, places: &BTreeMap<VmId, Size>| {
            let wanted = confine.only.get(tier).map(|(_, only)| only);
            places
                .keys()
                .all(|vm| on.vms.contains_key(vm) && !confine.leave.contains(vm))
                && wanted.is_none_or(|only| only.iter().eq(places.keys()))
        };
        let pinned = by_hand.tiers.iter();
        let pinned = pinned.filter(|(tier, places)| tiers.contains(*tier) && stays(tier, places));
        Self(
            pinned
                .map(|(tier, places)| (tier.clone(), places.clone()))
                .collect(),
        )
    }

    /// The question with each pinned container as a tier of its own.
    pub fn split<'q>(
        &self,
        topology: &'q Topology,
        on: &'q Allocation,
        plan: &'q Plan,
        conditions: Conditions,
    ) -> Split<'q> {
        let mut split = Split {
            topology: Cow::Borrowed(topology),
            on: Cow::Borrowed(on),
            plan: Cow::Borrowed(plan),
            conditions,
        };
        for (tier, places) in &self.0 {
            let Some(spec) = topology.tiers.get(tier) else {
                continue;
            };
            split.plan.to_mut().tiers.remove(tier);
            for (vm, size) in places {
                let id = name(tier, vm);
                split.plan.to_mut().tiers.insert(id.clone(), *size);
                let alone = Tier {
                    id: id.clone(),
                    min_node: 1,
                    max_node: Some(1),
                    ..spec.clone()
                };
                split.topology.to_mut().tiers.insert(id.clone(), alone);
                let there = Ask {
                    admits: Some([Candidate::Vm(vm.clone())].into()),
                    ..Ask::default()
                };
                split.conditions.asks.insert(id.clone(), Arc::new(there));
                if let Some(vm) = split.on.to_mut().vms.get_mut(vm)
                    && let Some(held) = vm.used.remove(tier)
                {
                    vm.used.insert(id, held);
                }
            }
        }
        split
    }

    /// What was found, with the tiers' own names.
    pub fn join(&self, mut found: Allocation) -> Allocation {
        for (tier, places) in &self.0 {
            for vm in places.keys() {
                if let Some(there) = found.vms.get_mut(vm)
                    && let Some(held) = there.used.remove(&name(tier, vm))
                {
                    there.used.insert(tier.clone(), held);
                }
            }
        }
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Vm;

    #[test]
    fn each_pinned_container_is_a_tier_of_its_own_and_comes_back_as_its_tier() {
        let document = json!({
            "infrastructure": { "cpu_cores": 4, "mem_units": 8,
                "cloud_driver": { "hosts": { "vm1": { "docker": "unix:///1" }, "vm2": { "docker": "unix:///2" } } } },
            "apps": [{ "name": "a", "tiers": { "t": { "docker_image": "x" }, "u": { "docker_image": "x" } } }]
        });
        let topology = Topology::parse(&document).unwrap().topology;
        let (tier, other) = (TierId::of("a", "t"), TierId::of("a", "u"));
        let mut on = Allocation::default();
        for (vm, cores) in [("vm1", 1), ("vm2", 3)] {
            let mut one = Vm::empty(None, Size::new(4, 8));
            one.used.insert(tier.clone(), Size::new(cores, 1).into());
            on.vms.insert(VmId::new(vm), one);
        }
        let mut by_hand = ByHand::default();
        by_hand.set(&tier, &on);
        let tiers = BTreeSet::from([tier.clone()]);
        let plan = Plan {
            tiers: [(tier.clone(), Size::new(4, 2)), (other.clone(), Size::new(1, 1))].into(),
        };
        let pins = Pins::of(&by_hand, &tiers, &on, &Confine::default());
        let split = pins.split(&topology, &on, &plan, Conditions::default());
        let (first, second) = (TierId::new("a_t@vm1"), TierId::new("a_t@vm2"));
        assert_eq!(
            split.plan.tiers,
            [
                (first.clone(), Size::new(1, 1)),
                (second.clone(), Size::new(3, 1)),
                (other, Size::new(1, 1))
            ]
            .into()
        );
        assert_eq!(split.topology.tiers[&first].max_node, Some(1));
        let only = split.conditions.asks[&second].admits.clone().unwrap();
        assert_eq!(only, [Candidate::Vm(VmId::new("vm2"))].into());
        assert_eq!(pins.join(split.on.into_owned()), on);
        // Where one of its VMs is to be left, or is gone, or a request wants it elsewhere, it is a tier like others.
        let leave = Confine {
            leave: [VmId::new("vm1")].into(),
            ..Confine::default()
        };
        assert_eq!(Pins::of(&by_hand, &tiers, &on, &leave), Pins::default());
        let elsewhere = Confine {
            only: [(tier, (2, [VmId::new("vm2"), VmId::new("vm3")].into()))].into(),
            ..Confine::default()
        };
        assert_eq!(Pins::of(&by_hand, &tiers, &on, &elsewhere), Pins::default());
        on.vms.remove("vm1");
        assert_eq!(
            Pins::of(&by_hand, &tiers, &on, &Confine::default()),
            Pins::default()
        );
    }
}
