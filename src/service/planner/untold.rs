//! Containers that are made now, of tiers that an earlier execution was to tell of a dependency and did not: it
//! ended before they were there. They are told once they run. Pure.

use std::collections::BTreeSet;

use crate::model::{TierId, Topology, VmId};
use crate::translate::{Action, Stage};

/// Adds their dependency hooks to the stages.
pub fn tell(topology: &Topology, untold: &BTreeSet<TierId>, stages: &mut Vec<Stage>) {
    let tells = |action: &Action, vm: &VmId, tier: &TierId| {
        let here = action.vm() == vm && action.container() == Some(tier);
        here && matches!(action, Action::RunTierHook { .. })
    };
    let made = stages.iter().flatten().filter_map(|action| match action {
        Action::CreateContainer { vm, container, .. } if untold.contains(container) => {
            Some((vm.clone(), container.clone()))
        }
        _ => None,
    });
    let made: Vec<(VmId, TierId)> = made.collect();
    for (vm, tier) in made {
        let hook = topology.tiers.get(&tier);
        let Some(hook) = hook.and_then(|tier| tier.on_dependency_scale.as_ref()) else {
            continue;
        };
        if stages.iter().flatten().any(|action| tells(action, &vm, &tier)) {
            continue;
        }
        let about = |action: &Action| action.vm() == &vm && action.container() == Some(&tier);
        let last = stages.iter().rposition(|stage| stage.iter().any(about));
        let after = last.map_or(stages.len(), |last| last + 1);
        let hook = Action::RunTierHook {
            vm,
            container: tier,
            hook: hook.clone(),
            leaving: Vec::new(),
        };
        let of_vms = |action: &Action| matches!(action, Action::CreateVm { .. } | Action::DeleteVm { .. });
        match stages.get_mut(after) {
            // VMs are deleted last, and nothing happens beside that.
            Some(stage) if !stage.iter().any(of_vms) => stage.push(hook),
            _ => stages.insert(after, vec![hook]),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{CoreSet, Size};

    #[test]
    fn what_is_made_after_its_tier_was_not_told_is_told_after_its_other_hooks() {
        let document = json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 8, "hooks_git_repo": "/hooks" },
            "apps": [{ "name": "a", "tiers": {
                "lb": { "docker_image": "x", "depends_on": ["web"], "on_dependency_scale": "pool.sh", "on_node_scale": "size.sh" },
                "web": { "docker_image": "x" }
            } }]
        });
        let topology = Topology::parse(&document).unwrap().topology;
        let (vm, lb) = (VmId::new("vm1"), TierId::new("a_lb"));
        let make = Action::CreateContainer {
            vm: vm.clone(),
            container: lb.clone(),
            size: Size::new(1, 1),
            cores: CoreSet::default(),
            revision: None,
            digest: None,
        };
        let scale = Action::RunScaleHook {
            vm,
            container: lb.clone(),
            hooks: topology.tiers.get(&lb).unwrap().on_node_scale.clone(),
        };
        let told = |untold: &[&TierId]| {
            let mut stages = vec![vec![make.clone()], vec![scale.clone()]];
            tell(
                &topology,
                &untold.iter().map(|tier| (*tier).clone()).collect(),
                &mut stages,
            );
            // Once is enough.
            let once = stages.clone();
            tell(&topology, &[lb.clone()].into(), &mut stages);
            (once, stages)
        };
        assert_eq!(told(&[]).0.len(), 2);
        let (once, again) = told(&[&lb]);
        assert_eq!(once, again);
        let texts: Vec<String> = once.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(
            texts.last().unwrap(),
            "run tier hook for container 'a_lb' on vm 'vm1'"
        );
        assert_eq!(once.len(), 3);
        assert_eq!(told(&[&TierId::new("a_web")]).0.len(), 2);
        // Not beside the removal of a VM.
        let released = Action::DeleteVm { vm: VmId::new("vm2") };
        let mut stages = vec![vec![make], vec![released.clone()]];
        tell(&topology, &[lb].into(), &mut stages);
        assert_eq!(stages.len(), 3);
        assert_eq!(stages.last(), Some(&vec![released]));
    }
}
