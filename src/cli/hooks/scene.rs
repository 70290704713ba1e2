//! What a hook is told in a test: a made-up allocation. Pure.

use crate::model::topology::Tier;
use crate::model::{Allocation, Size, Topology, Vm, VmId};

/// The VM that the throw-away container is said to be on.
pub const VM: &str = "test";

/// What is there before and after a change of the tier's dependencies: one container of each, then two. Their addresses are
/// those that are kept for documentation (RFC 5737), so that nobody answers there.
#[must_use]
pub fn made_up(topology: &Topology, tier: &Tier, size: Size) -> (Allocation, Allocation) {
    let one = Size::new(1, 1);
    let with = |count: u8| {
        let mut allocation = Allocation::default();
        let mut own = Vm::empty(Some("192.0.2.100".to_owned()), topology.infrastructure.vm);
        own.used.insert(tier.id.clone(), size.into());
        allocation.vms.insert(VmId::new(VM), own);
        for number in 1..=count {
            let address = format!("192.0.2.{number}");
            let mut vm = Vm::empty(Some(address), topology.infrastructure.vm);
            let there = tier.depends_on.iter().filter(|other| {
                let most = topology.tiers.get(*other).and_then(|other| other.max_node);
                most.is_none_or(|most| u32::from(number) <= most)
            });
            vm.used.extend(there.map(|other| (other.clone(), one.into())));
            allocation.vms.insert(VmId::new(&format!("vm{number}")), vm);
        }
        allocation
    };
    (with(1), with(2))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::TierId;

    #[test]
    fn dependencies_grow_as_far_as_they_may() {
        let document = json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 8 },
            "apps": [{ "name": "shop", "tiers": {
                "web": { "docker_image": "x", "depends_on": ["app", "db"] },
                "app": { "docker_image": "x" }, "db": { "docker_image": "x", "max_node": 1 },
            } }]
        });
        let topology = Topology::parse(&document).unwrap().topology;
        let tier = topology.tiers.get("shop_web").unwrap();
        let (old, new) = made_up(&topology, tier, Size::new(1, 2));
        let count = |side: &Allocation, tier: &str| side.places(&TierId::new(tier)).count();
        assert_eq!((count(&old, "shop_app"), count(&new, "shop_app")), (1, 2));
        assert_eq!((count(&old, "shop_db"), count(&new, "shop_db")), (1, 1));
        assert_eq!((count(&old, "shop_web"), count(&new, "shop_web")), (1, 1));
        assert!(
            new.vms
                .values()
                .all(|vm| vm.ip.as_ref().unwrap().starts_with("192.0.2."))
        );
    }
}
