//! Containers made from an earlier revision of their tier.

use super::*;
use crate::model::{RevisionId, Revisions};
use crate::translate::{Action, Interrupt};

const OLD: &str = "old";
const NEW: &str = "new";

impl Scene {
    /// Every tier is at a new revision; what runs was made from an earlier one, which published these ports.
    pub(super) fn outdated(mut self, earlier: &[(&str, u16)]) -> Self {
        let tiers = self.topology.tiers.clone();
        let current = tiers.keys().map(|id| (id.clone(), revision(id, NEW))).collect();
        let before = tiers.values().map(|tier| {
            let mut was = tier.clone();
            for (_, port) in earlier.iter().filter(|(name, _)| *name == tier.id.as_str()) {
                was.ports = ports(*port);
            }
            (revision(&tier.id, OLD), was)
        });
        self.topology.revisions = Revisions::new(current, before.collect());
        for (side, which) in [(&mut self.from, OLD), (&mut self.to, NEW)] {
            for (tier, held) in side.vms.values_mut().flat_map(|vm| &mut vm.used) {
                held.revision = Some(revision(tier, which));
            }
        }
        self
    }

    /// What runs of a tier is up to date.
    pub(super) fn current(mut self, name: &str) -> Self {
        for (tier, held) in self.from.vms.values_mut().flat_map(|vm| &mut vm.used) {
            if tier.as_str() == name {
                held.revision = Some(revision(tier, NEW));
            }
        }
        self
    }

    fn at_once(mut self, name: &str, most: u32) -> Self {
        self.spec(name).max_unavailable = most;
        self
    }
}

fn ports(host: u16) -> Vec<crate::model::topology::PortBinding> {
    vec![crate::model::topology::PortBinding {
        address: None,
        host,
        container: 80,
        protocol: crate::model::topology::Protocol::Tcp,
    }]
}

fn revision(tier: &TierId, which: &str) -> RevisionId {
    RevisionId::new(&format!("{tier}-{which}"))
}

/// The stages, with how each replacement is done.
pub(super) fn told(scene: &Scene) -> (Vec<Vec<String>>, Vec<Interrupt>) {
    let translation = translate(&scene.topology, &scene.from, &scene.to);
    let breaches = check::breaches(&scene.topology, &scene.from, &scene.to, &translation);
    assert!(breaches.is_empty(), "{breaches:#?}\n{}", show(&translation));
    let text = |action: &Action| match action {
        Action::ReplaceContainer {
            vm,
            container,
            handover,
            ..
        } => format!("{handover:?} {container} {vm}"),
        Action::CreateContainer { vm, container, .. } => format!("create {container} {vm}"),
        Action::DeleteContainer { vm, container, .. } => format!("delete {container} {vm}"),
        Action::UpdateContainer { vm, container, .. } => format!("update {container} {vm}"),
        Action::RunScaleHook { vm, container, .. } => format!("scale {container} {vm}"),
        Action::RunTierHook { vm, container, .. } => format!("tell {container} {vm}"),
        other => other.to_string(),
    };
    let stages = translation.stages.iter();
    let stages = stages.map(|stage| stage.iter().map(text).collect()).collect();
    (stages, translation.interrupts)
}

#[test]
fn what_is_outdated_is_replaced_beside_the_old_one_where_there_is_room() {
    let scene = Scene::new()
        .vm("v1", 2, 2)
        .runs("web", "v1", 1, 1)
        .wants("web", "v1", 1, 1);
    assert_eq!(told(&scene).0, Vec::<Vec<String>>::new());
    let scene = scene.outdated(&[]);
    assert_eq!(told(&scene), (vec![vec!["StartFirst web v1".to_owned()]], vec![]));
    let text = translate(&scene.topology, &scene.from, &scene.to).stages[0][0].to_string();
    assert_eq!(
        text,
        "replace container 'web' on vm 'v1' with cpu cores=1 and mem_units=1"
    );
    assert_eq!(told(&scene.current("web")).0, Vec::<Vec<String>>::new());
}

#[test]
fn without_room_the_old_one_stops_first_and_that_is_told() {
    let scene = Scene::new()
        .vm("v1", 1, 1)
        .runs("web", "v1", 1, 1)
        .wants("web", "v1", 1, 1);
    let (stages, interrupts) = told(&scene.outdated(&[]));
    assert_eq!(stages, [["StopFirst web v1"]]);
    let reason = &interrupts[0].reason;
    assert!(reason.contains("'v1' lacks 1 core and 1 mem_unit"), "{reason}");
}

