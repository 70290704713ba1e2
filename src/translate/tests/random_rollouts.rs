//! Rollouts at random: some of what runs is outdated, and some of it looks for its dependencies where they are no more.

use proptest::prelude::*;

use super::random::{self, Bounds};
use super::*;

/// A random scene in which some of what runs is outdated, and some of that published other ports.
pub(super) fn some_outdated(bounds: Bounds, numbers: &[u16]) -> Scene {
    let mut scene = random::scene(bounds, numbers);
    let mut dice = numbers.iter().rev().copied();
    let mut next = move |below: u16| dice.next().unwrap_or(0) % below;
    let tiers: Vec<TierId> = scene.topology.tiers.keys().cloned().collect();
    let mut earlier = Vec::new();
    for tier in &tiers {
        scene.spec(tier.as_str()).max_unavailable = 1 + u32::from(next(2));
        if next(4) == 0 {
            earlier.push((tier.as_str().to_owned(), 80 + next(3)));
        }
    }
    let earlier: Vec<(&str, u16)> = earlier
        .iter()
        .map(|(tier, port)| (tier.as_str(), *port))
        .collect();
    let mut scene = scene.outdated(&earlier);
    for tier in &tiers {
        if next(3) == 0 {
            scene = scene.current(tier.as_str());
        }
    }
    // What runs holds its ports.
    let topology = scene.topology.clone();
    for vm in scene.from.vms.values_mut() {
        let mut held: Vec<crate::model::topology::PortBinding> = Vec::new();
        vm.used.retain(|tier, one| {
            let own = topology.ports_at(tier, one.revision.as_ref());
            let fits = own
                .iter()
                .all(|port| held.iter().all(|other| !other.conflicts(port)));
            if fits {
                held.extend(own);
            }
            fits
        });
        for tier in vm.used.keys() {
            if next(8) == 0 {
                vm.stalled.insert(tier.clone());
            }
        }
    }
    addresses(&mut scene, next);
    scene
}

/// Gives VMs addresses, and containers those of their dependencies, or others. Some dependencies are on one VM at most.
fn addresses(scene: &mut Scene, mut next: impl FnMut(u16) -> u16) {
    for (index, vm) in scene.from.vms.values_mut().enumerate() {
        vm.ip = (next(8) > 0).then(|| format!("10.0.0.{index}"));
    }
    for (id, vm) in &mut scene.to.vms {
        // That of a host is known before it is used, that of a machine to be made is not.
        let before = scene.from.vms.get(id);
        vm.ip = before.map_or_else(
            || (next(2) == 0).then(|| format!("10.1.0.{id}")),
            |vm| vm.ip.clone(),
        );
    }
    for (id, tier) in &mut scene.topology.tiers {
        let one = scene.to.places(id).count() <= 1;
        tier.max_node = (one && next(3) > 0).then_some(1);
    }
    let (topology, from) = (&scene.topology, scene.from.clone());
    for (tier, held) in scene.from.vms.values_mut().flat_map(|vm| &mut vm.used) {
        let spec = &topology.tiers[tier];
        let right = topology.addresses(spec, &from).into_iter();
        held.addresses = match next(6) {
            0 => None,
            1 => Some(right.map(|(name, _)| (name, "10.9.9.9".to_owned())).collect()),
            2 => Some(BTreeMap::new()),
            _ => Some(right.collect()),
        };
    }
    let mut tag = |container: &mut Container| {
        container.digest = match next(6) {
            0 => Some("sha256:1".to_owned()),
            1 => Some("sha256:2".to_owned()),
            _ => None,
        };
    };
    for side in [&mut scene.from, &mut scene.to] {
        for held in side.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
            tag(held);
        }
    }
    // The way back leaves what was so before.
    for (id, vm) in &mut scene.to.vms {
        for (tier, wanted) in &mut vm.used {
            if next(6) == 0 {
                wanted.addresses = from.container(id, tier).and_then(|held| held.addresses.clone());
            }
        }
    }
}

#[test]
fn every_rollout_keeps_the_rules() {
    let middling = Bounds {
        vms: 5,
        tiers: 6,
        cores: 5,
        mem: 5,
        attempts: 24,
    };
    random::each_of(6_000, middling, some_outdated, random::keeps_the_rules);
}

#[test]
fn every_rollout_between_full_vms_keeps_the_rules() {
    random::each_of(6_000, random::TINY, some_outdated, random::keeps_the_rules);
}

#[test]
fn where_a_rollout_leads_nothing_is_outdated() {
    random::each_of(2_000, random::SMALL, some_outdated, |scene| {
        let mut scene = scene.clone();
        // What a machine is found at once it is made.
        for (id, vm) in &mut scene.to.vms {
            if !scene.from.vms.contains_key(id) {
                vm.ip.get_or_insert_with(|| format!("10.2.0.{id}"));
            }
        }
        let target = translate(&scene.topology, &scene.from, &scene.to).target;
        let again = translate(&scene.topology, &target, &scene.to);
        prop_assert!(again.stages.is_empty(), "{}", show(&again));
        Ok(())
    });
}
