//! All rules at random.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// The bounds of a kind of random scenes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) vms: usize,
    pub(super) tiers: usize,
    pub(super) cores: u32,
    pub(super) mem: u64,
    /// Attempts to place a container, on either side.
    pub(super) attempts: usize,
}

/// Numbers to build a scene from, so that a failing one can be made smaller.
fn numbers(bounds: Bounds) -> impl Strategy<Value = (Bounds, Vec<u16>)> {
    (
        1..=bounds.vms,
        1..=bounds.tiers,
        prop::collection::vec(any::<u16>(), 40 + 8 * bounds.attempts),
    )
        .prop_map(move |(vms, tiers, numbers)| (Bounds { vms, tiers, ..bounds }, numbers))
}

/// A scene whose two sides both fit.
pub(super) fn scene(bounds: Bounds, numbers: &[u16]) -> Scene {
    let mut numbers = numbers.iter().copied();
    let mut next = move |below: u64| u64::from(numbers.next().unwrap_or(0)) % below;
    let mut scene = Scene::new();
    if next(4) == 0 {
        scene = scene.quota();
    }
    let tier = |index: u64| format!("t{index}");
    for index in 0..bounds.tiers as u64 {
        scene.spec(&tier(index));
        if next(3) == 0 {
            scene = scene.port(&tier(index), 80 + next(2) as u16);
        }
        if index > 0 && next(2) == 0 {
            let first = next(index);
            scene = scene.needs(&tier(index), &tier(first));
            let second = next(index);
            if second != first {
                scene = scene.needs(&tier(index), &tier(second));
            }
        }
        if next(2) == 0 {
            scene = scene.scale_hook(&tier(index), "fit");
        }
        if next(2) == 0 {
            scene = scene.tier_hook(&tier(index), "tell");
        }
    }
    let mut olds = Vec::new();
    let mut news = Vec::new();
    for index in 0..bounds.vms {
        let name = format!("v{index}");
        let (cores, mem) = (1 + next(bounds.cores.into()) as u32, 1 + next(bounds.mem));
        match next(8) {
            0 => {
                scene = scene.old_vm(&name, cores, mem);
                olds.push(name);
            }
            1 => {
                scene = scene.new_vm(&name, cores, mem);
                news.push(name);
            }
            _ => {
                scene = scene.vm(&name, cores, mem);
                olds.push(name.clone());
                news.push(name);
            }
        }
    }
    for _ in 0..bounds.attempts {
        for (old, vms) in [(true, &olds), (false, &news)] {
            let (Some(vm), name, cores, mem) = (
                vms.get(next(bounds.vms as u64) as usize),
                tier(next(bounds.tiers as u64)),
                1 + next(bounds.cores.into()) as u32,
                1 + next(bounds.mem),
            ) else {
                continue;
            };
            let side = if old { &scene.from } else { &scene.to };
            let there = &side.vms[vm.as_str()];
            let room = there.capacity - there.held();
            let spec = &scene.topology.tiers[name.as_str()];
            let clash = there.used.keys().any(|other| {
                let theirs = &scene.topology.tiers[other].ports;
                theirs.iter().any(|a| spec.ports.iter().any(|b| a.conflicts(b)))
            });
            let size = Size::new(cores, mem).min(room);
            let (cores, mem) = (size.cpu.whole_cores() as u32, size.mem);
            if cores == 0 || mem == 0 || clash || there.used.contains_key(name.as_str()) {
                continue;
            }
            scene = if old {
                scene.runs(&name, vm, cores, mem)
            } else {
                scene.wants(&name, vm, cores, mem)
            };
        }
    }
    scene
}

