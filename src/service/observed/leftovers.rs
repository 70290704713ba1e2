//! Containers of ours that nothing asks for any more: what failed removals leave behind, what somebody
//! gave another name, and what runs on a VM that was given up and came back.

use std::collections::BTreeMap;

use crate::engine::{Observed, State, successor};
use crate::execute::{as_seen, held};
use crate::model::{Allocation, Size, TierId, Topology, VmId};
use crate::translate::{Action, Stage};

/// What a VM outside of the allocation runs of ours although all of it is `held` elsewhere, so that
/// nobody wants it there.
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
        let covered = |wanted: &Size| wanted.fits(held);
        if wanted.get(&tier).is_some_and(covered) && topology.tiers.contains_key(&tier) {
            removals.push(removal(topology, vm, container));
        }
    }
    removals
}

/// Puts removals before everything else: what they free can be used right after.
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
        // A leftover does no work that it could finish.
        hooks: Vec::new(),
    }
}

/// Whether a container is ours, holds nothing, and is not about to be removed by anybody.
pub fn left_behind(container: &Observed) -> bool {
    let holds = container.state.holds() || container.state == State::Removing;
    container.managed && !holds
}

/// When containers that hold something and belong to no tier are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Strays {
    /// After everything is made: there is room beside them.
    Last,
    /// Before anything else, since what is made needs their room.
    First,
}

/// Whether a container is ours, holds something, and has a name that no tier has.
pub(in crate::service) fn is_stray(topology: &Topology, seen: &Observed) -> bool {
    seen.managed && seen.state.holds() && !topology.tiers.contains_key(seen.name.as_str())
}

/// The allocation as if such containers were already gone; None if there are none.
pub(in crate::service) fn without_strays(
    topology: &Topology,
    allocation: &Allocation,
    seen: &BTreeMap<VmId, Vec<Observed>>,
) -> Option<Allocation> {
    let mut without = allocation.clone();
    let mut found = false;
    for (name, containers) in seen {
        let stays = |one: &&Observed| !is_stray(topology, one);
        let others: Vec<Observed> = containers.iter().filter(stays).cloned().collect();
        if let (Some(vm), true) = (without.vms.get_mut(name), others.len() < containers.len()) {
            *vm = as_seen(topology, vm, &others);
            found = true;
        }
    }
    found.then_some(without)
}

/// Adds the removal of leftovers. Those that hold nothing are removed in the first stage: they
/// could be removed at any time, but they would keep their VM from being released. If the target
/// wants something in the same place, that is left to its creation. Those that hold something are
/// removed when `strays` says, and first in any case if they publish a port that a new container on
/// their VM needs.
pub(in crate::service) fn sweep(
    topology: &Topology,
    target: &Allocation,
    seen: &BTreeMap<VmId, Vec<Observed>>,
    strays: Strays,
    stages: &mut Vec<Stage>,
) {
    let (mut at_once, mut first, mut last) = (Stage::new(), Stage::new(), Stage::new());
    for (vm, containers) in seen {
        for container in containers.iter().filter(|one| one.managed) {
            let tier = TierId::new(&container.name);
            if is_stray(topology, container) {
                let removal = removal(topology, vm, container);
                if strays == Strays::First || in_the_way(topology, stages, vm, container) {
                    first.push(removal);
                } else {
                    last.push(removal);
                }
            } else if left_behind(container)
                && target.container(vm, &tier).is_none()
                && !is_taken_up(stages, vm, container)
            {
                at_once.push(removal(topology, vm, container));
            }
        }
    }
    let of_vms = |stage: &Stage, made: bool| {
        let only = |action: &Action| match action {
            Action::CreateVm { .. } => made,
            Action::DeleteVm { .. } => !made,
            _ => false,
        };
        !stage.is_empty() && stage.iter().all(only)
    };
    if !at_once.is_empty() {
        match stages.first_mut() {
            // They are removed before their VM is.
            Some(stage) if !of_vms(stage, false) => stage.extend(at_once),
            _ => stages.insert(0, at_once),
        }
    }
    if !last.is_empty() {
        let released = stages.last().is_some_and(|stage| of_vms(stage, false));
        stages.insert(stages.len() - usize::from(released), last);
    }
    if !first.is_empty() {
        let made = stages.first().is_some_and(|stage| of_vms(stage, true));
        stages.insert(usize::from(made), first);
    }
}

/// Whether a container has the name of a replacement's successor: the replacement continues with it
/// or removes it itself, and nothing else may remove it meanwhile.
fn is_taken_up(stages: &[Stage], vm: &VmId, seen: &Observed) -> bool {
    stages.iter().flatten().any(|action| match action {
        Action::ReplaceContainer {
            vm: on, container, ..
        } => on == vm && successor(container.as_str()) == seen.name,
        _ => false,
    })
}

