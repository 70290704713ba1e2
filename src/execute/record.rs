//! One execution as it is kept: what was asked, what was shown, what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::topology::{OnFailure, OnShortage};
use crate::model::{Allocation, Container, CoreSet, Foreign, Owed, RevisionId, Since, TierId, VmId};
use crate::translate::{Action, Stage};

use crate::fault::{Code, Fault};

use super::asked::{By, Reconcile};
use super::effect::{Bindings, real_name};
use super::event::{Lost, Outcome, Stamped};
use super::illegal::Illegal;
use super::state::Progress;
use super::status::Status;

/// What is fixed before the first effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// Its id; ids sort by time.
    pub id: Uuid,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The plan as it was sent.
    pub plan: Value,
    /// The topology that it was made for, by its generation; 0 in what was written before that was kept.
    #[serde(default)]
    pub generation: u64,
    /// What was.
    pub from: Pinned,
    /// What should be.
    pub target: Allocation,
    /// The actions.
    pub stages: Vec<Stage>,
    /// The commit, or content hash, of the hooks; None where none is run.
    pub hooks_revision: Option<String>,
    /// What to do when an action fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What to do when fewer VMs come than are asked for.
    #[serde(default)]
    pub on_shortage: OnShortage,
    /// The client's `Idempotency-Key`: the same request under the same key is carried out once.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// A hash of all that the request under that key asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The sealed plan that it carries out, where it does.
    #[serde(default)]
    pub plan_id: Option<String>,
    /// Who asked for it.
    #[serde(default)]
    pub requested_by: By,
    /// Why the service began it by itself, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<Reconcile>,
    /// The intent that it carries out, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Uuid>,
}

impl Frozen {
    /// The actions of all stages, numbered through.
    pub fn actions(&self) -> impl Iterator<Item = (usize, &Action)> {
        self.stages.iter().flatten().enumerate()
    }
}

/// An allocation with the cores and the revision of each container, which [`Allocation`]'s JSON leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Sizes; no cores.
    pub allocation: Allocation,
    /// Cores, by VM and tier.
    pub cores: BTreeMap<VmId, BTreeMap<TierId, CoreSet>>,
    /// What others hold, by VM.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<VmId, Foreign>,
    /// The hooks that are owed, by VM and tier. None in what was written before they were kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owed: BTreeMap<VmId, BTreeMap<TierId, Owed>>,
    /// What the containers were made from, by VM and tier. None in what was written before that was kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<VmId, BTreeMap<TierId, RevisionId>>,
}

impl Pinned {
    /// What a VM holds, cores included.
    #[must_use]
    pub fn on(&self, vm: &VmId) -> Value {
        json!([
            self.allocation.vms.get(vm).map(|vm| &vm.used),
            self.cores.get(vm),
            self.owed.get(vm),
            self.revisions.get(vm)
        ])
    }
}

impl From<&Allocation> for Pinned {
    fn from(allocation: &Allocation) -> Self {
        let of_vm = |vm: &crate::model::Vm| {
            vm.used
                .iter()
                .map(|(t, c)| (t.clone(), c.cores.clone()))
                .collect()
        };
        let cores = allocation
            .vms
            .iter()
            .map(|(id, vm)| (id.clone(), of_vm(vm)))
            .collect();
        let foreign = allocation
            .vms
            .iter()
            .map(|(id, vm)| (id.clone(), vm.foreign.clone()));
        let foreign = foreign
            .filter(|(_, foreign)| *foreign != Foreign::default())
            .collect();
        let mut owed: BTreeMap<VmId, BTreeMap<TierId, Owed>> = BTreeMap::new();
        for (id, vm) in &allocation.vms {
            for (tier, container) in vm.used.iter().filter(|(_, held)| !held.owed.is_nothing()) {
                let of_vm = owed.entry(id.clone()).or_default();
                of_vm.insert(tier.clone(), container.owed);
            }
        }
        let mut revisions: BTreeMap<VmId, BTreeMap<TierId, RevisionId>> = BTreeMap::new();
        for (id, vm) in &allocation.vms {
            for (tier, container) in &vm.used {
                if let Some(revision) = &container.revision {
                    let of_vm = revisions.entry(id.clone()).or_default();
                    of_vm.insert(tier.clone(), revision.clone());
                }
            }
        }
        let mut allocation = allocation.clone().owing_nothing();
        for vm in allocation.vms.values_mut() {
            vm.foreign = Foreign::default();
            vm.stalled.clear();
        }
        for container in allocation.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
            container.cores = CoreSet::default();
            container.revision = None;
        }
        Self {
            allocation,
            cores,
            foreign,
            owed,
            revisions,
        }
    }
}

