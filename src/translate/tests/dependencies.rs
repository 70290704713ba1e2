//! What depends on what.

use super::*;

#[test]
fn a_chain_of_three_starts_one_after_the_other() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("lb", "web")
        .needs("web", "db")
        .wants("lb", "v", 1, 1)
        .wants("web", "v", 1, 1)
        .wants("db", "v", 1, 1);
    let order = ["db", "web", "lb"].map(|tier| scene.stage_of(&format!("create container '{tier}'")));
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn a_chain_of_three_is_removed_from_its_end() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("lb", "web")
        .needs("web", "db")
        .runs("lb", "v", 1, 1)
        .runs("web", "v", 1, 1)
        .runs("db", "v", 1, 1);
    let order = ["lb", "web", "db"].map(|tier| scene.stage_of(&format!("delete container '{tier}'")));
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn all_new_containers_of_a_dependency_come_before_what_depends_on_it() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .needs("web", "db")
        .wants("db", "v", 1, 1)
        .wants("db", "w", 1, 1)
        .wants("web", "v", 1, 1);
    assert_eq!(scene.stage_of("create container 'web'"), 1);
    assert_eq!(scene.texts()[0].len(), 2);
}

#[test]
fn a_dependency_whose_second_container_waits_for_room_is_waited_for() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 1, 1)
        .needs("web", "db")
        .runs("other", "w", 1, 1)
        .wants("db", "v", 1, 1)
        .wants("db", "w", 1, 1)
        .wants("web", "v", 1, 1);
    assert_eq!(scene.stage_of("create container 'db' on vm 'v'"), 0);
    assert_eq!(scene.stage_of("create container 'db' on vm 'w'"), 1);
    assert_eq!(scene.stage_of("create container 'web'"), 2);
}

#[test]
fn a_dependency_that_can_only_grow_when_its_dependent_has_moved_does_not_hold_it_up() {
    // db's second container goes where web is now.
    let scene = Scene::new()
        .vm("v", 2, 2)
        .vm("w", 2, 2)
        .vm("x", 2, 2)
        .needs("web", "db")
        .keeps("db", "x", 2, 2)
        .wants("db", "v", 2, 2)
        .runs("web", "v", 2, 2)
        .wants("web", "w", 2, 2);
    assert_eq!(scene.interrupted(), Vec::<String>::new());
    assert!(scene.stage_of("create container 'web'") < scene.stage_of("create container 'db'"));
}

#[test]
fn a_dependency_that_the_plan_leaves_out_is_not_waited_for() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("web", "db")
        .wants("web", "v", 1, 1);
    assert_eq!(scene.translation().stages.len(), 1);
}

#[test]
fn a_removed_dependency_does_not_wait_for_a_dependent_that_stays() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("web", "db")
        .runs("db", "v", 1, 1)
        .keeps("web", "v", 1, 1);
    assert_eq!(scene.texts(), [["delete container 'db' from vm 'v'"]]);
}

#[test]
fn an_app_is_removed_in_order_to_make_room_for_another() {
    let scene = Scene::new()
        .vm("v", 2, 2)
        .needs("old_web", "old_db")
        .needs("new_web", "new_db")
        .runs("old_db", "v", 1, 1)
        .runs("old_web", "v", 1, 1)
        .wants("new_db", "v", 1, 1)
        .wants("new_web", "v", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            vec!["delete container 'old_web' from vm 'v'"],
            vec![
                "create container 'new_db' on vm 'v' with cpu cores=1 and mem_units=1",
                "delete container 'old_db' from vm 'v'"
            ],
            vec!["create container 'new_web' on vm 'v' with cpu cores=1 and mem_units=1"],
        ]
    );
}

#[test]
fn a_new_dependency_starts_before_a_tier_that_moves() {
    let scene = Scene::new()
        .vm("v", 2, 2)
        .vm("w", 4, 4)
        .needs("web", "cache")
        .runs("web", "v", 2, 2)
        .wants("web", "w", 2, 2)
        .wants("cache", "w", 1, 1);
    assert_eq!(scene.stage_of("create container 'cache'"), 0);
    assert_eq!(scene.stage_of("create container 'web'"), 1);
    assert_eq!(scene.stage_of("delete container 'web'"), 2);
}

#[test]
fn a_cycle_of_dependencies_still_ends() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("a", "b")
        .needs("b", "a")
        .wants("a", "v", 1, 1)
        .wants("b", "v", 1, 1);
    let translation = translate(&scene.topology, &scene.from, &scene.to);
    assert_eq!(translation.stages.iter().flatten().count(), 2);
}

#[test]
fn a_dependency_that_sleeps_is_woken_before_what_needs_it_starts() {
    let mut scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .needs("web", "db")
        .keeps("db", "v", 1, 1)
        .wants("web", "w", 1, 1);
    scene.from.vms.get_mut("v").unwrap().stalled.insert("db".into());
    assert_eq!(
        scene.texts(),
        [
            ["update container 'db' on vm 'v' with cpu cores=1 and mem_units=1"],
            ["create container 'web' on vm 'w' with cpu cores=1 and mem_units=1"],
        ]
    );
}
