//! Many tiers on many VMs.

use super::*;

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
