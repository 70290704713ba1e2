//! Which cores containers are pinned to.

use super::*;
use crate::translate::Action;

/// The cores that a container ends on.
fn cores(scene: &Scene, tier: &str, vm: &str) -> Vec<u32> {
    let target = scene.translation().target;
    let container = target.container(&vm_id(vm), &tier_id(tier)).unwrap();
    container.cores.0.iter().copied().collect()
}

#[test]
fn a_new_container_gets_the_lowest_free_cores() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs_on_cores("a", "v", 1, 1, &[1])
        .wants("a", "v", 1, 1)
        .wants("b", "v", 2, 1);
    assert_eq!(cores(&scene, "b", "v"), [0, 2]);
    assert_eq!(cores(&scene, "a", "v"), [1]);
}

#[test]
fn what_grows_keeps_its_cores_and_what_shrinks_keeps_some_of_them() {
    let scene = Scene::new()
        .vm("v", 6, 4)
        .runs_on_cores("a", "v", 1, 1, &[3])
        .wants("a", "v", 3, 1)
        .runs_on_cores("b", "v", 3, 1, &[0, 2, 5])
        .wants("b", "v", 1, 1);
    assert_eq!(cores(&scene, "b", "v"), [0]);
    assert_eq!(cores(&scene, "a", "v"), [1, 3, 4]);
    assert_eq!(scene.translation().stages.len(), 1);
}

#[test]
fn released_cores_are_taken_in_a_later_stage() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs("a", "v", 4, 1)
        .wants("a", "v", 1, 1)
        .wants("b", "v", 3, 1);
    assert_eq!(scene.stage_of("create container 'b'"), 1);
    assert_eq!(cores(&scene, "b", "v"), [1, 2, 3]);
}

#[test]
fn a_change_of_memory_alone_leaves_the_cores() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs_on_cores("a", "v", 2, 1, &[1, 3])
        .wants("a", "v", 2, 2);
    assert_eq!(cores(&scene, "a", "v"), [1, 3]);
}

#[test]
fn two_containers_that_were_found_on_one_core_are_parted() {
    let scene = Scene::new()
        .vm("v", 3, 4)
        .runs_on_cores("a", "v", 1, 1, &[0])
        .wants("a", "v", 1, 1)
        .runs_on_cores("b", "v", 2, 1, &[0, 1])
        .wants("b", "v", 2, 1);
    assert_eq!(cores(&scene, "a", "v"), [0]);
    assert_eq!(cores(&scene, "b", "v"), [1, 2]);
}

#[test]
fn two_containers_that_hold_each_others_cores_are_parted_in_two_steps() {
    let scene = Scene::new()
        .vm("v", 2, 4)
        .runs_on_cores("a", "v", 1, 1, &[0, 1])
        .wants("a", "v", 1, 1)
        .runs_on_cores("b", "v", 1, 1, &[0, 1])
        .wants("b", "v", 1, 1);
    assert_eq!(cores(&scene, "a", "v"), [0]);
    assert_eq!(cores(&scene, "b", "v"), [1]);
}

#[test]
fn cores_that_the_vm_does_not_have_are_given_up() {
    let scene = Scene::new()
        .vm("v", 2, 4)
        .runs_on_cores("a", "v", 2, 1, &[0, 7])
        .wants("a", "v", 2, 1);
    assert_eq!(cores(&scene, "a", "v"), [0, 1]);
}

#[test]
fn an_allocation_that_says_nothing_of_cores_is_not_pinned_for_that() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs_on_cores("a", "v", 1, 1, &[])
        .wants("a", "v", 1, 1)
        .runs_on_cores("b", "v", 1, 1, &[])
        .wants("b", "v", 2, 1);
    let translation = scene.translation();
    assert_eq!(translation.stages.iter().flatten().count(), 1);
}

#[test]
fn a_container_that_lost_its_pinning_among_pinned_ones_gets_it_back() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs_on_cores("a", "v", 1, 1, &[])
        .wants("a", "v", 1, 1)
        .runs_on_cores("b", "v", 1, 1, &[0])
        .wants("b", "v", 1, 1);
    assert_eq!(cores(&scene, "a", "v"), [1]);
}

#[test]
fn an_update_says_what_was() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .runs_on_cores("a", "v", 1, 1, &[2])
        .wants("a", "v", 2, 3);
    assert_eq!(
        scene.translation().stages[0][0],
        Action::UpdateContainer {
            vm: vm_id("v"),
            container: tier_id("a"),
            size: Size::new(2, 3),
            cores: CoreSet([0, 2].into()),
            was: Size::new(1, 1),
            was_cores: CoreSet([2].into()),
        }
    );
}
