//! Containers of ours that hold nothing and that nothing asks for any more: what failed removals leave
//! behind.

use std::collections::BTreeMap;

use crate::engine::{Observed, State};
use crate::execute::held;
use crate::model::{Allocation, TierId, Topology, VmId};
use crate::translate::{Action, Stage};

/// Whether a container is ours, holds nothing, and is on nobody's way out.
pub fn left_behind(topology: &Topology, container: &Observed) -> bool {
    let holds = container.state.holds() || container.state == State::Removing;
    container.managed && !holds && topology.tiers.contains_key(container.name.as_str())
}

/// Adds the removal of what is left behind to the first stage: it holds nothing, so that it can go
/// at any time, but it would keep its VM from being released. What the target wants in the same
/// place is left for its creation to take up.
pub fn sweep(
    topology: &Topology,
    target: &Allocation,
    seen: &BTreeMap<VmId, Vec<Observed>>,
    stages: &mut Vec<Stage>,
) {
    let mut removals = Vec::new();
    for (vm, containers) in seen {
        for container in containers {
            let tier = TierId::new(&container.name);
            if left_behind(topology, container) && target.container(vm, &tier).is_none() {
                let was = held(topology, container);
                removals.push(Action::DeleteContainer {
                    vm: vm.clone(),
                    container: tier,
                    was: was.size,
                    was_cores: was.cores,
                });
            }
        }
    }
    if removals.is_empty() {
        return;
    }
    match stages.first_mut() {
        Some(first) => first.extend(removals),
        None => stages.push(removals),
    }
}
