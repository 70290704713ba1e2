//! What is done before containers go, or are stopped for their successors.

use super::*;
use crate::translate::{Action, Place};

/// A load balancer on `v`, and its servers on these VMs.
fn pool(servers: &[&str]) -> Scene {
    let scene = Scene::new().vm("v", 4, 4).vm("w", 4, 4).vm("x", 4, 4);
    let scene = scene
        .needs("lb", "web")
        .tier_hook("lb", "reload")
        .keeps("lb", "v", 1, 1);
    servers
        .iter()
        .fold(scene, |scene, vm| scene.runs("web", vm, 1, 1))
}

#[test]
fn a_load_balancer_is_told_before_servers_leave_and_after() {
    let scene = pool(&["v", "w", "x"]).wants("web", "v", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            vec!["run tier hook for container 'lb' on vm 'v'"],
            vec![
                "delete container 'web' from vm 'w'",
                "delete container 'web' from vm 'x'"
            ],
            vec!["run tier hook for container 'lb' on vm 'v'"],
        ]
    );
    let stages = scene.translation().stages;
    let told = |action: &Action| match action {
        Action::RunTierHook { leaving, .. } => leaving.clone(),
        _ => panic!("{action}"),
    };
    let place = |vm| Place {
        vm: vm_id(vm),
        container: tier_id("web"),
    };
    assert_eq!(told(&stages[0][0]), [place("w"), place("x")]);
    assert_eq!(told(&stages[2][0]), []);
}

#[test]
fn a_load_balancer_is_told_of_the_new_place_before_the_old_one_goes() {
    let scene = pool(&["w"]).wants("web", "x", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            ["create container 'web' on vm 'x' with cpu cores=1 and mem_units=1"],
            ["run tier hook for container 'lb' on vm 'v'"],
            ["delete container 'web' from vm 'w'"],
            ["run tier hook for container 'lb' on vm 'v'"],
        ]
    );
}

#[test]
fn an_empty_pool_is_told_once_it_is_empty() {
    let scene = pool(&["w", "x"]);
    assert_eq!(scene.stage_of("run tier hook"), 1);
    assert_eq!(scene.texts().len(), 2);
}

#[test]
fn a_container_that_is_removed_along_with_a_server_is_not_told() {
    let scene = pool(&["w", "x"])
        .vm("y", 4, 4)
        .runs("lb", "y", 1, 1)
        .wants("web", "w", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            vec!["run tier hook for container 'lb' on vm 'v'"],
            vec![
                "delete container 'web' from vm 'x'",
                "delete container 'lb' from vm 'y'"
            ],
            vec!["run tier hook for container 'lb' on vm 'v'"],
        ]
    );
}

#[test]
fn a_container_goes_with_its_tiers_own_hooks() {
    let mut scene = Scene::new().vm("v", 4, 4).runs("web", "v", 1, 1);
    scene.spec("web").on_node_stop = vec![HookName("drain".into())];
    let stages = scene.translation().stages;
    let Action::DeleteContainer { hooks, .. } = &stages[0][0] else {
        panic!("{stages:?}")
    };
    assert_eq!(hooks, &[HookName("drain".into())]);
}

#[test]
fn the_checker_misses_words_that_are_left_out_or_not_true() {
    let scene = pool(&["v", "w"]).wants("web", "v", 1, 1);
    let good = scene.translation();
    let breaches = |change: &dyn Fn(&mut Vec<Vec<Action>>)| {
        let mut bad = good.clone();
        change(&mut bad.stages);
        check::breaches(&scene.topology, &scene.from, &scene.to, &bad).join("; ")
    };
    assert_eq!(breaches(&|_| {}), "");
    assert!(breaches(&|stages| drop(stages.remove(0))).contains("was not told before"));
    let late = breaches(&|stages| stages.swap(0, 1));
    assert!(late.contains("is said to go, and does not"), "{late}");
    let other = breaches(&|stages| {
        if let Action::RunTierHook { leaving, .. } = &mut stages[0][0] {
            leaving[0].vm = vm_id("v");
        }
    });
    assert!(
        other.contains("is said to go") && other.contains("was not told"),
        "{other}"
    );
    let hooks = breaches(&|stages| {
        if let Action::DeleteContainer { hooks, .. } = &mut stages[1][0] {
            hooks.push(HookName("x".into()));
        }
    });
    assert!(hooks.contains("own hooks"), "{hooks}");
}

#[test]
fn a_load_balancer_is_told_before_a_server_is_stopped_for_its_successor() {
    let scene = pool(&["w", "x"])
        .port("web", 80)
        .wants("web", "w", 1, 1)
        .wants("web", "x", 1, 1);
    let scene = scene.outdated(&[]).current("lb");
    let (stages, interrupts) = super::rollouts::told(&scene);
    assert_eq!(
        stages,
        [
            ["tell lb v"],
            ["StopFirst web w"],
            ["tell lb v"],
            ["tell lb v"],
            ["StopFirst web x"],
            ["tell lb v"]
        ]
    );
    assert_eq!(interrupts, []);
    let leaving = |stage: usize| match &scene.translation().stages[stage][0] {
        Action::RunTierHook { leaving, .. } => leaving.iter().map(|place| place.vm.clone()).collect(),
        _ => Vec::new(),
    };
    assert_eq!(
        [0, 2, 3, 5].map(leaving),
        [vec![vm_id("w")], vec![], vec![vm_id("x")], vec![]]
    );
}
