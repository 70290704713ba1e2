//! What is done before containers go, or are stopped for their successors: their own hooks, and word to those who use them.
//!
//! A load balancer that is told of a server's end only afterwards sends requests to a closed port for a while. So the
//! dependency hooks of a tier run a stage before some of a dependency's containers are removed, as long as others of
//! it stay, and are told of an allocation without those that go. They run once more behind, as after every change. A
//! container that makes way for its successor only when that is up takes requests all the while: nobody is told before.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Allocation, Handover, Size, TierId, Topology, VmId};

use super::action::{Action, Place};

/// Adds the hooks to stages of container actions.
pub(super) fn add(topology: &Topology, from: &Allocation, stages: &mut Vec<Vec<Action>>) {
    let mut now: BTreeMap<TierId, BTreeSet<VmId>> = BTreeMap::new();
    for (vm, held) in &from.vms {
        for tier in held.used.keys() {
            now.entry(tier.clone()).or_default().insert(vm.clone());
        }
    }
    for mut stage in std::mem::take(stages) {
        let mut leaving: BTreeMap<TierId, BTreeSet<VmId>> = BTreeMap::new();
        for action in &mut stage {
            match action {
                Action::DeleteContainer {
                    vm,
                    container,
                    was,
                    hooks,
                    ..
                } => {
                    if let Some(tier) = topology.tiers.get(container) {
                        hooks.clone_from(&tier.on_node_stop);
                    }
                    // What holds nothing does not run.
                    if *was != Size::ZERO {
                        leaving.entry(container.clone()).or_default().insert(vm.clone());
                    }
                }
                Action::ReplaceContainer {
                    vm,
                    container,
                    handover: Handover::StopFirst,
                    ..
                } => {
                    leaving.entry(container.clone()).or_default().insert(vm.clone());
                }
                _ => {}
            }
        }
        let words = words(topology, &now, &leaving);
        if !words.is_empty() {
            stages.push(words);
        }
        for action in &stage {
            let Some(tier) = action.container() else { continue };
            let places = now.entry(tier.clone()).or_default();
            match action {
                Action::CreateContainer { vm, .. } => drop(places.insert(vm.clone())),
                Action::DeleteContainer { vm, .. } => drop(places.remove(vm)),
                _ => {}
            }
        }
        stages.push(stage);
    }
}

/// The hooks that report what is about to be removed, in every user's container that is not removed
/// at the same time.
fn words(
    topology: &Topology,
    now: &BTreeMap<TierId, BTreeSet<VmId>>,
    leaving: &BTreeMap<TierId, BTreeSet<VmId>>,
) -> Vec<Action> {
    let there = |tier: &TierId| now.get(tier).map_or(0, BTreeSet::len);
    let mut hooks = Vec::new();
    for (id, tier) in &topology.tiers {
        let Some(hook) = &tier.on_dependency_scale else {
            continue;
        };
        let places: Vec<Place> = tier
            .depends_on
            .iter()
            .filter_map(|other| Some((other, leaving.get(other)?)))
            .filter(|(other, vms)| there(other) > vms.len())
            .flat_map(|(other, vms)| {
                vms.iter().map(|vm| Place {
                    vm: vm.clone(),
                    container: other.clone(),
                })
            })
            .collect();
        if places.is_empty() {
            continue;
        }
        let own = leaving.get(id);
        let told = now.get(id).into_iter().flatten();
        for vm in told.filter(|vm| own.is_none_or(|own| !own.contains(*vm))) {
            hooks.push(Action::RunTierHook {
                vm: vm.clone(),
                container: id.clone(),
                hook: hook.clone(),
                leaving: places.clone(),
            });
        }
    }
    hooks
}