/// Whether a container publishes a port that one to be created on its VM needs.
fn in_the_way(topology: &Topology, stages: &[Stage], vm: &VmId, seen: &Observed) -> bool {
    let made = stages.iter().flatten().filter_map(|action| match action {
        Action::CreateContainer {
            vm: on, container, ..
        }
        | Action::ReplaceContainer {
            vm: on, container, ..
        } if on == vm => topology.tiers.get(container),
        _ => None,
    });
    made.flat_map(|tier| &tier.ports)
        .any(|port| seen.ports.iter().any(|other| other.conflicts(port)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::topology::{PortBinding, Protocol};
    use crate::model::{CoreSet, Handover, RevisionId, Size};

    fn topology() -> Topology {
        let web = json!({ "name": "web", "docker_image": "x", "ports": ["80:80"] });
        let document = json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 4,
                "cloud_driver": { "hosts": { "vm1": { "docker": "unix:///1" } } } },
            "apps": [{ "name": "a", "tiers": { "web": web } }]
        });
        Topology::parse(&document).unwrap().topology
    }

    fn seen(name: &str, managed: bool, state: State, ports: &[u16]) -> Observed {
        let port = |host: &u16| PortBinding {
            address: None,
            host: *host,
            container: 80,
            protocol: Protocol::Tcp,
        };
        Observed {
            name: name.to_owned(),
            id: name.to_owned(),
            managed,
            image: "x".to_owned(),
            state,
            health: None,
            cpuset: "0".to_owned(),
            nano_cpus: 0,
            memory: 512 << 20,
            memory_swap: 0,
            fixed: Default::default(),
            exit_code: None,
            labels: BTreeMap::new(),
            ports: ports.iter().map(port).collect(),
            addresses: None,
        }
    }

    fn swept(seen: Vec<Observed>, strays: Strays, mut stages: Vec<Stage>) -> Vec<Vec<String>> {
        let seen = BTreeMap::from([(VmId::new("vm1"), seen)]);
        sweep(&topology(), &Allocation::default(), &seen, strays, &mut stages);
        let texts = |stage: &Stage| stage.iter().map(ToString::to_string).collect();
        stages.iter().map(texts).collect()
    }

    const OLD: &str = "delete container 'old' from vm 'vm1'";

    #[test]
    fn what_was_renamed_goes_after_its_successor_has_come_and_before_its_vm() {
        let vm = VmId::new("vm1");
        let release = Action::DeleteVm { vm: vm.clone() };
        let create = Action::CreateContainer {
            vm,
            container: TierId::new("a_web"),
            size: Size::new(1, 1),
            cores: CoreSet::default(),
            revision: None,
            digest: None,
        };
        let old = |ports: &[u16]| vec![seen("old", true, State::Running, ports)];
        let stages = || vec![vec![create.clone()], vec![release.clone()]];
        let (created, released) = (create.to_string(), release.to_string());
        let after = [[created.clone()], [OLD.to_owned()], [released.clone()]];
        let before = [[OLD.to_owned()], [created], [released.clone()]];
        assert_eq!(swept(old(&[]), Strays::Last, stages()), after);
        assert_eq!(swept(old(&[]), Strays::First, stages()), before);
        assert_eq!(swept(old(&[80]), Strays::Last, stages()), before);
        assert_eq!(swept(old(&[80]), Strays::Last, vec![]), [[OLD]]);
        let left = vec![seen("old", true, State::Exited, &[])];
        assert_eq!(swept(left, Strays::Last, vec![]), [[OLD]]);
        let theirs = vec![seen("old", false, State::Running, &[80])];
        assert_eq!(swept(theirs, Strays::First, stages()).len(), 2);
    }

    #[test]
    fn what_a_replacement_takes_up_is_not_removed_beside_it() {
        let replace = |tier: &str| Action::ReplaceContainer {
            vm: VmId::new("vm1"),
            container: TierId::new(tier),
            size: Size::new(1, 1),
            cores: CoreSet::default(),
            was_cores: CoreSet::default(),
            handover: Handover::StopFirst,
            revision: RevisionId::new("new"),
            was_revision: RevisionId::new("old"),
            moved: Vec::new(),
            digest: None,
            hooks: Vec::new(),
        };
        let left = || vec![seen("a_web.next", true, State::Exited, &[])];
        let removal = "delete container 'a_web.next' from vm 'vm1'".to_owned();
        let (own, other) = (replace("a_web"), replace("a_db"));
        let both = vec![other.to_string(), removal.clone()];
        assert_eq!(
            swept(left(), Strays::Last, vec![vec![own.clone()]]),
            [[own.to_string()]]
        );
        assert_eq!(swept(left(), Strays::Last, vec![vec![other]]), [both]);
        assert_eq!(swept(left(), Strays::Last, vec![]), [[removal]]);
    }

    #[test]
    fn what_was_renamed_takes_no_room_once_it_is_to_go_first() {
        let (topology, vm) = (topology(), VmId::new("vm1"));
        let mut allocation = Allocation::default();
        let empty = crate::model::Vm::empty(None, Size::new(2, 4));
        let there = vec![
            seen("old", true, State::Running, &[]),
            seen("theirs", false, State::Running, &[]),
        ];
        allocation
            .vms
            .insert(vm.clone(), as_seen(&topology, &empty, &there));
        let seen = BTreeMap::from([(vm.clone(), there)]);
        let without = without_strays(&topology, &allocation, &seen).unwrap();
        let room = |allocation: &Allocation| allocation.vms.get(&vm).map(crate::model::Vm::room);
        assert_eq!(room(&allocation), Some(Size::new(1, 2)));
        assert_eq!(room(&without), Some(Size::new(1, 3)));
        assert_eq!(without_strays(&topology, &without, &BTreeMap::new()), None);
    }
}
