//! Which actions must not be done once another has failed. Pure.

use crate::model::{CoreSet, Topology};
use crate::translate::Action;

/// Whether `action` must not be done because `failed` was not done.
///
/// What a failed action was meant to free may still be in use, and what it was meant to start may
/// not run. So nothing grows on a VM where something did not shrink, nothing is stopped whose
/// successor did not start, and nothing starts without its dependency. Dependency hooks run all the
/// same: they are told what is really there.
#[must_use]
pub fn follows(topology: &Topology, failed: &Action, action: &Action) -> bool {
    let same_vm = failed.vm() == action.vm();
    if same_vm && matches!(failed, Action::CreateVm { .. }) {
        return true;
    }
    if same_vm && failed.container().is_some() && failed.container() == action.container() {
        return true;
    }
    // The cores of a container that was not replaced are not free for the next one.
    if let (true, Action::ReplaceContainer { was_cores, .. }, Some(cores)) = (same_vm, failed, takes(action))
        && !was_cores.0.is_disjoint(&cores.0)
    {
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
        // A revision that does not come up in one place is not tried in the next, and nothing that
        // depends on it follows.
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

/// The cores that an action pins its container to.
fn takes(action: &Action) -> Option<&CoreSet> {
    match action {
        Action::CreateContainer { cores, .. }
        | Action::UpdateContainer { cores, .. }
        | Action::ReplaceContainer { cores, .. } => Some(cores),
        Action::CreateVm { .. }
        | Action::DeleteVm { .. }
        | Action::DeleteContainer { .. }
        | Action::RunScaleHook { .. }
        | Action::RunTierHook { .. } => None,
    }
}

fn needs(topology: &Topology, tier: &crate::model::TierId, dependency: &crate::model::TierId) -> bool {
    topology
        .tiers
        .get(tier)
        .is_some_and(|tier| tier.depends_on.contains(dependency))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Handover, RevisionId, Size, TierId, VmId};

    #[test]
    fn nothing_takes_the_cores_of_a_container_that_was_not_replaced() {
        let document = json!({
            "infrastructure": { "cpu_cores": 8, "mem_units": 8 },
            "apps": [{ "name": "a", "tiers": {
                "web": { "docker_image": "x" }, "db": { "docker_image": "x" }, "job": { "docker_image": "x" } } }]
        });
        let topology = Topology::parse(&document).unwrap().topology;
        let cores = |core: u32| CoreSet([core].into());
        let replace = |tier: &str, from: u32, to: u32| Action::ReplaceContainer {
            vm: VmId::new("vm1"),
            container: TierId::of("a", tier),
            size: Size::new(1, 1),
            cores: cores(to),
            was_cores: cores(from),
            handover: Handover::StartFirst,
            revision: RevisionId::new("new"),
            was_revision: RevisionId::new("old"),
            moved: Vec::new(),
            digest: None,
            hooks: Vec::new(),
        };
        let create = |vm: &str, core: u32| Action::CreateContainer {
            vm: VmId::new(vm),
            container: TierId::of("a", "job"),
            size: Size::new(1, 1),
            cores: cores(core),
            revision: None,
            digest: None,
        };
        // Core 0 still belongs to the old one; core 1 was the successor's, which is gone.
        let failed = replace("web", 0, 1);
        assert!(follows(&topology, &failed, &create("vm1", 0)));
        assert!(follows(&topology, &failed, &replace("db", 2, 0)));
        assert!(!follows(&topology, &failed, &create("vm1", 1)));
        assert!(!follows(&topology, &failed, &replace("db", 2, 1)));
        assert!(!follows(&topology, &failed, &create("vm2", 0)));
    }
}
