//! Containers that are not the allocation's, and containers that hold their part without running.

use std::collections::BTreeSet;

use super::random::{SMALL, TINY, each, keeps_the_rules};
use super::*;
use crate::model::{Cpu, Foreign};
use crate::translate::Action;

/// Makes every VM larger by what others then hold of it: on cores that ours do not have, or, where
/// `intruding`, on the lowest ones whoever has them.
fn beside_others(scene: &Scene, intruding: bool) -> Scene {
    let mut scene = scene.clone();
    let pinned = scene.topology.infrastructure.cpu_mode == CpuMode::Cpuset;
    let ids: BTreeSet<VmId> = scene
        .from
        .vms
        .keys()
        .chain(scene.to.vms.keys())
        .cloned()
        .collect();
    for (turn, id) in (0_u32..).zip(ids) {
        let (named, share, mem) = (turn % 3, (turn + 1) % 2, u64::from(turn % 2));
        let taken = Size::new(named + share, mem);
        for side in [&mut scene.from, &mut scene.to] {
            if let Some(vm) = side.vms.get_mut(&id) {
                vm.capacity += taken;
            }
        }
        let (from, to) = (scene.from.vms.get(&id), scene.to.vms.get(&id));
        let all = from.or(to).unwrap().capacity.cpu.whole_cores() as u32;
        let used = from.into_iter().flat_map(|vm| vm.used.values());
        let used: BTreeSet<u32> = used.flat_map(|container| container.cores.0.clone()).collect();
        let free = (0..all).filter(|core| intruding || !used.contains(core));
        let foreign = Foreign {
            size: taken,
            cores: CoreSet(free.take(if pinned { named as usize } else { 0 }).collect()),
        };
        for side in [&mut scene.from, &mut scene.to] {
            if let Some(vm) = side.vms.get_mut(&id) {
                vm.foreign = foreign.clone();
            }
        }
    }
    scene
}

/// Counted once more, apart from the checker: sizes and cores of ours and of others, after each stage.
fn nothing_is_given_out_twice(scene: &Scene) {
    let pinned = scene.topology.infrastructure.cpu_mode == CpuMode::Cpuset;
    let mut now = scene.from.clone();
    for (id, vm) in &scene.to.vms {
        let made = now.vms.entry(id.clone()).or_insert_with(|| vm.emptied());
        made.foreign = vm.foreign.clone();
    }
    for stage in scene.translation().stages {
        for action in stage {
            match action {
                Action::CreateContainer {
                    vm,
                    container,
                    size,
                    cores,
                    ..
                }
                | Action::UpdateContainer {
                    vm,
                    container,
                    size,
                    cores,
                    ..
                } => {
                    let foreign = &now.vms[&vm].foreign;
                    assert!(
                        cores.0.is_disjoint(&foreign.cores.0),
                        "{container} on {vm}: {cores}"
                    );
                    let held = Container { cores, ..size.into() };
                    now.vms.get_mut(&vm).unwrap().used.insert(container, held);
                }
                Action::DeleteContainer { vm, container, .. } => {
                    now.vms.get_mut(&vm).unwrap().used.remove(&container);
                }
                _ => {}
            }
        }
        for (id, vm) in &now.vms {
            assert!(
                (vm.held() + vm.foreign.size).fits(vm.capacity),
                "{id} is overfull: {vm:?}"
            );
            let mut cores = vm.foreign.cores.0.clone();
            let shares = vm.foreign.size.cpu.whole_cores() - if pinned { cores.len() as u64 } else { 0 };
            for container in vm.used.values().filter(|_| pinned) {
                let own = container.cores.0.iter().all(|core| cores.insert(*core));
                assert!(own, "a core of {id} is held twice: {vm:?}");
            }
            let left = Cpu::cores(u32::try_from(cores.len() as u64 + shares).unwrap());
            assert!(
                !pinned || left <= vm.capacity.cpu,
                "{id} leaves others too few cores: {vm:?}"
            );
        }
    }
}

#[test]
fn what_others_hold_is_never_given_out() {
    each(3_000, SMALL, |scene| {
        let scene = beside_others(scene, false);
        keeps_the_rules(&scene)?;
        nothing_is_given_out_twice(&scene);
        Ok(())
    });
}

#[test]
fn a_container_that_others_have_pushed_onto_is_pinned_elsewhere() {
    let mut scene = Scene::new()
        .vm("v", 3, 4)
        .runs_on_cores("a", "v", 1, 1, &[0])
        .wants("a", "v", 1, 1);
    for side in [&mut scene.from, &mut scene.to] {
        side.vms.get_mut("v").unwrap().foreign = Foreign {
            size: Size::new(2, 1),
            cores: CoreSet([0, 1].into()),
        };
    }
    let target = scene.translation().target;
    assert_eq!(
        target
            .container(&vm_id("v"), &tier_id("a"))
            .unwrap()
            .cores
            .to_string(),
        "2"
    );
    each(2_000, TINY, |scene| keeps_the_rules(&beside_others(scene, true)));
}

#[test]
fn a_container_that_holds_its_part_without_running_is_set_going_and_counts_all_the_while() {
    let mut scene = Scene::new()
        .vm("v", 2, 2)
        .keeps("a", "v", 1, 1)
        .wants("b", "v", 1, 1);
    scene.from.vms.get_mut("v").unwrap().stalled.insert("a".into());
    assert_eq!(
        scene.texts(),
        [[
            "create container 'b' on vm 'v' with cpu cores=1 and mem_units=1",
            "update container 'a' on vm 'v' with cpu cores=1 and mem_units=1",
        ]]
    );
    assert!(scene.translation().target.vms["v"].stalled.is_empty());
    // What takes its place comes when it is gone.
    let mut scene = Scene::new()
        .vm("v", 1, 1)
        .runs("a", "v", 1, 1)
        .wants("b", "v", 1, 1);
    scene.from.vms.get_mut("v").unwrap().stalled.insert("a".into());
    assert!(scene.stage_of("delete container 'a'") < scene.stage_of("create container 'b'"));
    each(2_000, TINY, |scene| {
        let mut scene = scene.clone();
        for vm in scene.from.vms.values_mut() {
            vm.stalled = vm.used.keys().step_by(2).cloned().collect();
        }
        keeps_the_rules(&scene)
    });
}
