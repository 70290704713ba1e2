//! Whether those who use a container are told that it goes before it does, and told nothing that is not so.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::{Handover, Size};
use crate::translate::Action;

use super::scene::{TierNo, VmNo};
use super::{Check, Step};

/// A container.
type Place = (TierNo, VmNo);

/// Who is told in a stage that which container goes.
pub(super) type Told = HashSet<(Place, Place)>;

/// Whether a container goes down before its successor is up.
fn stops_first(action: &Action) -> bool {
    matches!(
        action,
        Action::ReplaceContainer {
            handover: Handover::StopFirst,
            ..
        }
    )
}

/// What a stage removes or stops.
fn going(steps: Option<&Vec<Step>>) -> HashSet<Place> {
    let steps = steps.into_iter().flatten();
    steps
        .filter(|step| matches!(step.action, Action::DeleteContainer { .. }) || stops_first(step.action))
        .filter_map(|step| Some((step.tier?, step.vm)))
        .collect()
}

impl<'a> Check<'a> {
    /// Before the first stage nobody can be told anything.
    pub(super) fn nobody_was_told(&mut self, first: Option<&Vec<Step<'a>>>) {
        self.all_told(0, &Told::new(), first);
    }

    /// Who is told what in a stage: it goes in the next one, and who is told is there. What goes is told its own hooks.
    pub(super) fn told(&mut self, steps: &[Step<'a>], index: usize, next: Option<&Vec<Step<'a>>>) -> Told {
        let mut told = Told::new();
        let mut goes = None;
        for step in steps {
            let Some(tier) = step.tier else { continue };
            match step.action {
                Action::RunTierHook { leaving, .. } if !leaving.is_empty() => {
                    let goes = goes.get_or_insert_with(|| going(next));
                    let machine = self.machines.get(step.vm);
                    if machine.is_none_or(|machine| !machine.used.contains_key(&tier)) {
                        self.breaches.push(format!(
                            "stage {index}: {}: it is told, and is not there",
                            step.action
                        ));
                    }
                    for place in leaving {
                        let number = self
                            .numbers
                            .tier(&place.container)
                            .zip(self.numbers.vm(&place.vm));
                        match number.filter(|number| goes.contains(number)) {
                            Some(number) => {
                                told.insert(((tier, step.vm), number));
                            }
                            None => self.breaches.push(format!(
                                "stage {index}: {} on {} is said to go, and does not",
                                place.container, place.vm
                            )),
                        }
                    }
                }
                Action::DeleteContainer { hooks, .. } => {
                    let spec = self.tiers.get(tier).and_then(|member| member.spec);
                    if spec.map_or(&[][..], |spec| &spec.on_node_stop) != hooks.as_slice() {
                        self.breach(format!(
                            "stage {index}: {}: not with the tier's own hooks",
                            step.action
                        ));
                    }
                }
                _ => {}
            }
        }
        told
    }

    /// Where some containers of a tier go in a stage and others stay, each container that uses the tier was told.
    pub(super) fn all_told(&mut self, index: usize, told: &Told, next: Option<&Vec<Step<'a>>>) {
        let mut gone: BTreeMap<TierNo, BTreeSet<VmNo>> = BTreeMap::new();
        for step in next.into_iter().flatten() {
            let goes = match step.action {
                Action::DeleteContainer { was, .. } => *was != Size::ZERO,
                action => stops_first(action),
            };
            if let Some(tier) = step.tier.filter(|_| goes) {
                gone.entry(tier).or_default().insert(step.vm);
            }
        }
        let goes = going(next);
        let mut breaches = Vec::new();
        for (tier, vms) in &gone {
            let Some(member) = self.tiers.get(*tier).filter(|member| member.now > vms.len()) else {
                continue;
            };
            for user in &member.users {
                let Some(listener) = self.tiers.get(*user) else {
                    continue;
                };
                for place in listener.places.iter().flatten() {
                    let place = (*user, *place);
                    let deaf = |vm: &&VmNo| !told.contains(&(place, (*tier, **vm)));
                    let missed = vms.iter().find(deaf);
                    if let Some(machine) = missed.and_then(|vm| self.machines.get(*vm))
                        && !goes.contains(&place)
                    {
                        breaches.push(format!(
                            "stage {index}: {} goes from {}, and a container of {} was not told before",
                            member.id, machine.id, listener.id
                        ));
                    }
                }
            }
        }
        self.breaches.extend(breaches);
    }
}
