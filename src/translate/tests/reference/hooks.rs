//! Whether each hook runs exactly once, and not too early.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Allocation, Owed, Size, TierId, VmId};
use crate::translate::{Action, Stage};

use super::Check;

type Place<'a> = (&'a VmId, &'a TierId);

/// Where a tier is and with what.
fn picture<'a>(allocation: &'a Allocation, tier: &'a TierId) -> BTreeSet<(&'a VmId, Size)> {
    allocation
        .places(tier)
        .map(|(vm, container)| (vm, container.size))
        .collect()
}

impl Check<'_> {
    pub(super) fn hooks(&mut self, stages: &[Stage]) {
        let mut touched: BTreeMap<Place, usize> = BTreeMap::new();
        let mut changed: BTreeMap<&TierId, usize> = BTreeMap::new();
        let mut batches: BTreeMap<&TierId, BTreeSet<usize>> = BTreeMap::new();
        let mut replaced: BTreeSet<Place> = BTreeSet::new();
        let mut scale: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        let mut tier_hooks: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (index, stage) in stages.iter().enumerate() {
            for action in stage {
                let Some(tier) = action.container() else { continue };
                let place = (action.vm(), tier);
                match action {
                    Action::RunScaleHook { hooks, .. } => {
                        if self.topology.tiers.get(tier).map(|spec| &spec.on_node_scale) != Some(hooks) {
                            self.breach(format!("stage {index}: {action}: not the tier's hooks"));
                        }
                        scale.entry(place).or_default().push(index);
                    }
                    Action::RunTierHook { hook, leaving, .. } => {
                        let own = self.topology.tiers.get(tier);
                        if own.and_then(|spec| spec.on_dependency_scale.as_ref()) != Some(hook) {
                            self.breach(format!("stage {index}: {action}: not the tier's hook"));
                        }
                        // Those before something goes are another matter.
                        if leaving.is_empty() {
                            tier_hooks.entry(place).or_default().push(index);
                        }
                    }
                    Action::DeleteContainer { .. } => {
                        changed.insert(tier, index);
                    }
                    _ => {
                        if matches!(action, Action::ReplaceContainer { .. }) {
                            batches.entry(tier).or_default().insert(index);
                            replaced.insert(place);
                        }
                        changed.insert(tier, index);
                        touched.insert(place, index);
                    }
                }
            }
        }
        let to = self.to;
        let all = to
            .vms
            .iter()
            .flat_map(|(id, vm)| vm.used.keys().map(move |tier| (id, tier)));
        for place in all {
            let own = touched.get(&place).copied();
            let scaled = scale.remove(&place).unwrap_or_default();
            let told = tier_hooks.remove(&place).unwrap_or_default();
            let own_end = own.max(scaled.iter().max().copied());
            self.tier_hook(
                place,
                own_end,
                &changed,
                (&batches, replaced.contains(&place)),
                &told,
            );
            self.scale_hook(place, own, &scaled);
        }
        for (vm, tier) in scale.into_keys().chain(tier_hooks.into_keys()) {
            self.breach(format!(
                "a hook runs for {tier} on {vm}, which is not there in the end"
            ));
        }
    }

    fn owed(&self, side: &Allocation, vm: &VmId, tier: &TierId) -> Owed {
        side.container(vm, tier).map(|held| held.owed).unwrap_or_default()
    }

    /// Once after the last change of the container, and only if there was one or it is owed.
    fn scale_hook(&mut self, (vm, tier): Place, own: Option<usize>, runs: &[usize]) {
        let spec = self.topology.tiers.get(tier);
        let (was, is) = (self.owed(self.from, vm, tier), self.owed(self.to, vm, tier));
        let reason = own.is_some() || (was.scale && !is.scale);
        let due = reason && spec.is_some_and(|spec| !spec.on_node_scale.is_empty());
        let right = match runs {
            [] => !due,
            [stage] => due && Some(*stage) > own,
            _ => false,
        };
        if !right {
            self.breach(format!(
                "the scale hook of {tier} on {vm} runs in stages {runs:?}, its last change is {own:?}"
            ));
        }
    }

    /// Once after all that it is about, and only if there was something; and besides once after each batch of a rollout of
    /// what it depends on.
    fn tier_hook(
        &mut self,
        (vm, tier): Place,
        own: Option<usize>,
        changed: &BTreeMap<&TierId, usize>,
        (batches, replaced): (&BTreeMap<&TierId, BTreeSet<usize>>, bool),
        runs: &[usize],
    ) {
        let (from, to) = (self.from, self.to);
        let spec = self.topology.tiers.get(tier);
        let spec = spec.filter(|spec| spec.on_dependency_scale.is_some());
        let rolled: BTreeSet<usize> = spec
            .into_iter()
            .flat_map(|spec| &spec.depends_on)
            .filter_map(|other| batches.get(other))
            .flatten()
            .copied()
            .collect();
        let is_told = |batch: &usize| runs.iter().any(|run| run > batch);
        let there = from.container(vm, tier).is_some();
        let late = !there && own.is_some_and(|own| !is_told(&own));
        let missed = rolled.iter().any(|batch| late || there && !is_told(batch));
        let anew = replaced && spec.is_some_and(|spec| !spec.depends_on.is_empty());
        if missed || (anew && own.is_some_and(|own| !is_told(&own))) {
            self.breach(format!(
                "the tier hook of {tier} on {vm} does not run after each batch: {runs:?}"
            ));
        }
        if !rolled.is_empty() || anew {
            let reasons = rolled.len() + 2;
            if runs.len() > reasons {
                self.breach(format!(
                    "the tier hook of {tier} on {vm} runs without reason: {runs:?}"
                ));
            }
            return;
        }
        let dependencies = spec.into_iter().flat_map(|spec| &spec.depends_on);
        let reasons: Vec<&TierId> = dependencies
            .filter(|other| picture(from, other) != picture(to, other))
            .collect();
        let last = reasons
            .iter()
            .filter_map(|other| changed.get(*other))
            .copied()
            .max();
        let (was, is) = (self.owed(from, vm, tier).tier, self.owed(to, vm, tier).tier);
        let due = !reasons.is_empty() || (spec.is_some() && was.is_some() && was != is);
        let right = match runs {
            [] => !due,
            [stage] => due && Some(*stage) > last.max(own),
            _ => false,
        };
        if !right {
            self.breach(format!(
                "the tier hook of {tier} on {vm} runs in stages {runs:?}, its dependencies last change in {last:?}, \
                 itself in {own:?}"
            ));
        }
    }
}
