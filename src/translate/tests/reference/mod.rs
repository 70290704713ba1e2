//! The checker once more, slow and plain: the allocation is copied for each stage, and whatever is asked of it is counted
//! anew. It shares nothing with the one that is released, so that the two can be held against each other.

mod addresses;
mod end;
mod farewell;
mod hooks;
mod moment;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::topology::CpuMode;
use crate::model::{Allocation, Foreign, Handover, TierId, Topology, VmId};

use crate::translate::{Action, Stage, Translation};
use moment::Moment;

/// Every breach of a rule, in words, in the order of the stages; empty when there is none.
///
/// `from` and `to` are those that `translation` was made of.
#[must_use]
pub fn breaches(
    topology: &Topology,
    from: &Allocation,
    to: &Allocation,
    translation: &Translation,
) -> Vec<String> {
    let mut check = Check {
        topology,
        from,
        to,
        pinned: topology.infrastructure.cpu_mode == CpuMode::Cpuset,
        breaches: Vec::new(),
        down: BTreeSet::new(),
    };
    let mut now = from.clone();
    let last = translation.stages.len().saturating_sub(1);
    for (index, stage) in translation.stages.iter().enumerate() {
        check.vms(stage, index, last, &mut now);
        check.stage(stage, index, &mut now);
    }
    check.end(&now, translation);
    check.interrupts(translation);
    check.hooks(&translation.stages);
    check.farewells(&translation.stages);
    check.addresses(&translation.stages);
    check.breaches
}

struct Check<'a> {
    topology: &'a Topology,
    from: &'a Allocation,
    to: &'a Allocation,
    pinned: bool,
    breaches: Vec<String>,
    /// Tiers that stay and had no container at some moment.
    down: BTreeSet<&'a TierId>,
}

impl<'a> Check<'a> {
    fn breach(&mut self, text: String) {
        self.breaches.push(text);
    }

    /// What others hold on a VM, all the while.
    fn foreign_on(&self, vm: &VmId) -> Foreign {
        let mut foreign = Foreign::default();
        for vm in [self.from, self.to].iter().filter_map(|side| side.vms.get(vm)) {
            foreign.size = foreign.size.max(vm.foreign.size);
            foreign.cores.0.extend(&vm.foreign.cores.0);
        }
        foreign
    }

    /// VMs are made first, and deleted last and empty, and nothing else happens beside that.
    fn vms(&mut self, stage: &Stage, index: usize, last: usize, now: &mut Allocation) {
        let about_vms =
            |action: &&Action| matches!(action, Action::CreateVm { .. } | Action::DeleteVm { .. });
        if stage.is_empty() {
            self.breach(format!("stage {index} is empty"));
        }
        if stage.iter().any(|a| about_vms(&a)) && !stage.iter().all(|a| about_vms(&a)) {
            self.breach(format!(
                "stage {index}: VMs and containers change beside each other"
            ));
        }
        for action in stage {
            match action {
                Action::CreateVm { vm } => {
                    if index != 0 {
                        self.breach(format!("stage {index}: {vm} is not made first"));
                    }
                    match self.to.vms.get(vm) {
                        Some(target) if !now.vms.contains_key(vm) => {
                            let mut made = target.clone();
                            made.used.clear();
                            now.vms.insert(vm.clone(), made);
                        }
                        _ => self.breach(format!("stage {index}: {vm} is made without need")),
                    }
                }
                Action::DeleteVm { vm } => {
                    if index != last || self.to.vms.contains_key(vm) {
                        self.breach(format!("stage {index}: {vm} is deleted too early"));
                    }
                    match now.vms.remove(vm) {
                        Some(gone) if gone.used.is_empty() => {}
                        _ => self.breach(format!(
                            "stage {index}: {vm} is deleted, but not there or not empty"
                        )),
                    }
                }
                _ => {}
            }
        }
    }

