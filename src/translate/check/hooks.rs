//! Whether each hook runs exactly once, and not too early.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Allocation, Owed, TierId, Vm};
use crate::translate::Action;

use super::scene::{TierNo, VmNo};
use super::{Check, Step};

/// In which stages what happened.
#[derive(Default)]
pub(super) struct Log {
    places: HashMap<(VmNo, TierNo), Course>,
    tiers: HashMap<TierNo, Batches>,
}

/// What happened to a container.
#[derive(Default)]
pub(super) struct Course {
    /// When it was last created, changed or replaced.
    touched: Option<usize>,
    pub last_replaced: Option<usize>,
    /// When it was made.
    pub made: Option<usize>,
    scale: Vec<usize>,
    /// Without those before something goes, which are another matter.
    tier: Vec<usize>,
}

/// What happened to a tier.
#[derive(Default)]
struct Batches {
    /// When something of it last changed.
    changed: Option<usize>,
    /// When something of it was replaced.
    replaced: Vec<usize>,
}

/// Of what a tier depends on.
#[derive(Clone, Copy, Default)]
struct Reasons {
    /// In how many stages something of that was replaced, and in which last.
    batches: usize,
    last_batch: Option<usize>,
    /// Whether any of that is somewhere else in the end, or of another size, and when that last changed.
    moves: bool,
    last_move: Option<usize>,
}

fn owed(side: Option<&Vm>, tier: &TierId) -> Owed {
    side.and_then(|vm| vm.used.get(tier))
        .map(|held| held.owed)
        .unwrap_or_default()
}

