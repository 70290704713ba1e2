//! Room, ports, and the new before the old.

use super::*;

#[test]
fn nothing_to_do_gives_no_stages() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("idle", 4, 4)
        .keeps("db", "v", 2, 1)
        .keeps("web", "v", 1, 2)
        .scale_hook("web", "fit")
        .needs("web", "db")
        .tier_hook("web", "reload");
    assert_eq!(scene.translation().stages, Vec::<Vec<_>>::new());
}

#[test]
fn a_new_vm_comes_before_what_runs_on_it_and_an_old_one_goes_after_all_else() {
    let scene = Scene::new()
        .old_vm("i-1", 2, 2)
        .new_vm("new_vm0", 2, 2)
        .runs("db", "i-1", 1, 1)
        .wants("db", "new_vm0", 2, 1)
        .scale_hook("db", "fit");
    assert_eq!(
        scene.texts(),
        [
            vec!["create vm 'new_vm0'"],
            vec!["create container 'db' on vm 'new_vm0' with cpu cores=2 and mem_units=1"],
            vec![
                "delete container 'db' from vm 'i-1'",
                "run scale hook for container 'db' on vm 'new_vm0'"
            ],
            vec!["delete vm 'i-1'"],
        ]
    );
}

#[test]
fn what_shrinks_makes_room_one_stage_before_what_grows() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs("a", "v", 3, 2)
        .wants("a", "v", 1, 2)
        .runs("b", "v", 1, 2)
        .wants("b", "v", 3, 2);
    assert_eq!(
        scene.texts(),
        [
            ["update container 'a' on vm 'v' with cpu cores=1 and mem_units=2"],
            ["update container 'b' on vm 'v' with cpu cores=3 and mem_units=2"],
        ]
    );
}

#[test]
fn what_does_not_compete_happens_at_the_same_time() {
    let mut scene = Scene::new();
    for (vm, tier) in [("v0", "a"), ("v1", "b"), ("v2", "c")] {
        scene = scene.vm(vm, 4, 4).runs(tier, vm, 1, 1).wants(tier, vm, 2, 2);
    }
    assert_eq!(scene.translation().stages.len(), 1);
}

#[test]
fn a_tier_grows_elsewhere_before_it_shrinks_here() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .runs("web", "v", 3, 3)
        .wants("web", "v", 1, 1)
        .wants("web", "w", 2, 2);
    assert!(scene.stage_of("create container 'web'") < scene.stage_of("update container 'web'"));
}

#[test]
fn a_tier_shrinks_first_only_where_it_must_make_room() {
    // web's new container needs what db leaves; db can only leave for where web shrinks.
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .runs("web", "v", 4, 4)
        .wants("web", "v", 2, 2)
        .runs("db", "w", 2, 4)
        .wants("db", "v", 2, 2)
        .wants("web", "w", 2, 2);
    assert_eq!(scene.interrupted(), Vec::<String>::new());
    assert_eq!(scene.translation().stages.len(), 4);
}

#[test]
fn a_port_is_handed_over_one_stage_after_its_holder_has_gone() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .port("old", 80)
        .port("new", 80)
        .runs("old", "v", 1, 1)
        .wants("old", "w", 1, 1)
        .wants("new", "v", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            ["create container 'old' on vm 'w' with cpu cores=1 and mem_units=1"],
            ["delete container 'old' from vm 'v'"],
            ["create container 'new' on vm 'v' with cpu cores=1 and mem_units=1"],
        ]
    );
}

#[test]
fn two_mixed_updates_that_wait_for_each_other_are_taken_apart() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs("a", "v", 1, 3)
        .wants("a", "v", 3, 1)
        .runs("b", "v", 3, 1)
        .wants("b", "v", 1, 3)
        .scale_hook("a", "fit")
        .scale_hook("b", "fit");
    let texts = scene.texts();
    let updates: Vec<&String> = texts
        .iter()
        .flatten()
        .filter(|text| text.starts_with("update"))
        .collect();
    assert_eq!(updates.len(), 3, "{texts:#?}");
    let hooks = texts
        .iter()
        .flatten()
        .filter(|text| text.starts_with("run"))
        .count();
    assert_eq!(hooks, 2);
}

#[test]
fn a_mixed_update_with_room_is_one_action() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs("a", "v", 1, 3)
        .wants("a", "v", 3, 1);
    assert_eq!(scene.translation().stages.iter().flatten().count(), 1);
}