/// A scene in which every tier moves, or nearly, and hardly a VM has more than it needs.
pub(super) fn moving(bounds: Bounds, numbers: &[u16]) -> Scene {
    let mut numbers = numbers.iter().copied();
    let mut next = move |below: usize| usize::from(numbers.next().unwrap_or(0)) % below;
    let mut scene = Scene::new();
    let vm = |index: usize| format!("v{index}");
    for index in 0..bounds.vms {
        scene = scene.vm(&vm(index), 0, 0);
    }
    let mut sides = (scene.from.clone(), scene.to.clone());
    for index in 0..bounds.tiers {
        let tier = format!("t{index}");
        scene.spec(&tier);
        if next(4) == 0 {
            scene = scene.port(&tier, 80 + next(2) as u16);
        }
        if index > 0 && next(3) == 0 {
            scene = scene.needs(&tier, &format!("t{}", next(index)));
        }
        let fresh = next(5) == 0;
        let keeps = next(8) == 0;
        let mut places = Vec::new();
        for (side, count) in [(0, usize::from(!fresh) * (1 + next(2))), (1, 1 + next(5) / 4)] {
            for _ in 0..count {
                let place = next(bounds.vms);
                let allocation = if side == 0 { &mut sides.0 } else { &mut sides.1 };
                let used = &mut allocation.vms.get_mut(vm(place).as_str()).unwrap().used;
                let spec = &scene.topology.tiers[tier.as_str()];
                let clash = used.keys().any(|other| {
                    let theirs = &scene.topology.tiers[other].ports;
                    theirs.iter().any(|a| spec.ports.iter().any(|b| a.conflicts(b)))
                });
                if clash || (places.contains(&place) && !(side == 1 && keeps)) {
                    continue;
                }
                places.push(place);
                let (cores, mem) = (1 + next(bounds.cores as usize), 1 + next(bounds.mem as usize));
                used.insert(tier.as_str().into(), Size::new(cores as u32, mem as u64).into());
            }
        }
    }
    // Each VM has what the fuller of the two sides takes, and now and then a little more.
    for index in 0..bounds.vms {
        let name = vm(index);
        let id = name.as_str();
        let slack = Size::new(u32::from(next(4) == 0), u64::from(next(4) == 0));
        let capacity = sides.0.vms[id].held().max(sides.1.vms[id].held()) + slack;
        for side in [&mut scene.from, &mut scene.to] {
            side.vms.get_mut(id).unwrap().capacity = capacity;
        }
        for (tier, container) in &sides.0.vms[id].used {
            let cores = container.size.cpu.whole_cores() as u32;
            scene = scene.runs(tier.as_str(), id, cores, container.size.mem);
        }
        for (tier, container) in &sides.1.vms[id].used {
            let cores = container.size.cpu.whole_cores() as u32;
            scene = scene.wants(tier.as_str(), id, cores, container.size.mem);
        }
    }
    give_gpus(&mut scene, &mut next);
    scene
}

/// The same cases each time.
fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

pub(super) fn each(cases: u32, bounds: Bounds, test: impl Fn(&Scene) -> Result<(), TestCaseError>) {
    each_of(cases, bounds, scene, test);
}