impl<'a> Check<'a> {
    /// Takes note of a stage.
    pub(super) fn log(&mut self, steps: &[Step<'a>], index: usize) {
        for step in steps {
            let Some(tier) = step.tier else { continue };
            let spec = self.tiers.get(tier).and_then(|member| member.spec);
            let place = (step.vm, tier);
            match step.action {
                Action::RunScaleHook { hooks, .. } => {
                    if spec.map(|spec| &spec.on_node_scale) != Some(hooks) {
                        self.breach(format!("stage {index}: {}: not the tier's hooks", step.action));
                    }
                    self.log.places.entry(place).or_default().scale.push(index);
                }
                Action::RunTierHook { hook, leaving, .. } => {
                    if spec.and_then(|spec| spec.on_dependency_scale.as_ref()) != Some(hook) {
                        self.breach(format!("stage {index}: {}: not the tier's hook", step.action));
                    }
                    if leaving.is_empty() {
                        self.log.places.entry(place).or_default().tier.push(index);
                    }
                }
                Action::DeleteContainer { .. } => {
                    self.log.tiers.entry(tier).or_default().changed = Some(index);
                }
                action => {
                    let whole = self.log.tiers.entry(tier).or_default();
                    whole.changed = Some(index);
                    let own = self.log.places.entry(place).or_default();
                    own.touched = Some(index);
                    if matches!(action, Action::CreateContainer { .. }) {
                        own.made = Some(index);
                        self.arrivals.insert(place, index);
                    }
                    if matches!(action, Action::ReplaceContainer { .. }) {
                        own.last_replaced = Some(index);
                        if whole.replaced.last() != Some(&index) {
                            whole.replaced.push(index);
                        }
                    }
                }
            }
        }
    }

    /// After the last stage.
    pub(super) fn hooks(&mut self) {
        let mut places = std::mem::take(&mut self.log.places);
        let (from, to): (&Allocation, &Allocation) = (self.subject.from, self.subject.to);
        let mut known: HashMap<TierNo, Reasons> = HashMap::new();
        for (id, vm) in &to.vms {
            let was = from.vms.get(id);
            for tier in vm.used.keys() {
                let Some((number, at)) = self.numbers.tier(tier).zip(self.numbers.vm(id)) else {
                    continue;
                };
                let course = places.remove(&(at, number)).unwrap_or_default();
                let reasons = *known.entry(number).or_insert_with(|| self.reasons(number));
                let was_owed = owed(was, tier);
                let is_owed = owed(Some(vm), tier);
                let there = was.is_some_and(|vm| vm.used.contains_key(tier));
                self.scale_hook(number, at, &course, was_owed.scale && !is_owed.scale);
                let owes = was_owed.tier.is_some() && was_owed.tier != is_owed.tier;
                // Its tier was to be told of something before it was there.
                let untold = course.made.is_some() && self.subject.untold.contains(tier);
                self.tier_hook(number, at, &course, &reasons, there, owes || untold);
                self.finds_its_dependencies((id, tier), number, (was, vm), &course);
            }
        }
        for ((vm, tier), course) in places {
            if !(course.scale.is_empty() && course.tier.is_empty()) {
                let text = format!(
                    "a hook runs for {}, which is not there in the end",
                    self.place(tier, vm)
                );
                self.breach(text);
            }
        }
    }

    fn place(&self, tier: TierNo, vm: VmNo) -> String {
        let tier = self.tiers.get(tier).map_or("?", |member| member.id.as_str());
        let vm = self.machines.get(vm).map_or("?", |machine| machine.id.as_str());
        format!("{tier} on {vm}")
    }

    fn reasons(&self, tier: TierNo) -> Reasons {
        let Some(member) = self.tiers.get(tier) else {
            return Reasons::default();
        };
        let mut reasons = Reasons::default();
        let mut batches: BTreeSet<usize> = BTreeSet::new();
        for other in &member.needs {
            let whole = self.log.tiers.get(other);
            batches.extend(whole.into_iter().flat_map(|whole| &whole.replaced));
            if self.tiers.get(*other).is_some_and(|other| other.moves) {
                reasons.moves = true;
                reasons.last_move = reasons.last_move.max(whole.and_then(|whole| whole.changed));
            }
        }
        reasons.batches = batches.len();
        reasons.last_batch = batches.last().copied();
        reasons
    }

    /// Once after the last change of the container, and only if there was one or it is owed.
    fn scale_hook(&mut self, tier: TierNo, vm: VmNo, course: &Course, owed: bool) {
        let spec = self.tiers.get(tier).and_then(|member| member.spec);
        let due =
            (course.touched.is_some() || owed) && spec.is_some_and(|spec| !spec.on_node_scale.is_empty());
        let right = match course.scale.as_slice() {
            [] => !due,
            [stage] => due && Some(*stage) > course.touched,
            _ => false,
        };
        if !right {
            let text = format!(
                "the scale hook of {} runs in stages {:?}, its last change is {:?}",
                self.place(tier, vm),
                course.scale,
                course.touched
            );
            self.breach(text);
        }
    }

    /// Once after all that it is about, and only if there was something; and besides once after each batch of a rollout of
    /// what it depends on.
    fn tier_hook(
        &mut self,
        tier: TierNo,
        vm: VmNo,
        course: &Course,
        reasons: &Reasons,
        there: bool,
        owed: bool,
    ) {
        let spec = self.tiers.get(tier).and_then(|member| member.spec);
        let spec = spec.filter(|spec| spec.on_dependency_scale.is_some());
        let nothing = Reasons::default();
        let reasons = if spec.is_some() { reasons } else { &nothing };
        let runs = course.tier.as_slice();
        let last_run = runs.iter().max().copied();
        let own = course.touched.max(course.scale.iter().max().copied());
        let anew = course.last_replaced.is_some() && spec.is_some_and(|spec| !spec.depends_on.is_empty());
        let late = !there && own.is_some() && last_run <= own;
        let missed =
            reasons.last_batch.is_some() && (late || last_run <= reasons.last_batch.filter(|_| there));
        if missed || (anew && own.is_some() && last_run <= own) {
            let text = format!(
                "the tier hook of {} does not run after each batch: {runs:?}",
                self.place(tier, vm)
            );
            self.breach(text);
        }
        if reasons.batches > 0 || anew {
            if runs.len() > reasons.batches + 2 {
                let text = format!(
                    "the tier hook of {} runs without reason: {runs:?}",
                    self.place(tier, vm)
                );
                self.breach(text);
            }
            return;
        }
        let due = reasons.moves || (spec.is_some() && owed);
        let right = match runs {
            [] => !due,
            [stage] => due && Some(*stage) > reasons.last_move.max(own),
            _ => false,
        };
        if !right {
            let text = format!(
                "the tier hook of {} runs in stages {runs:?}, its dependencies last change in {:?}, itself in {own:?}",
                self.place(tier, vm),
                reasons.last_move
            );
            self.breach(text);
        }
    }
}
