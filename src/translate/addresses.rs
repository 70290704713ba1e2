//! Which containers find their dependencies no longer, and are therefore replaced in their places; and from which image they
//! are made.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Addresses, Allocation, Container, TierId, Topology, VmId, Whereabouts};

/// The target, in which each container that stays in its place has the addresses that it is to have: those that it has,
/// unless one of its dependencies is elsewhere in the end. Then it has to be replaced, as one of another revision has.
///
/// What the target itself gives a container in the way of addresses says that it may keep them: the way back from a failed
/// execution changes nothing about what was so before.
pub(super) fn wanted(topology: &Topology, from: &Allocation, to: &Allocation) -> Allocation {
    let whereabouts = Whereabouts::of(topology, (from, to));
    let mut wanted = to.clone();
    for (id, vm) in &mut wanted.vms {
        for (tier, container) in &mut vm.used {
            let Some(held) = from.container(id, tier) else {
                container.addresses = None;
                continue;
            };
            let revision = container.revision.as_ref().or(held.revision.as_ref());
            // What is made from the same as before is made from the same image, unless that is to be another.
            if container.digest.is_none() && revision == held.revision.as_ref() {
                container.digest.clone_from(&held.digest);
            }
            let other_image = held.is_of_other_image(container);
            let known = held
                .addresses
                .as_ref()
                .filter(|had| container.addresses.as_ref() != Some(had));
            let fresh = known.and_then(|had| {
                let stale = whereabouts.stale(tier, revision, had);
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
            let Some(revision) = revision else { continue };
            if fresh.is_some() || other_image {
                container.revision = Some(revision);
            }
            if fresh.is_some() {
                container.addresses = fresh;
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
    let stale: BTreeSet<&TierId> = containers(to)
        .filter(|(vm, tier, wanted)| {
            let held = from.container(vm, tier);
            held.is_some_and(|held| held.addresses != wanted.addresses)
        })
        .map(|(_, tier, _)| tier)
        .collect();
    if stale.is_empty() {
        return None;
    }
    let stay: BTreeSet<&TierId> = containers(to).map(|(_, tier, _)| tier).collect();
    let mut leaving: BTreeMap<&TierId, Vec<(&VmId, &Container)>> = BTreeMap::new();
    for (vm, tier, held) in containers(from) {
        let single = topology
            .tiers
            .get(tier)
            .is_some_and(|spec| spec.max_node == Some(1));
        let stalled = from.vms.get(vm).is_some_and(|vm| vm.stalled.contains(tier));
        if single && !stalled && stay.contains(tier) && to.container(vm, tier).is_none() {
            leaving.entry(tier).or_default().push((vm, held));
        }
    }
    let mut both: Option<Allocation> = None;
    for (id, places) in leaving {
        if !topology.dependents(id).any(|user| stale.contains(&user.id)) {
            continue;
        }
        for (vm, held) in places {
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

/// Every container of an allocation.
fn containers(allocation: &Allocation) -> impl Iterator<Item = (&VmId, &TierId, &Container)> {
    let vms = allocation.vms.iter();
    vms.flat_map(|(vm, there)| there.used.iter().map(move |(tier, held)| (vm, tier, held)))
}
