//! Containers of ours that nothing asks for any more: what failed removals leave behind, which holds
//! nothing, and what runs on a VM that was given up and came back.

use std::collections::BTreeMap;

use crate::engine::{Observed, State};
use crate::execute::held;
use crate::model::{Allocation, Size, TierId, Topology, VmId};
use crate::translate::{Action, Stage};

/// What a VM outside of the allocation runs of ours although all of it is `held` elsewhere, so that nobody
/// wants it there.
pub fn surplus(
    topology: &Topology,
    vm: &VmId,
    seen: &[Observed],
    wanted: &BTreeMap<TierId, Size>,
    held: &BTreeMap<TierId, Size>,
) -> Vec<Action> {
    let mut removals = Vec::new();
    for container in seen.iter().filter(|one| one.managed && one.state.holds()) {
        let tier = TierId::new(&container.name);
        let held = held.get(&tier).copied().unwrap_or_default();
        // What the plan does not have is removed by the way there, in the order of dependencies.
        let covered = |wanted: &Size| held.cpu >= wanted.cpu && held.mem >= wanted.mem;
        if wanted.get(&tier).is_some_and(covered) && topology.tiers.contains_key(&tier) {
            removals.push(removal(topology, vm, container));
        }
    }
    removals
}

/// Puts removals before everything else: what they free may be used right after.
pub fn remove_first(removals: Stage, stages: &mut Vec<Stage>) {
    if !removals.is_empty() {
        stages.insert(0, removals);
    }
}

fn removal(topology: &Topology, vm: &VmId, container: &Observed) -> Action {
    let was = held(topology, container);
    Action::DeleteContainer {
        vm: vm.clone(),
        container: TierId::new(&container.name),
        was: was.size,
        was_cores: was.cores,
    }
}

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
                removals.push(removal(topology, vm, container));
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
