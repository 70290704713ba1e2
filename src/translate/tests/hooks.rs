//! Which hooks run, and when.

use super::*;

#[test]
fn a_scale_hook_runs_after_its_container_was_created_or_updated_and_only_then() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .vm("x", 4, 4)
        .scale_hook("web", "workers")
        .scale_hook("web", "cache")
        .keeps("web", "v", 1, 1)
        .runs("web", "w", 1, 1)
        .wants("web", "w", 2, 1)
        .wants("web", "x", 1, 1);
    let translation = scene.translation();
    assert_eq!(
        scene.texts()[1],
        [
            "run scale hook for container 'web' on vm 'w'",
            "run scale hook for container 'web' on vm 'x'"
        ]
    );
    let hooks = ["workers", "cache"].map(|name| HookName(name.into())).to_vec();
    assert_eq!(
        translation.stages[1][0],
        crate::translate::Action::RunScaleHook {
            vm: vm_id("w"),
            container: tier_id("web"),
            hooks
        }
    );
}

#[test]
fn a_load_balancer_that_does_not_change_is_told_that_its_pool_grew() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .needs("lb", "web")
        .tier_hook("lb", "reload")
        .keeps("lb", "v", 1, 1)
        .keeps("web", "v", 1, 1)
        .wants("web", "w", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            ["create container 'web' on vm 'w' with cpu cores=1 and mem_units=1"],
            ["run tier hook for container 'lb' on vm 'v'"],
        ]
    );
}

#[test]
fn a_tier_hook_waits_for_the_last_delete_and_comes_before_the_vm_goes() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .old_vm("w", 4, 4)
        .needs("lb", "web")
        .tier_hook("lb", "reload")
        .keeps("lb", "v", 1, 1)
        .runs("web", "v", 1, 1)
        .wants("web", "v", 2, 2)
        .runs("web", "w", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            ["update container 'web' on vm 'v' with cpu cores=2 and mem_units=2"],
            ["run tier hook for container 'lb' on vm 'v'"],
            ["delete container 'web' from vm 'w'"],
            ["run tier hook for container 'lb' on vm 'v'"],
            ["delete vm 'w'"],
        ]
    );
}

#[test]
fn a_resized_dependency_is_a_reason_for_a_hook() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("lb", "web")
        .tier_hook("lb", "reload")
        .keeps("lb", "v", 1, 1)
        .runs("web", "v", 1, 1)
        .wants("web", "v", 1, 2);
    assert_eq!(scene.stage_of("run tier hook for container 'lb'"), 1);
}

#[test]
fn a_dependency_that_vanishes_is_a_reason_for_a_hook() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("lb", "web")
        .tier_hook("lb", "reload")
        .keeps("lb", "v", 1, 1)
        .runs("web", "v", 1, 1);
    assert_eq!(scene.stage_of("run tier hook for container 'lb'"), 1);
}

#[test]
fn a_tier_hook_waits_for_the_last_of_several_dependencies() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .needs("lb", "web")
        .needs("lb", "api")
        .tier_hook("lb", "reload")
        .keeps("lb", "v", 1, 1)
        .runs("web", "v", 1, 1)
        .wants("web", "w", 1, 1)
        .wants("api", "v", 1, 1);
    assert_eq!(scene.stage_of("create container 'api'"), 0);
    assert_eq!(scene.stage_of("delete container 'web'"), 2);
    assert_eq!(
        scene.texts().iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 1, 1, 1],
        "told before and after"
    );
}

#[test]
fn a_change_further_down_the_chain_is_no_reason_for_a_hook() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("lb", "web")
        .needs("web", "db")
        .tier_hook("lb", "reload")
        .keeps("lb", "v", 1, 1)
        .keeps("web", "v", 1, 1)
        .runs("db", "v", 1, 1)
        .wants("db", "v", 2, 1);
    assert_eq!(scene.translation().stages.len(), 1);
}

#[test]
fn a_tier_hook_runs_once_everywhere_after_the_containers_own_scale_hook() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .vm("w", 4, 4)
        .needs("lb", "web")
        .tier_hook("lb", "reload")
        .scale_hook("lb", "workers")
        .keeps("lb", "v", 1, 1)
        .wants("lb", "w", 1, 1)
        .wants("web", "v", 1, 1);
    assert_eq!(
        scene.texts(),
        [
            vec!["create container 'web' on vm 'v' with cpu cores=1 and mem_units=1"],
            vec![
                "create container 'lb' on vm 'w' with cpu cores=1 and mem_units=1",
                "run tier hook for container 'lb' on vm 'v'"
            ],
            vec!["run scale hook for container 'lb' on vm 'w'"],
            vec!["run tier hook for container 'lb' on vm 'w'"],
        ]
    );
}

#[test]
fn a_container_that_goes_gets_no_hook() {
    let scene = Scene::new()
        .vm("v", 4, 4)
        .needs("lb", "web")
        .tier_hook("lb", "reload")
        .scale_hook("lb", "workers")
        .runs("lb", "v", 1, 1)
        .runs("web", "v", 1, 1);
    let texts = scene.texts();
    assert!(
        texts.iter().flatten().all(|text| text.starts_with("delete")),
        "{texts:#?}"
    );
}