pub(super) fn each_of(
    cases: u32,
    bounds: Bounds,
    make: impl Fn(Bounds, &[u16]) -> Scene,
    test: impl Fn(&Scene) -> Result<(), TestCaseError>,
) {
    let result = runner(cases).run(&numbers(bounds), |(bounds, numbers)| {
        test(&make(bounds, &numbers))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

pub(super) fn keeps_the_rules(scene: &Scene) -> Result<(), TestCaseError> {
    let translation = translate(&scene.topology, &scene.from, &scene.to);
    let breaches = check::breaches(&scene.topology, &scene.from, &scene.to, &translation);
    prop_assert!(
        breaches.is_empty(),
        "{breaches:#?}\n{}\n{scene:#?}",
        show(&translation)
    );
    Ok(())
}

pub(super) const TINY: Bounds = Bounds {
    vms: 3,
    tiers: 4,
    cores: 3,
    mem: 3,
    attempts: 8,
};

pub(super) const SMALL: Bounds = Bounds {
    vms: 5,
    tiers: 7,
    cores: 4,
    mem: 4,
    attempts: 20,
};

#[test]
fn every_translation_keeps_the_rules() {
    let middling = Bounds {
        vms: 6,
        tiers: 8,
        cores: 6,
        mem: 6,
        attempts: 30,
    };
    each(6_000, middling, keeps_the_rules);
}

#[test]
fn every_translation_between_full_vms_keeps_the_rules() {
    let crowded = Bounds {
        vms: 8,
        tiers: 16,
        cores: 3,
        mem: 3,
        attempts: 60,
    };
    each(3_000, crowded, keeps_the_rules);
}

fn interrupts_the_fewest(scene: &Scene) -> Result<(), TestCaseError> {
    keeps_the_rules(scene)?;
    let translation = translate(&scene.topology, &scene.from, &scene.to);
    if let Some(fewest) = oracle::fewest_interruptions(scene) {
        let found = translation.interrupts.len();
        prop_assert_eq!(found, fewest, "{}\n{:#?}", show(&translation), scene);
    }
    Ok(())
}

#[test]
fn a_tier_is_interrupted_exactly_where_no_order_avoids_it() {
    each(6_000, TINY, interrupts_the_fewest);
}

#[test]
fn tiers_that_all_move_between_full_vms_are_interrupted_exactly_where_no_order_avoids_it() {
    let tight = Bounds {
        vms: 4,
        tiers: 6,
        cores: 2,
        mem: 2,
        attempts: 8,
    };
    each_of(12_000, tight, moving, interrupts_the_fewest);
}

#[test]
fn many_tiers_that_all_move_between_full_vms_keep_the_rules() {
    let tight = Bounds {
        vms: 8,
        tiers: 20,
        cores: 2,
        mem: 2,
        attempts: 24,
    };
    each_of(3_000, tight, moving, keeps_the_rules);
}

#[test]
fn an_allocation_translated_to_itself_has_no_stages() {
    each(1_000, TINY, |scene| {
        let translation = translate(&scene.topology, &scene.from, &scene.from);
        prop_assert!(translation.stages.is_empty(), "{}", show(&translation));
        prop_assert_eq!(&translation.target, &scene.from);
        Ok(())
    });
}

#[test]
fn the_target_of_a_translation_translated_to_itself_has_no_stages() {
    each(1_000, TINY, |scene| {
        let target = translate(&scene.topology, &scene.from, &scene.to).target;
        let again = translate(&scene.topology, &target, &scene.to);
        prop_assert!(again.stages.is_empty(), "{}", show(&again));
        Ok(())
    });
}

#[test]
fn what_was_found_out_of_order_is_never_made_worse() {
    each(3_000, TINY, |scene| {
        // Any cores, as if someone had pinned the containers by hand, and a VM too small.
        let mut scene = scene.clone();
        let mut turn = 0_u32;
        for vm in scene.from.vms.values_mut() {
            for container in vm.used.values_mut() {
                turn += 1;
                let cores = (0..turn % 4).map(|core| (core * turn) % 5);
                container.cores = CoreSet(cores.collect());
                container.size.mem += u64::from(turn % 3);
            }
        }
        keeps_the_rules(&scene)
    });
}

/// GPUs for some tiers: as many in each of its containers, before and after, so that none is made anew for them.
fn give_gpus(scene: &mut Scene, next: &mut impl FnMut(usize) -> usize) {
    let gpus: BTreeMap<TierId, u64> = scene
        .topology
        .tiers
        .keys()
        .map(|tier| (tier.clone(), [0, 0, 1, 2][next(4)]))
        .collect();
    let mut held: BTreeMap<VmId, u64> = BTreeMap::new();
    for side in [&mut scene.from, &mut scene.to] {
        for (name, vm) in &mut side.vms {
            for (tier, container) in &mut vm.used {
                container.size.gpus = gpus.get(tier).copied().unwrap_or(0);
            }
            let most = held.entry(name.clone()).or_default();
            *most = vm.held().gpus.max(*most);
        }
    }
    for (name, held) in held {
        let has = held + u64::from(next(4) == 0);
        for side in [&mut scene.from, &mut scene.to] {
            if let Some(vm) = side.vms.get_mut(&name) {
                vm.capacity.gpus = has;
            }
        }
    }
}
