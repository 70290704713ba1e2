//! The checker finds what it is there to find.

use super::*;
use crate::translate::{Action, Interrupt};

/// A scene with a bit of everything.
fn scene() -> Scene {
    Scene::new()
        .vm("v", 4, 4)
        .old_vm("w", 4, 4)
        .new_vm("x", 4, 4)
        .needs("web", "db")
        .needs("old_web", "old_db")
        .tier_hook("web", "tell")
        .scale_hook("db", "fit")
        .runs("db", "v", 2, 2)
        .wants("db", "x", 3, 3)
        .runs("web", "w", 2, 2)
        .wants("web", "v", 3, 3)
        .runs("old_db", "v", 1, 1)
        .runs("old_web", "v", 1, 1)
}

fn breaches(change: impl FnOnce(&mut Translation)) -> Vec<String> {
    let scene = scene();
    let mut translation = scene.translation();
    change(&mut translation);
    check::breaches(&scene.topology, &scene.from, &scene.to, &translation)
}

/// Moves the action with this beginning to another stage.
fn reschedule(translation: &mut Translation, beginning: &str, stage: usize) {
    let action = take(translation, beginning);
    translation.stages[stage].push(action);
}

fn take(translation: &mut Translation, beginning: &str) -> Action {
    for stage in &mut translation.stages {
        if let Some(index) = stage
            .iter()
            .position(|action| action.to_string().starts_with(beginning))
        {
            return stage.remove(index);
        }
    }
    panic!("no {beginning} in {}", show(translation));
}

#[test]
fn no_action_can_be_left_out() {
    let count = scene().translation().stages.iter().flatten().count();
    for index in 0..count {
        let found = breaches(|translation| {
            let mut left = index;
            for stage in &mut translation.stages {
                if left < stage.len() {
                    stage.remove(left);
                    return;
                }
                left -= stage.len();
            }
        });
        assert!(!found.is_empty(), "action {index} is not missed");
    }
}

#[test]
fn no_two_neighbouring_stages_can_be_made_one_where_that_would_break_a_rule() {
    // Compaction left no needless stage, so that every merger breaks something.
    let stages = scene().translation().stages.len();
    for index in 1..stages {
        let found = breaches(|translation| {
            let merged = translation.stages.remove(index);
            translation.stages[index - 1].extend(merged);
        });
        assert!(!found.is_empty(), "stages {} and {index} can be one", index - 1);
    }
}

#[test]
fn stopping_before_starting_is_found() {
    let found = breaches(|translation| reschedule(translation, "delete container 'db'", 1));
    assert!(
        found.iter().any(|text| text.contains("interrupted are")),
        "{found:#?}"
    );
}

#[test]
fn a_container_too_many_at_one_moment_is_found() {
    let found = breaches(|translation| reschedule(translation, "create container 'web'", 1));
    assert!(
        found.iter().any(|text| text.contains("may be in use")),
        "{found:#?}"
    );
    assert!(found.iter().any(|text| text.contains("same core")), "{found:#?}");
}

#[test]
fn a_dependency_removed_too_early_is_found() {
    let found = breaches(|translation| reschedule(translation, "delete container 'old_db'", 1));
    assert!(
        found.iter().any(|text| text.contains("which needs it")),
        "{found:#?}"
    );
}

#[test]
fn a_hook_that_runs_twice_or_too_early_is_found() {
    let found = breaches(|translation| {
        // The last one: that before is told of what goes.
        translation.stages.reverse();
        let hook = take(translation, "run tier hook");
        translation.stages.reverse();
        let deletes = |stage: &Vec<Action>| {
            let mut texts = stage.iter().map(ToString::to_string);
            texts.any(|text| text.starts_with("delete container 'db'"))
        };
        let stage = translation.stages.iter().position(deletes).unwrap();
        translation.stages[stage].push(hook);
    });
    assert!(found.iter().any(|text| text.contains("tier hook")), "{found:#?}");
    let found = breaches(|translation| {
        let hook = take(translation, "run scale hook");
        translation.stages[3].push(hook.clone());
        translation.stages[4].push(hook);
    });
    assert!(found.iter().any(|text| text.contains("scale hook")), "{found:#?}");
}

#[test]
fn an_interruption_that_does_not_happen_is_found() {
    let found = breaches(|translation| {
        translation.interrupts.push(Interrupt {
            tier: tier_id("db"),
            reason: "none".into(),
        });
    });
    assert_eq!(found.len(), 1, "{found:#?}");
}
