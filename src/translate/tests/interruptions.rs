//! Tiers that make room for each other, and those that can't be kept running.

use super::*;

#[test]
fn two_tiers_that_swap_two_full_vms_cost_one_interruption() {
    let scene = Scene::new()
        .vm("v", 2, 4)
        .vm("w", 2, 4)
        .runs("a", "v", 2, 4)
        .wants("a", "w", 2, 4)
        .runs("b", "w", 2, 4)
        .wants("b", "v", 2, 4);
    let translation = scene.translation();
    assert_eq!(translation.interrupts.len(), 1);
    assert_eq!(translation.interrupts[0].tier, tier_id("a"));
    assert_eq!(
        translation.interrupts[0].reason,
        "no VM has room for a second a (2 cores, 4 mem_units) before the one on 'v' is stopped: \
         'w' lacks 2 cores and 4 mem_units"
    );
    assert_eq!(translation.stages.len(), 4);
}

#[test]
fn a_third_vm_with_room_for_one_makes_the_swap_smooth() {
    let scene = Scene::new()
        .vm("v", 2, 4)
        .vm("w", 2, 4)
        .vm("x", 2, 4)
        .runs("a", "v", 2, 4)
        .wants("a", "w", 2, 4)
        .runs("b", "w", 2, 4)
        .wants("b", "x", 2, 4);
    assert_eq!(scene.interrupted(), Vec::<String>::new());
}

#[test]
fn the_tier_whose_move_unblocks_the_other_goes_first() {
    // v has room for a or for b. Only when b has left w can c leave v for it.
    let scene = Scene::new()
        .vm("v", 2, 2)
        .vm("w", 1, 1)
        .vm("x", 1, 1)
        .runs("a", "x", 1, 1)
        .wants("a", "v", 1, 1)
        .runs("b", "w", 1, 1)
        .wants("b", "v", 1, 1)
        .runs("c", "v", 1, 1)
        .wants("c", "w", 1, 1);
    assert_eq!(scene.interrupted(), Vec::<String>::new());
    assert!(scene.stage_of("create container 'b'") < scene.stage_of("create container 'a'"));
}

#[test]
fn the_old_container_in_the_way_goes_first_and_the_other_keeps_the_tier_running() {
    // a runs twice and moves once; only its container on v is in b's way.
    let scene = Scene::new()
        .vm("v", 1, 1)
        .vm("w", 1, 1)
        .vm("x", 1, 1)
        .runs("a", "v", 1, 1)
        .runs("a", "w", 1, 1)
        .wants("a", "x", 1, 1)
        .runs("b", "x", 1, 1)
        .wants("b", "v", 1, 1);
    assert_eq!(scene.interrupted(), Vec::<String>::new());
    assert!(scene.stage_of("delete container 'a' from vm 'v'") < scene.stage_of("create container 'b'"));
}

#[test]
fn a_port_that_two_tiers_exchange_costs_one_interruption_and_the_reason_says_so() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .port("a", 80)
        .port("b", 80)
        .runs("a", "v", 1, 1)
        .wants("a", "w", 1, 1)
        .runs("b", "w", 1, 1)
        .wants("b", "v", 1, 1);
    let interrupts = scene.translation().interrupts;
    assert_eq!(interrupts.len(), 1);
    assert!(
        interrupts[0].reason.contains("on 'w' port 80 is held by b"),
        "{}",
        interrupts[0].reason
    );
}

#[test]
fn a_tier_whose_place_its_new_dependency_needs_is_interrupted() {
    let scene = Scene::new()
        .vm("v", 1, 1)
        .vm("w", 1, 1)
        .needs("web", "db")
        .runs("web", "v", 1, 1)
        .wants("web", "w", 1, 1)
        .wants("db", "v", 1, 1);
    let interrupts = scene.translation().interrupts;
    assert_eq!(interrupts.len(), 1);
    assert!(
        interrupts[0].reason.contains("before db"),
        "{}",
        interrupts[0].reason
    );
}

#[test]
fn a_ring_of_five_full_vms_costs_one_interruption() {
    let mut scene = Scene::new();
    for index in 0..5 {
        scene = scene.vm(&format!("v{index}"), 1, 1);
    }
    for index in 0..5 {
        let (tier, here, there) = (
            format!("t{index}"),
            format!("v{index}"),
            format!("v{}", (index + 1) % 5),
        );
        scene = scene.runs(&tier, &here, 1, 1).wants(&tier, &there, 1, 1);
    }
    assert_eq!(scene.interrupted().len(), 1);
}

#[test]
fn an_interruption_begins_no_earlier_than_it_must() {
    // b can start on v only when the two that it comes to depend on run.
    let scene = Scene::new()
        .vm("v", 1, 1)
        .vm("w", 1, 1)
        .vm("x", 2, 2)
        .needs("b", "cache")
        .needs("cache", "store")
        .runs("a", "v", 1, 1)
        .wants("a", "w", 1, 1)
        .runs("b", "w", 1, 1)
        .wants("b", "v", 1, 1)
        .wants("cache", "x", 1, 1)
        .wants("store", "x", 1, 1);
    assert_eq!(scene.interrupted(), ["a"]);
    assert_eq!(scene.stage_of("create container 'cache'"), 1);
    assert_eq!(scene.stage_of("delete container 'a'"), 1);
    assert_eq!(scene.stage_of("create container 'b'"), 2);
}

#[test]
fn two_swaps_far_from_each_other_cost_one_interruption_each() {
    let mut scene = Scene::new();
    for pair in ["x", "y"] {
        let [v, w, a, b] = ["v", "w", "a", "b"].map(|name| format!("{pair}{name}"));
        scene = scene
            .vm(&v, 1, 1)
            .vm(&w, 1, 1)
            .runs(&a, &v, 1, 1)
            .wants(&a, &w, 1, 1)
            .runs(&b, &w, 1, 1)
            .wants(&b, &v, 1, 1);
    }
    assert_eq!(scene.interrupted(), ["xa", "ya"]);
}

#[test]
fn what_is_kept_somewhere_is_never_interrupted() {
    let scene = Scene::new()
        .vm("v", 2, 2)
        .vm("w", 2, 2)
        .runs("a", "v", 1, 1)
        .wants("a", "v", 1, 2)
        .runs("b", "v", 1, 1)
        .wants("b", "w", 2, 2)
        .runs("a", "w", 2, 2);
    assert_eq!(scene.interrupted(), Vec::<String>::new());
}
