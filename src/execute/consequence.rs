//! Which actions must not be done once another has failed. Pure.

use crate::model::Topology;
use crate::translate::Action;

/// Whether `action` must be left undone because `failed` was not done.
///
/// What a failed action was to free may still be taken, what it was to start may not run: so
/// nothing grows on a VM where something did not shrink, nothing is stopped whose successor did not
/// start, nothing starts without its dependency. Dependency hooks run all the same: they are told
/// what really is.
#[must_use]
pub fn follows(topology: &Topology, failed: &Action, action: &Action) -> bool {
    let same_vm = failed.vm() == action.vm();
    if same_vm && matches!(failed, Action::CreateVm { .. }) {
        return true;
    }
    if same_vm && failed.container().is_some() && failed.container() == action.container() {
        return true;
    }
    match (failed, action) {
        (Action::DeleteContainer { .. } | Action::UpdateContainer { .. }, Action::CreateContainer { .. })
        | (Action::DeleteContainer { .. } | Action::UpdateContainer { .. }, Action::UpdateContainer { .. })
        | (Action::DeleteContainer { .. }, Action::DeleteVm { .. })
            if same_vm =>
        {
            true
        }
        (
            Action::DeleteContainer { .. } | Action::UpdateContainer { .. },
            Action::ReplaceContainer { .. },
        ) if same_vm => true,
        (
            Action::CreateContainer {
                container: failed, ..
            }
            | Action::UpdateContainer {
                container: failed, ..
            }
            | Action::ReplaceContainer {
                container: failed, ..
            },
            Action::DeleteContainer { container, .. },
        ) => failed == container,
        // A revision that does not come up in one place is not tried in the next, and nothing that depends on it follows.
        (
            Action::CreateContainer {
                container: failed, ..
            }
            | Action::ReplaceContainer {
                container: failed, ..
            },
            Action::ReplaceContainer { container, .. },
        ) => failed == container || needs(topology, container, failed),
        (
            Action::ReplaceContainer {
                container: failed, ..
            },
            Action::CreateContainer { container, .. },
        ) => failed == container,
        (
            Action::CreateContainer {
                container: failed, ..
            },
            Action::CreateContainer { container, .. },
        ) => needs(topology, container, failed),
        (
            Action::DeleteContainer {
                container: failed, ..
            },
            Action::DeleteContainer { container, .. },
        ) => needs(topology, failed, container),
        _ => false,
    }
}

fn needs(topology: &Topology, tier: &crate::model::TierId, dependency: &crate::model::TierId) -> bool {
    topology
        .tiers
        .get(tier)
        .is_some_and(|tier| tier.depends_on.contains(dependency))
}