#[test]
fn a_port_in_common_keeps_the_successor_from_starting_beside_the_old_one() {
    let scene = || {
        let scene = Scene::new().vm("v1", 4, 4).vm("v2", 4, 4).port("web", 80);
        scene.runs("web", "v1", 1, 1).wants("web", "v1", 1, 1)
    };
    let (stages, interrupts) = told(&scene().outdated(&[]));
    assert_eq!(stages, [["StopFirst web v1"]]);
    assert!(
        interrupts[0].reason.contains("both publish port 80/tcp"),
        "{interrupts:?}"
    );
    // One after the other where there are two, so that one is up.
    let two = scene().runs("web", "v2", 1, 1).wants("web", "v2", 1, 1);
    let each = vec![
        vec!["StopFirst web v1".to_owned()],
        vec!["StopFirst web v2".to_owned()],
    ];
    assert_eq!(told(&two.clone().outdated(&[])), (each.clone(), vec![]));
    assert_eq!(told(&two.at_once("web", 2).outdated(&[])), (each, vec![]));
    // Another port is in nobody's way.
    assert_eq!(told(&scene().outdated(&[("web", 81)])).0, [["StartFirst web v1"]]);
}

#[test]
fn as_many_are_replaced_at_once_as_may_be_down() {
    let mut scene = Scene::new().at_once("web", 2);
    for vm in ["v1", "v2", "v3"] {
        scene = scene.vm(vm, 2, 2).runs("web", vm, 1, 1).wants("web", vm, 1, 1);
    }
    let (stages, _) = told(&scene.outdated(&[]));
    assert_eq!(
        stages,
        [
            vec!["StartFirst web v1", "StartFirst web v2"],
            vec!["StartFirst web v3"]
        ]
    );
}

#[test]
fn dependents_follow_their_dependencies_and_hooks_come_after_each_batch() {
    let mut scene = Scene::new()
        .needs("web", "db")
        .tier_hook("web", "tell")
        .scale_hook("db", "fit");
    scene = scene.vm("v1", 3, 3).vm("v2", 3, 3);
    for (tier, vm) in [("db", "v1"), ("db", "v2"), ("web", "v1")] {
        scene = scene.runs(tier, vm, 1, 1).wants(tier, vm, 1, 1);
    }
    let (stages, interrupts) = told(&scene.clone().outdated(&[]));
    let expected = [
        vec!["StartFirst db v1"],
        vec!["scale db v1", "tell web v1"],
        vec!["StartFirst db v2"],
        vec!["scale db v2", "tell web v1"],
        vec!["StartFirst web v1"],
        vec!["tell web v1"],
    ];
    assert_eq!(
        (stages, interrupts),
        (
            expected
                .map(|s| s.iter().map(ToString::to_string).collect())
                .to_vec(),
            vec![]
        )
    );
}

#[test]
fn a_tier_that_shrinks_to_one_is_replaced_before_it_does() {
    let scene = Scene::new().vm("v1", 2, 2).vm("v2", 2, 2).port("web", 80);
    let scene = scene
        .runs("web", "v1", 1, 1)
        .runs("web", "v2", 1, 1)
        .wants("web", "v1", 1, 1);
    let (stages, interrupts) = told(&scene.outdated(&[]));
    assert_eq!(stages, [["StopFirst web v1"], ["delete web v2"]]);
    assert_eq!(interrupts, []);
}

#[test]
fn a_vm_that_fills_up_has_its_rollout_first() {
    let scene = Scene::new()
        .vm("v1", 2, 2)
        .runs("web", "v1", 1, 1)
        .wants("web", "v1", 1, 1);
    let (stages, interrupts) = told(&scene.wants("job", "v1", 1, 1).outdated(&[]));
    assert_eq!(stages, [["StartFirst web v1"], ["create job v1"]]);
    assert_eq!(interrupts, []);
}

#[test]
fn a_tier_that_grows_is_replaced_when_the_new_ones_run() {
    let scene = Scene::new().vm("v1", 1, 1).vm("v2", 1, 1).port("web", 80);
    let scene = scene
        .runs("web", "v1", 1, 1)
        .wants("web", "v1", 1, 1)
        .wants("web", "v2", 1, 1);
    let (stages, interrupts) = told(&scene.outdated(&[]));
    assert_eq!(stages, [["create web v2"], ["StopFirst web v1"]]);
    assert_eq!(interrupts, []);
}

#[test]
fn tiers_that_swap_ports_are_deleted_and_made_again() {
    let scene = Scene::new().vm("v1", 2, 2).port("a", 80).port("b", 81);
    let scene = scene.runs("a", "v1", 1, 1).runs("b", "v1", 1, 1);
    let scene = scene.wants("a", "v1", 1, 1).wants("b", "v1", 1, 1);
    let (stages, interrupts) = told(&scene.outdated(&[("a", 81), ("b", 80)]));
    let all: Vec<&str> = stages.iter().flatten().map(String::as_str).collect();
    assert!(
        all.contains(&"create a v1") && all.contains(&"create b v1"),
        "{stages:?}"
    );
    assert!(!interrupts.is_empty());
}

#[test]
fn a_port_passes_to_who_comes_after_its_holder_is_replaced() {
    let scene = Scene::new().vm("v1", 2, 2).port("lb", 80);
    let scene = scene.runs("app", "v1", 1, 1);
    let scene = scene.wants("app", "v1", 1, 1).wants("lb", "v1", 1, 1);
    let (stages, interrupts) = told(&scene.outdated(&[("app", 80)]));
    assert_eq!(stages, [["StartFirst app v1"], ["create lb v1"]]);
    assert_eq!(interrupts, []);
}