#[test]
fn a_vm_that_holds_too_much_takes_nothing_more_before_it_has_given() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs("a", "v", 3, 3)
        .runs("b", "v", 3, 3)
        .wants("a", "v", 1, 1)
        .wants("b", "v", 2, 3);
    assert!(!scene.translation().stages.is_empty());
}

#[test]
fn a_target_that_does_not_fit_ends_all_the_same() {
    let scene = Scene::new()
        .vm("v", 1, 1)
        .wants("a", "v", 1, 1)
        .wants("b", "v", 1, 1)
        .runs("c", "v", 1, 1);
    let translation = translate(&scene.topology, &scene.from, &scene.to);
    assert_eq!(translation.stages.iter().flatten().count(), 3);
}

#[test]
fn a_tier_that_the_topology_does_not_know_is_removed_like_any_other() {
    let mut scene = Scene::new()
        .vm("v", 2, 2)
        .runs("ghost", "v", 2, 2)
        .wants("a", "v", 2, 2);
    scene.topology.tiers.remove("ghost");
    assert_eq!(
        scene.texts(),
        [
            ["delete container 'ghost' from vm 'v'"],
            ["create container 'a' on vm 'v' with cpu cores=2 and mem_units=2"],
        ]
    );
}

#[test]
fn decimal_cores_are_not_pinned() {
    let mut scene = Scene::new().quota().vm("v", 1, 4);
    scene.spec("a");
    let container = |hundredths| Container {
        size: Size {
            cpu: crate::model::Cpu::hundredths(hundredths),
            mem: 1,
            ..Size::ZERO
        },
        cores: CoreSet::default(),
        owed: Default::default(),
        revision: None,
        addresses: None,
        digest: None,
    };
    let used = |side: &mut Allocation, tier: &str, hundredths| {
        let vm = side.vms.get_mut("v").unwrap();
        vm.used.insert(tier.into(), container(hundredths));
    };
    used(&mut scene.from, "a", 50);
    used(&mut scene.to, "a", 25);
    used(&mut scene.to, "b", 75);
    assert_eq!(
        scene.texts(),
        [
            ["update container 'a' on vm 'v' with cpu cores=0.25 and mem_units=1"],
            ["create container 'b' on vm 'v' with cpu cores=0.75 and mem_units=1"],
        ]
    );
}

/// A container of a tier on a VM that has four of everything, with so many GPUs and gigabytes.
fn with_further(side: &mut Allocation, vm: &str, tier: &str, (disk_gb, gpus): (u64, u64)) {
    let vm = side.vms.get_mut(vm).unwrap();
    (vm.capacity.disk_gb, vm.capacity.gpus) = (4, 4);
    let held = vm.used.get_mut(tier).unwrap();
    (held.size.disk_gb, held.size.gpus) = (disk_gb, gpus);
}

#[test]
fn a_container_whose_gpus_or_disk_change_is_made_anew() {
    for further in [(0, 2), (3, 1)] {
        let mut scene = Scene::new().vm("v", 4, 4).keeps("a", "v", 1, 1);
        with_further(&mut scene.from, "v", "a", (0, 1));
        with_further(&mut scene.to, "v", "a", further);
        let [deleted, created] = &scene.texts()[..] else {
            panic!("{:?}", scene.texts());
        };
        assert_eq!(*deleted, ["delete container 'a' from vm 'v'"]);
        assert!(
            created[0].starts_with("create container 'a' on vm 'v' with cpu cores=1 and mem_units=1 and ")
        );
        let interrupts = scene.translation().interrupts;
        assert!(
            interrupts[0].reason.contains("its disk or GPUs change"),
            "{interrupts:?}"
        );
    }
}

#[test]
fn gpus_make_way_before_others_take_them() {
    let mut scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .runs("a", "v", 1, 1)
        .wants("a", "w", 1, 1)
        .wants("b", "v", 1, 1);
    scene.to.vms.get_mut("w").unwrap().capacity.gpus = 4;
    scene.from.vms.get_mut("w").unwrap().capacity = scene.to.vms["w"].capacity;
    with_further(&mut scene.from, "v", "a", (0, 3));
    with_further(&mut scene.to, "v", "b", (0, 2));
    scene
        .to
        .vms
        .get_mut("w")
        .unwrap()
        .used
        .get_mut("a")
        .unwrap()
        .size
        .gpus = 3;
    let (gone, made) = (
        scene.stage_of("delete container 'a' from vm 'v'"),
        scene.stage_of("create container 'b' on vm 'v'"),
    );
    assert!(gone < made, "{:?}", scene.texts());
    assert_eq!(scene.interrupted(), Vec::<String>::new());
}
