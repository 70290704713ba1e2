//! Whether those who use a container are told that it goes before it does, and told nothing that is not so.

use std::collections::BTreeSet;

use crate::model::{Allocation, Handover, TierId, VmId};
use crate::translate::{Action, Place, Stage};

use super::{Check, moment};

impl Check<'_> {
    /// Replays the stages: in each, before what goes in the next.
    pub(super) fn farewells(&mut self, stages: &[Stage]) {
        let mut now = self.from.clone();
        // Nobody can be told before the first stage.
        self.all_told(0, &[], stages.first().map_or(&[][..], Vec::as_slice), &now);
        for (index, stage) in stages.iter().enumerate() {
            let next = stages.get(index + 1).map_or(&[][..], Vec::as_slice);
            let told: Vec<(&VmId, &TierId, &[Place])> = stage
                .iter()
                .filter_map(|action| match action {
                    Action::RunTierHook {
                        vm,
                        container,
                        leaving,
                        ..
                    } if !leaving.is_empty() => Some((vm, container, leaving.as_slice())),
                    _ => None,
                })
                .collect();
            self.all_true(index, &told, next, &now);
            replay(stage, &mut now);
            self.all_told(index + 1, &told, next, &now);
        }
        for (index, action) in stages
            .iter()
            .enumerate()
            .flat_map(|(index, stage)| stage.iter().map(move |action| (index, action)))
        {
            if let Action::DeleteContainer { container, hooks, .. } = action
                && self
                    .topology
                    .tiers
                    .get(container)
                    .map_or(&[][..], |tier| &tier.on_node_stop)
                    != hooks.as_slice()
            {
                self.breach(format!("stage {index}: {action}: not with the tier's own hooks"));
            }
        }
    }

    /// What is told goes in the next stage, and who is told is there.
    fn all_true(
        &mut self,
        index: usize,
        told: &[(&VmId, &TierId, &[Place])],
        next: &[Action],
        now: &Allocation,
    ) {
        for (vm, tier, leaving) in told {
            if now.container(vm, tier).is_none() {
                self.breach(format!("stage {index}: {tier} on {vm} is told, and is not there"));
            }
            for place in *leaving {
                if !goes(next, &place.vm, &place.container) {
                    self.breach(format!(
                        "stage {index}: {} on {} is said to go, and does not",
                        place.container, place.vm
                    ));
                }
            }
        }
    }

    /// Where some containers of a tier go in a stage and others stay, each container that uses the tier was told.
    fn all_told(
        &mut self,
        index: usize,
        told: &[(&VmId, &TierId, &[Place])],
        next: &[Action],
        now: &Allocation,
    ) {
        let mut gone: BTreeSet<(&TierId, &VmId)> = BTreeSet::new();
        for action in next {
            match action {
                Action::DeleteContainer {
                    vm, container, was, ..
                } if *was != crate::model::Size::ZERO => drop(gone.insert((container, vm))),
                Action::ReplaceContainer {
                    vm,
                    container,
                    handover: Handover::StopFirst,
                    ..
                } => drop(gone.insert((container, vm))),
                _ => {}
            }
        }
        for (tier, vm) in &gone {
            let going = gone.iter().filter(|(other, _)| other == tier).count();
            if now.places(tier).count() <= going {
                continue;
            }
            for user in self.topology.dependents(tier) {
                if user.on_dependency_scale.is_none() {
                    continue;
                }
                for (place, _) in now.places(&user.id) {
                    let heard = told.iter().any(|(at, who, leaving)| {
                        *at == place
                            && **who == user.id
                            && leaving
                                .iter()
                                .any(|one| one.vm == **vm && one.container == **tier)
                    });
                    if !heard && !goes(next, place, &user.id) {
                        self.breaches.push(format!(
                            "stage {index}: {tier} goes from {vm}, and {} on {place} was not told before",
                            user.id
                        ));
                    }
                }
            }
        }
    }
}

fn goes(stage: &[Action], on: &VmId, tier: &TierId) -> bool {
    stage.iter().any(|action| match action {
        Action::DeleteContainer { vm, container, .. }
        | Action::ReplaceContainer {
            vm,
            container,
            handover: Handover::StopFirst,
            ..
        } => vm == on && container == tier,
        _ => false,
    })
}

fn replay(stage: &Stage, now: &mut Allocation) {
    for action in stage {
        let Some(tier) = action.container() else {
            if let Action::CreateVm { vm } = action {
                now.vms
                    .entry(vm.clone())
                    .or_insert_with(|| crate::model::Vm::empty(None, crate::model::Size::ZERO));
            }
            continue;
        };
        let Some(vm) = now.vms.get_mut(action.vm()) else {
            continue;
        };
        if let Some(new) = moment::outcome(action, vm.used.get(tier)) {
            vm.used.insert(tier.clone(), new);
        } else if matches!(action, Action::DeleteContainer { .. }) {
            vm.used.remove(tier);
        }
    }
}
