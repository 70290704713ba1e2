//! Which hooks are still to run, by what was done: counted here from the record, and not taken from what the service
//! counts.

use std::collections::BTreeSet;

use mapek::execute::{Bindings, real_name};
use mapek::model::{TierId, VmId};
use mapek::translate::Action;

/// A kind of hook, and the container that it is to run in.
type Place = (Hook, VmId, TierId);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    Scale,
    Dependency,
}

/// Hooks that are still to run.
#[derive(Debug, Default)]
pub struct Due(BTreeSet<Place>);

impl Due {
    /// An action has succeeded, one of these of its execution.
    pub fn done(&mut self, action: &Action, all: &[Action], bindings: &Bindings) {
        let Some(tier) = action.container().cloned() else {
            return;
        };
        let at = |hook| (hook, real_name(bindings, action.vm()).clone(), tier.clone());
        let here = |other: &&Action| other.vm() == action.vm() && other.container() == Some(&tier);
        let mut all = all.iter().filter(here);
        match action {
            Action::RunScaleHook { .. } => {
                self.0.remove(&at(Hook::Scale));
            }
            Action::RunTierHook { leaving, .. } if leaving.is_empty() => {
                self.0.remove(&at(Hook::Dependency));
            }
            Action::DeleteContainer { .. } => {
                for hook in [Hook::Scale, Hook::Dependency] {
                    self.0.remove(&at(hook));
                }
            }
            Action::CreateContainer { .. }
            | Action::UpdateContainer { .. }
            | Action::ReplaceContainer { .. } => {
                // The execution says itself which hooks its changes are followed by.
                let (mut scale, mut dependency) = (false, false);
                all.by_ref().for_each(|other| match other {
                    Action::RunScaleHook { .. } => scale = true,
                    Action::RunTierHook { .. } => dependency = true,
                    _ => {}
                });
                if scale {
                    self.0.insert(at(Hook::Scale));
                }
                // What is replaced knows nothing of what its predecessor was told.
                if dependency && matches!(action, Action::ReplaceContainer { .. }) {
                    self.0.insert(at(Hook::Dependency));
                }
            }
            _ => {}
        }
    }

    /// Whether one is still to run there.
    pub fn is_due(&self, hook: Hook, vm: &VmId, tier: &TierId) -> bool {
        self.0.contains(&(hook, vm.clone(), tier.clone()))
    }
}