impl From<Pinned> for Allocation {
    fn from(pinned: Pinned) -> Self {
        let Pinned {
            mut allocation,
            mut cores,
            mut foreign,
            mut owed,
            mut revisions,
        } = pinned;
        for (id, vm) in &mut allocation.vms {
            vm.foreign = foreign.remove(id).unwrap_or_default();
            let mut of_vm = cores.remove(id).unwrap_or_default();
            let mut owed = owed.remove(id).unwrap_or_default();
            let mut revisions = revisions.remove(id).unwrap_or_default();
            for (tier, container) in &mut vm.used {
                container.cores = of_vm.remove(tier).unwrap_or_default();
                container.owed = owed.remove(tier).unwrap_or_default();
                container.revision = revisions.remove(tier);
            }
        }
        allocation
    }
}

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
    /// When the record tells of something that can't have happened.
    pub fn replay(frozen: Frozen, events: &[Stamped]) -> Result<Self, Illegal> {
        let progress = Progress::replay(frozen.actions().count(), events)?;
        Ok(Self { frozen, progress })
    }

    /// `running`, `held` where it waits for a person, or how it ended.
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.standing().as_str()
    }

    /// Why it is no success: the first failure, or the cancelling. VMs that did not come are none once
    /// the plan was placed without them.
    #[must_use]
    pub fn failure(&self) -> Option<Fault> {
        let first = self.progress.second.as_ref().map_or(0, |second| second.first);
        let failed = self.failed_among(first..self.progress.actions.len());
        let failed = match (&self.progress.unplaced, failed) {
            (Some(unplaced), Some(failed)) => Some(unplaced.after(failed)),
            (_, failed) => failed,
        };
        match self.progress.outcome {
            Some(Outcome::Succeeded) => None,
            Some(Outcome::Cancelled) if failed.is_none() => Some(Fault::new(
                Code::Cancelled,
                "the execution was cancelled; what was done is kept",
            )),
            _ => failed.or_else(|| self.progress.lost.first().map(Lost::fault)),
        }
    }

    /// The failed actions that may have left something which the record does not know of.
    pub fn unknown(&self) -> impl Iterator<Item = (usize, &Action)> {
        let states = &self.progress.actions;
        self.actions()
            .filter(|(index, _)| states.get(*index).is_some_and(|state| state.unknown))
    }

    /// The failed actions of the way out that are not undone, given what is confirmed now: what
    /// became of them is not known, or was found out too late.
    #[must_use]
    pub fn not_undone(&self, now: &Allocation, bindings: &Bindings) -> Vec<&Action> {
        let first = self.progress.back.as_ref().map_or(usize::MAX, |back| back.first);
        let was: Allocation = self.frozen.from.clone().into();
        let out = self.actions().zip(&self.progress.actions);
        let failed = out.filter(|((index, _), state)| *index < first && state.state == Status::Failed);
        let stays = failed.filter(|((_, action), state)| {
            let vm = real_name(bindings, action.vm());
            let held = |allocation: &Allocation| allocation.container(vm, action.container()?).cloned();
            let (now, was) = (held(now), held(&was));
            let size = |held: &Option<Container>| held.as_ref().map(|held| held.size);
            let replaced = matches!((&was, &now), (Some(was), Some(now)) if was.is_replaced_by(now));
            state.unknown || replaced || size(&now) != size(&was)
        });
        stays.map(|((_, action), _)| action).collect()
    }

    /// Whether one of the actions from this number on has begun and not ended.
    #[must_use]
    pub fn runs_from(&self, first: usize) -> bool {
        let mut later = self.progress.actions.iter().skip(first);
        later.any(|action| action.state == Status::Running)
    }

    /// The first failure among the actions with these numbers.
    #[must_use]
    pub fn failed_among(&self, numbers: Range<usize>) -> Option<Fault> {
        let mut among = self.actions().filter(|(index, _)| numbers.contains(index));
        among.find_map(|(index, action)| {
            let state = self
                .progress
                .actions
                .get(index)
                .filter(|state| state.state == Status::Failed)?;
            let code = state
                .code
                .as_deref()
                .and_then(Code::parse)
                .unwrap_or(Code::Internal);
            let fault = Fault::new(code, state.error.clone().unwrap_or_default());
            Some(told(action, index, fault, state.output.clone()))
        })
    }

    /// What should be: as it was shown, or as it was placed anew.
    #[must_use]
    pub fn target(&self) -> &Allocation {
        let second = self.progress.second.as_ref();
        second.map_or(&self.frozen.target, |second| &second.target)
    }

    /// What is confirmed without what is about to go, where that stays elsewhere: what starts now is told where to find
    /// those that stay.
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
        for (name, vm) in &mut lasting.vms {
            vm.used.retain(|tier, _| {
                let elsewhere = || now.places(tier).any(|(other, _)| stays.contains(&(other, tier)));
                stays.contains(&(name, tier)) || !elsewhere()
            });
        }
        lasting
    }

    /// The direction that it goes in.
    #[must_use]
    pub const fn since(&self) -> Since {
        Since {
            execution: self.frozen.id,
            back: self.progress.back.is_some(),
        }
    }

    /// What was before it set out, or before it turned back.
    #[must_use]
    pub fn before(&self, back: bool) -> Allocation {
        if back {
            self.target().clone()
        } else {
            self.frozen.from.clone().into()
        }
    }

    /// Whether VMs did not come, nothing else has failed, and the plan is still to be placed on those
    /// that did.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let progress = &self.progress;
        let open = progress.back.is_none() && progress.second.is_none() && progress.unplaced.is_none();
        if !open || self.frozen.on_shortage == OnShortage::Fail {
            return false;
        }
        let mut failed = self
            .actions()
            .zip(&progress.actions)
            .filter(|(_, state)| state.state == Status::Failed)
            .peekable();
        let missing = |((_, action), state): ((usize, &Action), &super::status::ActionState)| {
            let code = state.code.as_deref().and_then(Code::parse);
            did_not_come(action, code)
        };
        failed.peek().is_some() && failed.all(missing)
    }

    /// The action of that number, without going through all that come before it.
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

    /// The actions of all stages, numbered through, those of the way back last.
    pub fn actions(&self) -> impl Iterator<Item = (usize, &Action)> {
        self.stages().flatten().enumerate()
    }

    /// All stages, those of a second way out after those of the first, those of the way back last.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        let second = self.progress.second.iter().flat_map(|second| &second.stages);
        let back = self.progress.back.iter().flat_map(|back| &back.stages);
        self.frozen.stages.iter().chain(second).chain(back)
    }
}

/// Whether an action's failure means that there is one VM less than was asked for, and no more than
/// that: what is set up wrongly would fail on any other VM, too.
#[must_use]
pub(super) fn did_not_come(action: &Action, code: Option<Code>) -> bool {
    matches!(action, Action::CreateVm { .. })
        && matches!(
            code,
            Some(
                Code::CloudCapacity
                    | Code::CloudTimeout
                    | Code::CloudRefused
                    | Code::CloudUnreachable
                    | Code::EngineUnreachable
                    | Code::EngineTimeout
            )
        )
}

/// An action's failure as the answer to the request tells it: with the action.
pub(super) fn told(action: &Action, index: usize, fault: Fault, output: Option<String>) -> Fault {
    let message = format!("{action}: {}", fault.message);
    let particulars = json!({ "action": index, "text": action.to_string(), "output": output });
    Fault { message, ..fault }.with([particulars])
}
