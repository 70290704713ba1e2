//! Which hooks run, and after which stage; `farewell` adds those before a removal.
//!
//! A hook comes one stage after the last change that is a reason for it, and one stage after each batch of a rollout; it may run beside later
//! actions on other containers. One that is owed from an earlier execution runs without a change,
//! unless the target owes it, too: undoing an execution does not make up for those before it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Allocation, Size, TierId, Topology, VmId};

use super::action::Action;

/// Adds hooks to stages of container actions.
pub(super) fn add(topology: &Topology, from: &Allocation, to: &Allocation, stages: &mut Vec<Vec<Action>>) {
    let mut after_change: BTreeMap<TierId, usize> = BTreeMap::new();
    let mut after_touch: BTreeMap<(TierId, VmId), usize> = BTreeMap::new();
    // After each batch of a rollout others are told, and a replaced container knows nothing yet.
    let mut after_batches: BTreeMap<TierId, BTreeSet<usize>> = BTreeMap::new();
    let mut replaced: BTreeSet<(TierId, VmId)> = BTreeSet::new();
    let mut first_seen: BTreeMap<(TierId, VmId), usize> = BTreeMap::new();
    for (index, stage) in stages.iter().enumerate() {
        for action in stage {
            let Some(tier) = action.container() else { continue };
            // Those that are already there are no change themselves.
            if matches!(action, Action::RunTierHook { .. }) {
                continue;
            }
            after_change.insert(tier.clone(), index + 1);
            if matches!(action, Action::ReplaceContainer { .. }) {
                after_batches.entry(tier.clone()).or_default().insert(index + 1);
                replaced.insert((tier.clone(), action.vm().clone()));
            }
            if matches!(action, Action::CreateContainer { .. }) {
                first_seen.insert((tier.clone(), action.vm().clone()), index + 1);
            }
            if !matches!(action, Action::DeleteContainer { .. }) {
                after_touch.insert((tier.clone(), action.vm().clone()), index + 1);
            }
        }
    }
    // A hook that is owed from before needs no change to follow.
    let owed = |side: &Allocation, vm: &VmId, tier: &TierId| {
        let held = side.container(vm, tier);
        held.map(|held| held.owed).unwrap_or_default()
    };
    for (vm, held) in &to.vms {
        for tier in held.used.keys() {
            if owed(from, vm, tier).scale && !owed(to, vm, tier).scale {
                after_touch.entry((tier.clone(), vm.clone())).or_insert(0);
            }
        }
    }
    let mut hooks: Vec<(usize, Action)> = Vec::new();
    for ((tier, vm), stage) in &mut after_touch {
        let Some(spec) = topology.tiers.get(tier) else {
            continue;
        };
        if spec.on_node_scale.is_empty() {
            continue;
        }
        let hook = Action::RunScaleHook {
            vm: vm.clone(),
            container: tier.clone(),
            hooks: spec.on_node_scale.clone(),
        };
        hooks.push((*stage, hook));
        *stage += 1;
    }
    let places = (Places::of(from), Places::of(to));
    let changed = |tier: &TierId| places.0.of_tier(tier).ne(places.1.of_tier(tier));
    for (id, spec) in &topology.tiers {
        let Some(hook) = &spec.on_dependency_scale else {
            continue;
        };
        let dependencies = spec.depends_on.iter();
        let reasons: Vec<&TierId> = dependencies.filter(|other| changed(other)).collect();
        let about = if reasons.is_empty() {
            spec.depends_on.iter().collect()
        } else {
            reasons.clone()
        };
        let after = about.iter().filter_map(|other| after_change.get(*other));
        let after = after.copied().max().unwrap_or(0);
        let batches: BTreeSet<usize> = spec
            .depends_on
            .iter()
            .filter_map(|other| after_batches.get(other))
            .flatten()
            .copied()
            .collect();
        for (vm, _) in places.1.of_tier(id) {
            let missed = owed(from, vm, id).tier;
            let place = (id.clone(), (*vm).clone());
            let own = after_touch.get(&place).copied().unwrap_or(0);
            // What happens in the middle of a rollout is told what follows.
            let first = first_seen.get(&place).map_or(0, |_| own);
            let mut due: BTreeSet<usize> = batches.iter().copied().filter(|batch| *batch >= first).collect();
            if !reasons.is_empty() || (missed.is_some() && missed != owed(to, vm, id).tier) {
                due.insert(after.max(own));
            }
            if replaced.contains(&place) && !spec.depends_on.is_empty() {
                due.insert(own);
            }
            // One that is created after the whole rollout is told of it once.
            if due.is_empty() && !batches.is_empty() {
                due.insert(own);
            }
            for stage in due {
                let hook = Action::RunTierHook {
                    vm: (*vm).clone(),
                    container: id.clone(),
                    hook: hook.clone(),
                    leaving: Vec::new(),
                };
                hooks.push((stage, hook));
            }
        }
    }
    for (stage, hook) in hooks {
        if stages.len() <= stage {
            stages.resize_with(stage + 1, Vec::new);
        }
        if let Some(stage) = stages.get_mut(stage) {
            stage.push(hook);
        }
    }
    // A tier hook may come two stages after the last one, after a scale hook.
    stages.retain(|stage| !stage.is_empty());
}

/// Where each tier is, and with what.
struct Places<'a>(BTreeMap<&'a TierId, BTreeSet<(&'a VmId, Size)>>);

impl<'a> Places<'a> {
    fn of(allocation: &'a Allocation) -> Self {
        let mut places: BTreeMap<&TierId, BTreeSet<(&VmId, Size)>> = BTreeMap::new();
        for (id, vm) in &allocation.vms {
            for (tier, container) in &vm.used {
                places.entry(tier).or_default().insert((id, container.size));
            }
        }
        Self(places)
    }

    fn of_tier(&self, tier: &TierId) -> impl Iterator<Item = &(&'a VmId, Size)> {
        self.0.get(tier).into_iter().flatten()
    }
}
