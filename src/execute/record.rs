//! One execution as it is stored: what was asked, what was shown, what happened.

use std::collections::BTreeSet;

use crate::model::{Allocation, Since, TierId, VmId};
use crate::translate::{Action, Stage};

use super::effect::{Bindings, real_name};
use super::event::Stamped;
use super::frozen::Frozen;
use super::illegal::Illegal;
use super::state::Progress;
use super::status::Status;

/// An execution and its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// What was fixed.
    pub frozen: Frozen,
    /// What happened.
    pub progress: Progress,
}

impl Execution {
    /// From the record.
    ///
    /// # Errors
    ///
    /// When the record contains something that can't have happened.
    pub fn replay(frozen: Frozen, events: &[Stamped]) -> Result<Self, Illegal> {
        let progress = Progress::replay(frozen.actions().count(), events)?;
        Ok(Self { frozen, progress })
    }

    /// `running`, `held` if it waits for a person to decide, or how it ended.
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.standing().as_str()
    }

    /// Whether one of the actions from this number on has begun and not ended.
    #[must_use]
    pub fn runs_from(&self, first: usize) -> bool {
        let mut later = self.progress.actions.iter().skip(first);
        later.any(|action| action.state == Status::Running)
    }

    /// The allocation to reach: as it was shown, or as it was placed again.
    #[must_use]
    pub fn target(&self) -> &Allocation {
        let second = self.progress.second.as_ref();
        second.map_or(&self.frozen.target, |second| &second.target)
    }

    /// Where everything is once the execution is through, as far as that is known now: what is confirmed, without
    /// what is about to be removed, and what is still to come on the VMs that are there. A container that starts now
    /// is told to look for its dependencies there.
    #[must_use]
    pub fn lasting(&self, now: &Allocation, bindings: &Bindings) -> Allocation {
        let planned = match &self.progress.back {
            Some(_) => &self.frozen.from.allocation,
            None => self.target(),
        };
        let mut stays: BTreeSet<(&VmId, &TierId)> = BTreeSet::new();
        for (name, vm) in &planned.vms {
            let name = real_name(bindings, name);
            stays.extend(vm.used.keys().map(|tier| (name, tier)));
        }
        let mut lasting = now.clone();
        let mut placed: BTreeSet<&TierId> = BTreeSet::new();
        for (name, vm) in &planned.vms {
            let Some(there) = lasting.vms.get_mut(real_name(bindings, name)) else {
                continue;
            };
            for (tier, held) in &vm.used {
                placed.insert(tier);
                there.used.entry(tier.clone()).or_insert_with(|| held.clone());
            }
        }
        for (name, vm) in &mut lasting.vms {
            vm.used
                .retain(|tier, _| stays.contains(&(name, tier)) || !placed.contains(tier));
        }
        lasting
    }

    /// Its present direction.
    #[must_use]
    pub const fn since(&self) -> Since {
        Since {
            execution: self.frozen.id,
            back: self.progress.back.is_some(),
        }
    }

    /// What was there before the present direction began.
    #[must_use]
    pub fn before(&self, back: bool) -> Allocation {
        if back {
            self.target().clone()
        } else {
            self.frozen.from.clone().into()
        }
    }

    /// The action with that number, without going through all that come before it.
    #[must_use]
    pub fn action(&self, number: usize) -> Option<&Action> {
        let mut left = number;
        for stage in self.stages() {
            match stage.get(left) {
                Some(action) => return Some(action),
                None => left -= stage.len(),
            }
        }
        None
    }

    /// The actions of all stages, in order; those of the rollback come last.
    pub fn actions(&self) -> impl Iterator<Item = (usize, &Action)> {
        self.stages().flatten().enumerate()
    }

    /// All stages: the first ones, those after a replan, those of the rollback.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        let second = self.progress.second.iter().flat_map(|second| &second.stages);
        let back = self.progress.back.iter().flat_map(|back| &back.stages);
        self.frozen.stages.iter().chain(second).chain(back)
    }
}
