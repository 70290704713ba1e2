//! Which containers find their dependencies no longer, and are therefore replaced in their places.

use crate::model::{Addresses, Allocation, TierId, Topology, VmId};

/// The target, in which each container that stays in its place has the addresses that it is to have: those that it has,
/// unless one of its dependencies is elsewhere in the end. Then it has to be replaced, as one of another revision has.
///
/// What the target itself gives a container in the way of addresses says that it may keep them: the way back from a failed
/// execution changes nothing about what was so before.
pub(super) fn wanted(topology: &Topology, from: &Allocation, to: &Allocation) -> Allocation {
    let mut wanted = to.clone();
    for (id, vm) in &mut wanted.vms {
        for (tier, container) in &mut vm.used {
            let Some(held) = from.container(id, tier) else {
                container.addresses = None;
                continue;
            };
            let revision = container.revision.as_ref().or(held.revision.as_ref());
            let known = held
                .addresses
                .as_ref()
                .filter(|had| container.addresses.as_ref() != Some(had));
            let fresh = known.and_then(|had| {
                let stale = topology.stale_addresses(tier, revision, had, (from, to));
                let now = stale.into_iter().map(|one| {
                    // A VM that is still to be made has an address that no other has.
                    (one.dependency, one.should.unwrap_or_default())
                });
                let fresh: Addresses = had.clone().into_iter().chain(now).collect();
                (fresh != *had).then_some(fresh)
            });
            let revision = revision.or_else(|| topology.revisions.current(tier)).cloned();
            container.addresses = held.addresses.clone();
            // Without revisions, as in a what-if, nothing is ever replaced.
            if let (Some(fresh), Some(revision)) = (fresh, revision) {
                container.addresses = Some(fresh);
                container.revision = Some(revision);
            }
        }
    }
    wanted
}

/// The target with what those dependencies left on one VM at most still have where they leave, as far as it fits: so that a
/// container which is to find one of them elsewhere can be replaced while both places work. None where there is nothing to
/// gain by it.
///
/// `to` is a target that [`wanted`] has completed.
pub(super) fn with_both_places(
    topology: &Topology,
    from: &Allocation,
    to: &Allocation,
) -> Option<Allocation> {
    let is_stale = |vm: &VmId, tier: &TierId| match (from.container(vm, tier), to.container(vm, tier)) {
        (Some(held), Some(wanted)) => held.addresses != wanted.addresses,
        _ => false,
    };
    let mut both: Option<Allocation> = None;
    for dependency in topology.tiers.values().filter(|tier| tier.max_node == Some(1)) {
        let id = &dependency.id;
        let moves =
            to.places(id).next().is_some() && to.places(id).all(|(vm, _)| from.container(vm, id).is_none());
        let left_behind = topology
            .dependents(id)
            .any(|user| to.places(&user.id).any(|(vm, _)| is_stale(vm, &user.id)));
        if !moves || !left_behind {
            continue;
        }
        for (vm, held) in from.places(id) {
            if from.vms.get(vm).is_some_and(|vm| vm.stalled.contains(id)) {
                continue;
            }
            let base = both.as_ref().unwrap_or(to);
            let there = base.vms.get(vm).cloned();
            let Some(mut there) = there.or_else(|| Some(from.vms.get(vm)?.emptied())) else {
                continue;
            };
            let ports = topology.ports_at(id, held.revision.as_ref());
            let mut others = there.used.iter();
            let in_the_way = others.any(|(other, container)| {
                super::work::conflict(ports, topology.ports_at(other, container.revision.as_ref()))
            });
            there.used.insert(id.clone(), held.clone());
            let foreign = super::work::foreign(from.vms.get(vm), to.vms.get(vm));
            if !in_the_way && there.held().fits(there.capacity - foreign.size) {
                both.get_or_insert_with(|| to.clone())
                    .vms
                    .insert(vm.clone(), there);
            }
        }
    }
    both
}
