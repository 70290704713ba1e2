//! Many tiers on many VMs.

use super::*;
use crate::model::{Handover, RevisionId};
use crate::translate::Action;

/// `count` tiers on as many VMs; all of them are replanned.
fn large(count: usize) -> Scene {
    let mut scene = Scene::new();
    for index in 0..count {
        scene = scene.vm(&format!("vm{index:04}"), 8, 16);
        let tier = format!("t{index:04}");
        scene.spec(&tier);
        if index % 3 != 0 {
            scene = scene.needs(&tier, &format!("t{:04}", index - 1));
        }
        if index % 5 == 0 {
            scene = scene.scale_hook(&tier, "fit").tier_hook(&tier, "tell");
        }
    }
    for index in 0..count {
        let tier = format!("t{index:04}");
        let vm = |offset: usize| format!("vm{:04}", (index * 7 + offset) % count);
        // Full before and after; every tier grows somewhere, shrinks somewhere and moves somewhere.
        scene = scene
            .runs(&tier, &vm(0), 4, 8)
            .runs(&tier, &vm(count / 3), 2, 4)
            .runs(&tier, &vm(count / 2), 2, 4)
            .wants(&tier, &vm(0), 2, 4)
            .wants(&tier, &vm(count / 3), 4, 8)
            .wants(&tier, &vm(count / 4), 2, 4);
    }
    scene
}

#[test]
fn a_thousand_tiers_on_a_thousand_vms_are_replanned() {
    let scene = large(1_000);
    let translation = scene.translation();
    assert!(translation.interrupts.is_empty());
    assert!(translation.stages.iter().flatten().count() > 4_000);
}

#[test]
fn a_thousand_tiers_that_all_move_between_nearly_full_vms_are_replanned() {
    // Every tier has one container, and is moved to where another is now. One VM is free.
    let count = 1_000;
    let mut scene = Scene::new();
    for index in 0..=count {
        scene = scene.vm(&format!("vm{index:04}"), 2, 2);
    }
    for index in 0..count {
        let tier = format!("t{index:04}");
        scene = scene.runs(&tier, &format!("vm{index:04}"), 2, 2).wants(
            &tier,
            &format!("vm{:04}", index + 1),
            2,
            2,
        );
    }
    assert_eq!(scene.interrupted(), Vec::<String>::new());
}

#[test]
fn a_large_knot_ends_within_the_bounds_of_the_search() {
    // A ring of pairs that compete for each other's places, with no room at all.
    let count = 300;
    let mut scene = Scene::new();
    for index in 0..count {
        scene = scene.vm(&format!("vm{index:04}"), 4, 4);
    }
    for index in 0..count {
        for (part, offset) in [("a", 1), ("b", 7), ("c", 11), ("d", 29)] {
            let tier = format!("t{index:04}{part}");
            scene = scene.runs(&tier, &format!("vm{index:04}"), 1, 1).wants(
                &tier,
                &format!("vm{:04}", (index + offset) % count),
                1,
                1,
            );
        }
    }
    assert!(!scene.interrupted().is_empty());
}

/// Ten thousand tiers on two thousand VMs: half of them shrink, then the other half grows into what that left, and the
/// hooks of all of them run. And a tier on a thousand more VMs, rolled out one by one.
fn ready_made() -> (Scene, Translation) {
    let mut scene = Scene::new().quota();
    for index in 0..2_000 {
        // As many cores as are in use at first.
        scene = scene.vm(&format!("vm{index:04}"), 13, 5);
    }
    let (mut shrink, mut grow, mut hooks) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..10_000 {
        let (tier, vm) = (format!("t{index:05}"), format!("vm{:04}", index % 2_000));
        let shrinks = (index / 2_000) % 2 == 0;
        let (was, is) = if shrinks { (3, 2) } else { (2, 3) };
        scene = scene
            .scale_hook(&tier, "fit")
            .port(&tier, 8_000 + (index / 2_000) as u16)
            .runs(&tier, &vm, was, 1)
            .wants(&tier, &vm, is, 1);
        let (vm, container) = (vm_id(&vm), tier_id(&tier));
        let stage = if shrinks { &mut shrink } else { &mut grow };
        stage.push(Action::UpdateContainer {
            vm: vm.clone(),
            container: container.clone(),
            size: Size::new(is, 1),
            cores: CoreSet::default(),
            was: Size::new(was, 1),
            was_cores: CoreSet::default(),
        });
        hooks.push(Action::RunScaleHook {
            vm,
            container,
            hooks: vec![HookName("fit".into())],
        });
    }
    let mut stages = vec![shrink, grow, hooks];
    let (old, new) = (RevisionId::new("old"), RevisionId::new("new"));
    scene.spec("web");
    for index in 0..1_000 {
        let vm = format!("web{index:04}");
        scene = scene.vm(&vm, 2, 2).runs("web", &vm, 1, 1).wants("web", &vm, 1, 1);
        for (side, revision) in [(&mut scene.from, &old), (&mut scene.to, &new)] {
            let held = side
                .vms
                .get_mut(vm.as_str())
                .unwrap()
                .used
                .get_mut("web")
                .unwrap();
            held.revision = Some(revision.clone());
        }
        stages.push(vec![Action::ReplaceContainer {
            vm: vm_id(&vm),
            container: tier_id("web"),
            size: Size::new(1, 1),
            cores: CoreSet::default(),
            was_cores: CoreSet::default(),
            handover: Handover::StartFirst,
            revision: new.clone(),
            was_revision: old.clone(),
            moved: Vec::new(),
            digest: None,
            hooks: Vec::new(),
        }]);
    }
    let translation = Translation {
        stages,
        interrupts: Vec::new(),
        target: scene.to.clone(),
    };
    (scene, translation)
}

#[test]
fn ten_thousand_tiers_are_checked() {
    let (scene, mut translation) = ready_made();
    let check =
        |translation: &Translation| check::breaches(&scene.topology, &scene.from, &scene.to, translation);
    let began = std::time::Instant::now();
    assert_eq!(check(&translation), Vec::<String>::new());
    let actions = translation.stages.iter().flatten().count();
    println!(
        "{actions} actions in {} stages: {:?}",
        translation.stages.len(),
        began.elapsed()
    );
    // Growing first is too much for every VM.
    translation.stages.swap(0, 1);
    assert_eq!(check(&translation).len(), 2_000);
}
