//! When containers are replaced in their places that were made from an earlier revision of their tier, or that would look
//! for a dependency where it is no more.
//!
//! Rollouts come when all else is done: then a container has its size, and what makes room has gone. Where that would
//! interrupt a tier, and the way that it is now would not, its rollout comes first instead: before a tier shrinks to one
//! container, or before its VM fills up.
//!
//! How a tier is replaced, batch by batch, is in [`batch`].

mod batch;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Allocation, TierId, Topology};

use super::work::conflict;
use super::{Interrupt, Way, addresses, moves};
use batch::{Manner, Rollout};

/// The whole way. What depends on a tier that moves is replaced while that runs in both places, where it can be and no tier
/// is interrupted for it.
pub(super) fn way(topology: &Topology, from: &Allocation, to: &Allocation) -> Way {
    let plain = passing(topology, from, to);
    let Some(both) = addresses::with_both_places(topology, from, to) else {
        return plain;
    };
    let arrived = moves(topology, from, &both);
    let told = Rollout::between(topology, &arrived.target, to, |_| true).way(Manner::Fully);
    let left = passing(topology, &told.target, to);
    let whole = joined([arrived, told, left]);
    if whole.interrupts.len() > plain.interrupts.len() {
        plain
    } else {
        whole
    }
}

/// Rollouts that come first, sizes and places, the other rollouts.
///
/// What holds a port that something else on its VM needs is replaced before all else, as long as what it needs itself is
/// free, so that a port passes from one to the next and no container goes before its successor is up. Only where ports
/// are exchanged in a ring is there no such order.
fn passing(topology: &Topology, from: &Allocation, to: &Allocation) -> Way {
    let plain = settled(topology, from, to);
    let mut passed = Vec::new();
    let mut now = from.clone();
    loop {
        let next = Rollout::between(topology, &now, to, |tier| {
            dependencies_run(topology, (&now, to), tier) && lets_go(topology, (&now, to), tier)
        });
        let next = next.way(Manner::Unblocked);
        if next.stages.is_empty() {
            break;
        }
        now = next.target.clone();
        passed.push(next);
    }
    if passed.is_empty() {
        return plain;
    }
    passed.push(settled(topology, &now, to));
    let passed = joined(passed);
    if passed.interrupts.len() > plain.interrupts.len() {
        plain
    } else {
        passed
    }
}

/// Whether an outdated container of the tier holds a port that another on its VM needs in the end.
fn lets_go(topology: &Topology, (now, to): (&Allocation, &Allocation), tier: &TierId) -> bool {
    to.places(tier).any(|(vm, wanted)| {
        let held = now.container(vm, tier).filter(|held| held.is_replaced_by(wanted));
        let others = to
            .vms
            .get(vm)
            .into_iter()
            .flat_map(|vm| &vm.used)
            .filter(|(other, _)| *other != tier);
        let needed = others.flat_map(|(other, wanted)| topology.ports_at(other, wanted.revision.as_ref()));
        held.is_some_and(|held| conflict(topology.ports_at(tier, held.revision.as_ref()), needed))
    })
}

/// Whether what the tier depends on runs, as far as it is to run at all, and where its containers will look for it.
fn dependencies_run(topology: &Topology, (from, to): (&Allocation, &Allocation), tier: &TierId) -> bool {
    let single = |other: &TierId| {
        topology
            .tiers
            .get(other)
            .is_some_and(|other| other.max_node == Some(1))
    };
    let runs = |other: &TierId| {
        let mut wanted = to.places(other).peekable();
        match wanted.peek() {
            None => true,
            Some(_) if single(other) => wanted.all(|(vm, _)| from.container(vm, other).is_some()),
            Some(_) => from.places(other).next().is_some(),
        }
    };
    let spec = topology.tiers.get(tier);
    spec.is_some_and(|spec| spec.depends_on.iter().all(runs))
}

/// The way without regard to ports that pass from one to the next.
fn settled(topology: &Topology, from: &Allocation, to: &Allocation) -> Way {
    let (rest, late) = along(topology, from, to);
    if late.interrupts.is_empty() {
        return joined([rest, late]);
    }
    let candidates: BTreeSet<&TierId> = late.interrupts.iter().map(|one| &one.tier).collect();
    let early = Rollout::between(topology, from, to, |tier| {
        candidates.contains(tier) && dependencies_run(topology, (from, to), tier)
    })
    .way(Manner::Gently);
    if early.stages.is_empty() {
        return joined([rest, late]);
    }
    let (rest, late) = along(topology, &early.target, to);
    joined([early, rest, late])
}

/// Sizes and places, and what is outdated then.
fn along(topology: &Topology, from: &Allocation, to: &Allocation) -> (Way, Way) {
    let rest = moves(topology, from, to);
    let late = Rollout::between(topology, &rest.target, to, |_| true).way(Manner::Fully);
    (rest, late)
}

/// One way after the other. A tier that several interrupt has the first one's reason.
fn joined(ways: impl IntoIterator<Item = Way>) -> Way {
    let mut whole = Way::default();
    let mut interrupts: BTreeMap<TierId, Interrupt> = BTreeMap::new();
    for way in ways {
        whole.stages.extend(way.stages);
        for one in way.interrupts {
            interrupts.entry(one.tier.clone()).or_insert(one);
        }
        whole.target = way.target;
    }
    whole.interrupts = interrupts.into_values().collect();
    whole
}