    /// What happens to containers in one stage, at any moment of it.
    fn stage(&mut self, stage: &Stage, index: usize, now: &mut Allocation) {
        let mut moments: BTreeMap<&VmId, Moment> = BTreeMap::new();
        let mut after = now.clone();
        for action in stage {
            let (vm, Some(tier)) = (action.vm(), action.container()) else {
                continue;
            };
            let Some(before) = now.vms.get(vm) else {
                self.breach(format!("stage {index}: {action}, but there is no such VM"));
                continue;
            };
            let moment = moments.entry(vm).or_insert_with(|| Moment::of(before));
            if let Err(problem) = moment.add(tier, action) {
                self.breach(format!("stage {index}: {action}: {problem}"));
            }
            if let Some(vm) = after.vms.get_mut(vm) {
                match action {
                    Action::DeleteContainer { .. } => {
                        vm.used.remove(tier);
                    }
                    _ => {
                        if let Some(new) = moment::outcome(action, vm.used.get(tier)) {
                            vm.used.insert(tier.clone(), new);
                        }
                    }
                }
            }
        }
        for (vm, moment) in moments {
            let capacity = self
                .to
                .vms
                .get(vm)
                .or(self.from.vms.get(vm))
                .map(|vm| vm.capacity);
            let foreign = self.foreign_on(vm);
            let capacity = capacity.unwrap_or_default();
            let problems = moment.problems(self.topology, capacity, &foreign, self.pinned);
            for problem in problems {
                self.breach(format!("stage {index}: on {vm} {problem}"));
            }
        }
        self.running(stage, index, now);
        *now = after;
    }

    /// Which tiers run, whatever the order within the stage.
    fn running(&mut self, stage: &Stage, index: usize, now: &Allocation) {
        let count = |allocation: &Allocation, tier: &TierId| allocation.places(tier).count();
        let stopped = |action: &Action| {
            matches!(
                action,
                Action::ReplaceContainer {
                    handover: Handover::StopFirst,
                    ..
                }
            )
        };
        let deleted = |tier: &TierId| {
            let own = stage.iter().filter(|action| action.container() == Some(tier));
            own.filter(|action| matches!(action, Action::DeleteContainer { .. }) || stopped(action))
                .count()
        };
        let least = |tier: &TierId| count(now, tier).saturating_sub(deleted(tier));
        let (from, to) = (self.from, self.to);
        let touched: BTreeSet<&TierId> = stage.iter().filter_map(Action::container).collect();
        for tier in &touched {
            let Some((own, _)) = self.topology.tiers.get_key_value(*tier) else {
                continue;
            };
            if count(from, own) > 0 && count(to, own) > 0 && deleted(own) > 0 && least(own) == 0 {
                self.down.insert(own);
            }
            let own_actions = || stage.iter().filter(|action| action.container() == Some(*tier));
            let replaced = own_actions().filter(|action| matches!(action, Action::ReplaceContainer { .. }));
            let most = self
                .topology
                .tiers
                .get(*tier)
                .map_or(1, |spec| spec.max_unavailable);
            if replaced.count() > usize::try_from(most).unwrap_or(usize::MAX) {
                self.breach(format!(
                    "stage {index}: more of {tier} are replaced at once than {most}"
                ));
            }
        }
        for action in stage {
            let Some(spec) = action.container().and_then(|tier| self.topology.tiers.get(tier)) else {
                continue;
            };
            if matches!(
                action,
                Action::CreateContainer { .. } | Action::ReplaceContainer { .. }
            ) {
                for other in &spec.depends_on {
                    if count(to, other) > 0 && least(other) == 0 {
                        self.breach(format!(
                            "stage {index}: {} starts while {other} may not run",
                            spec.id
                        ));
                    }
                }
            }
            if matches!(action, Action::DeleteContainer { .. }) && count(to, &spec.id) == 0 {
                // What depends on it and goes too has to be gone before the last of it.
                let users = self.topology.tiers.values();
                let users =
                    users.filter(|user| user.depends_on.contains(&spec.id) && count(to, &user.id) == 0);
                for user in users {
                    if least(&spec.id) == 0 && count(now, &user.id) > 0 {
                        self.breach(format!(
                            "stage {index}: {} goes before {}, which needs it",
                            spec.id, user.id
                        ));
                    }
                }
            }
        }
    }
}