#[test]
fn ports_pass_along_a_chain_and_the_old_containers_are_kept() {
    let scene = Scene::new()
        .vm("v1", 3, 3)
        .port("a", 81)
        .port("b", 82)
        .port("c", 83);
    let scene = scene
        .runs("a", "v1", 1, 1)
        .runs("b", "v1", 1, 1)
        .runs("c", "v1", 1, 1);
    let scene = scene
        .wants("a", "v1", 1, 1)
        .wants("b", "v1", 1, 1)
        .wants("c", "v1", 1, 1);
    let (stages, interrupts) = told(&scene.outdated(&[("a", 80), ("b", 81), ("c", 82)]));
    // The VM is full: each is stopped, and kept until its successor is up.
    assert_eq!(
        stages,
        [["StopFirst c v1"], ["StopFirst b v1"], ["StopFirst a v1"]]
    );
    let tiers: Vec<&str> = interrupts.iter().map(|one| one.tier.as_str()).collect();
    assert_eq!(tiers, ["a", "b", "c"]);
}

#[test]
fn what_is_outdated_and_does_not_run_is_replaced_and_not_set_going() {
    let mut scene = Scene::new()
        .vm("v1", 2, 2)
        .runs("web", "v1", 1, 1)
        .wants("web", "v1", 1, 1)
        .outdated(&[]);
    scene.from.vms.get_mut("v1").unwrap().stalled.insert("web".into());
    assert_eq!(told(&scene).0, [["StartFirst web v1"]]);
    let mut grows = Scene::new()
        .vm("v1", 2, 2)
        .runs("web", "v1", 1, 1)
        .wants("web", "v1", 2, 2)
        .outdated(&[]);
    grows.from.vms.get_mut("v1").unwrap().stalled.insert("web".into());
    assert_eq!(told(&grows).0, [["delete web v1"], ["create web v1"]]);
}

#[test]
fn what_does_not_run_is_replaced_before_what_does() {
    let scene = Scene::new().vm("v1", 2, 2).vm("v2", 2, 2).port("web", 80);
    let scene = scene
        .runs("web", "v1", 1, 1)
        .runs("web", "v2", 1, 1)
        .wants("web", "v1", 1, 1)
        .wants("web", "v2", 1, 1);
    let mut scene = scene.outdated(&[]);
    scene.from.vms.get_mut("v2").unwrap().stalled.insert("web".into());
    let expected = [["StopFirst web v2"], ["StopFirst web v1"]];
    assert_eq!(told(&scene).0, expected);
    assert_eq!(told(&scene.clone().at_once("web", 2)).0, expected);
    assert_eq!(told(&scene.current("web")).0, [["update web v2"]]);
}

#[test]
fn back_is_as_safe_as_out() {
    let scene = Scene::new().vm("v1", 2, 2).vm("v2", 2, 2).port("web", 80);
    let scene = scene.runs("web", "v1", 1, 1).runs("web", "v2", 1, 1);
    let scene = scene
        .wants("web", "v1", 1, 1)
        .wants("web", "v2", 1, 1)
        .outdated(&[]);
    let half = scene.clone().current("web");
    let back = Scene {
        from: half.from,
        to: scene.from,
        topology: scene.topology,
    };
    assert_eq!(
        told(&back),
        (
            vec![
                vec!["StopFirst web v1".to_owned()],
                vec!["StopFirst web v2".to_owned()]
            ],
            vec![]
        )
    );
}

#[test]
fn a_tag_that_names_another_image_by_now_is_rolled_out() {
    let scene = |port: bool, was: Option<&str>, is: Option<&str>| {
        let scene = Scene::new().vm("v1", 2, 2);
        let scene = if port { scene.port("web", 80) } else { scene };
        let scene = scene.keeps("web", "v1", 1, 1).outdated(&[]).current("web");
        let mut scene = scene;
        for (side, digest) in [(&mut scene.from, was), (&mut scene.to, is)] {
            let vm = side.vms.get_mut("v1").unwrap();
            vm.used.get_mut("web").unwrap().digest = digest.map(str::to_owned);
        }
        scene
    };
    let moved = scene(false, Some("sha256:1"), Some("sha256:2"));
    assert_eq!(told(&moved).0, [["StartFirst web v1"]]);
    let Action::ReplaceContainer {
        digest,
        revision,
        was_revision,
        ..
    } = &moved.translation().stages[0][0]
    else {
        panic!("it is replaced");
    };
    assert_eq!((digest.as_deref(), revision), (Some("sha256:2"), was_revision));
    let interrupts = told(&scene(true, Some("sha256:1"), Some("sha256:2"))).1;
    let reason = &interrupts[0].reason;
    assert!(reason.contains("tag names another image"), "{reason}");
    // Nobody has asked for it, or nobody knows what it was made from.
    for (was, is) in [
        (Some("sha256:1"), None),
        (None, Some("sha256:2")),
        (Some("sha256:1"), Some("sha256:1")),
    ] {
        assert_eq!(told(&scene(false, was, is)).0, Vec::<Vec<String>>::new());
    }
}
