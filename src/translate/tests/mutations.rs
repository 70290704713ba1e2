//! Good translations spoilt at random: the checker finds what the slow one finds.

use proptest::prelude::*;

use super::random::{self, Bounds, SMALL, TINY};
use super::random_rollouts::some_outdated;
use super::*;
use crate::model::Handover;
use crate::translate::{Action, Interrupt, Stage};

/// Where numbers come from that choose what is spoilt.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        // Knuth's multiplier for linear congruences.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below.max(1)
    }
}

/// Takes an action out.
fn taken(stages: &mut [Stage], dice: &mut Dice) -> Option<(usize, Action)> {
    let at = dice.next(stages.len());
    let stage = stages.get_mut(at).filter(|stage| !stage.is_empty())?;
    Some((at, stage.remove(dice.next(stage.len()))))
}

fn resized(action: &mut Action, dice: &mut Dice) {
    let other = |size: &mut Size, dice: &mut Dice| {
        *size = Size::new(1 + dice.next(4) as u32, 1 + dice.next(4) as u64);
    };
    match action {
        Action::CreateContainer { size, cores, .. } | Action::UpdateContainer { size, cores, .. } => {
            match dice.next(3) {
                0 => other(size, dice),
                1 => cores.0.clear(),
                _ => {
                    cores.0.insert(dice.next(5) as u32);
                }
            }
        }
        Action::ReplaceContainer {
            size,
            cores,
            handover,
            revision,
            was_revision,
            ..
        } => match dice.next(4) {
            0 => {
                *handover = match handover {
                    Handover::StartFirst => Handover::StopFirst,
                    Handover::StopFirst => Handover::StartFirst,
                }
            }
            1 => std::mem::swap(revision, was_revision),
            2 => other(size, dice),
            _ => {
                cores.0.insert(dice.next(5) as u32);
            }
        },
        Action::DeleteContainer { was, hooks, .. } => match dice.next(2) {
            0 => other(was, dice),
            _ => hooks.push(HookName("other".into())),
        },
        Action::RunScaleHook { hooks, .. } => hooks.push(HookName("other".into())),
        Action::RunTierHook { leaving, .. } => {
            if leaving.pop().is_none() {
                leaving.push(crate::translate::Place {
                    vm: vm_id("v0"),
                    container: tier_id("t0"),
                });
            }
        }
        Action::CreateVm { vm } | Action::DeleteVm { vm } => *vm = vm_id("v1"),
    }
}

/// Spoils a translation in one way, and says how.
fn spoilt(translation: &mut Translation, dice: &mut Dice) -> &'static str {
    let stages = &mut translation.stages;
    match dice.next(9) {
        0 => {
            taken(stages, dice);
            "an action is left out"
        }
        1 => {
            if let Some((_, action)) = taken(stages, dice) {
                let to = dice.next(stages.len());
                stages[to].push(action);
            }
            "an action is moved"
        }
        2 => {
            if let Some((at, action)) = taken(stages, dice) {
                stages[at].push(action.clone());
                let to = dice.next(stages.len());
                stages[to].push(action);
            }
            "an action is done twice"
        }
        3 if stages.len() > 1 => {
            let at = dice.next(stages.len() - 1);
            let next = stages.remove(at + 1);
            stages[at].extend(next);
            "two stages are one"
        }
        4 if stages.len() > 1 => {
            let (one, other) = (dice.next(stages.len()), dice.next(stages.len()));
            stages.swap(one, other);
            "two stages are swapped"
        }
        5 => {
            if let Some((at, mut action)) = taken(stages, dice) {
                resized(&mut action, dice);
                stages[at].push(action);
            }
            "an action says something else"
        }
        6 => {
            if translation.interrupts.pop().is_none() {
                translation.interrupts.push(Interrupt {
                    tier: tier_id("t0"),
                    reason: "none".into(),
                });
            }
            "the interruptions are others"
        }
        7 if !stages.is_empty() => {
            let at = dice.next(stages.len());
            stages.remove(at);
            "a stage is left out"
        }
        _ => {
            if let Some((at, action)) = taken(stages, dice) {
                stages.insert(at, vec![action]);
            }
            "an action has a stage of its own"
        }
    }
}

/// Spoils the translation of a scene again and again; both checkers have to agree each time.
fn agree(scene: &Scene) -> Result<(), TestCaseError> {
    let good = translate(&scene.topology, &scene.from, &scene.to);
    let mut dice = Dice(good.stages.iter().flatten().count() as u64 + 1);
    for _ in 0..12 {
        let mut translation = good.clone();
        let mut ways = vec![spoilt(&mut translation, &mut dice)];
        if dice.next(3) == 0 {
            ways.push(spoilt(&mut translation, &mut dice));
        }
        let fast = check::breaches(&scene.topology, &scene.from, &scene.to, &translation);
        let slow = reference::breaches(&scene.topology, &scene.from, &scene.to, &translation);
        prop_assert_eq!(
            fast.is_empty(),
            slow.is_empty(),
            "{:?}\nfast: {:#?}\nslow: {:#?}\n{}\n{:#?}",
            ways,
            fast,
            slow,
            show(&translation),
            scene
        );
    }
    Ok(())
}

#[test]
fn what_is_spoilt_in_a_translation_is_found() {
    random::each(1_500, SMALL, agree);
    random::each(1_500, TINY, agree);
}

#[test]
fn what_is_spoilt_in_a_rollout_is_found() {
    let middling = Bounds {
        vms: 5,
        tiers: 6,
        cores: 5,
        mem: 5,
        attempts: 24,
    };
    random::each_of(2_000, middling, some_outdated, agree);
}

#[test]
fn what_is_spoilt_between_full_vms_is_found() {
    let tight = Bounds {
        vms: 4,
        tiers: 6,
        cores: 2,
        mem: 2,
        attempts: 8,
    };
    random::each_of(1_500, tight, random::moving, agree);
}

#[test]
fn most_of_what_is_spoilt_breaks_a_rule() {
    // The test above would agree on nothing, too, if nothing were ever spoilt.
    let (mut tried, mut found) = (0, 0);
    let tally = std::cell::RefCell::new((&mut tried, &mut found));
    random::each(300, SMALL, |scene| {
        let good = translate(&scene.topology, &scene.from, &scene.to);
        let mut dice = Dice(1);
        for _ in 0..8 {
            let mut translation = good.clone();
            spoilt(&mut translation, &mut dice);
            let breaches = check::breaches(&scene.topology, &scene.from, &scene.to, &translation);
            let mut tally = tally.borrow_mut();
            *tally.0 += 1;
            *tally.1 += usize::from(!breaches.is_empty());
        }
        Ok(())
    });
    assert!(found * 2 > tried, "{found} of {tried}");
}
