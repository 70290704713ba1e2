//! Why an execution did not succeed, and what it did not undo.

use std::ops::Range;

use serde_json::json;

use crate::fault::{Code, Fault};
use crate::model::topology::OnShortage;
use crate::model::{Allocation, Container};
use crate::translate::Action;

use super::effect::{Bindings, real_name};
use super::event::{Lost, Outcome};
use super::record::Execution;
use super::status::Status;

impl Execution {
    /// Why it did not succeed: the first failure, or the cancel. Missing VMs are no failure once
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

    /// The failed actions that may have left something which the record does not know.
    pub fn unknown(&self) -> impl Iterator<Item = (usize, &Action)> {
        let states = &self.progress.actions;
        self.actions()
            .filter(|(index, _)| states.get(*index).is_some_and(|state| state.unknown))
    }

    /// The failed actions of the way out that are not undone, given what is confirmed now: their
    /// outcome is not known, or was found out too late.
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

    /// Whether VMs did not come, nothing else has failed, and the plan has not yet been placed on
    /// those that did.
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
}

/// Whether an action's failure means only that there is one VM less than was asked for: a wrong
/// setting would fail for any other VM, too.
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

/// An action's failure as the answer to the request: with the action.
pub(super) fn told(action: &Action, index: usize, fault: Fault, output: Option<String>) -> Fault {
    let message = format!("{action}: {}", fault.message);
    let particulars = json!({ "action": index, "text": action.to_string(), "output": output });
    Fault { message, ..fault }.with([particulars])
}
