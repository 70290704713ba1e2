//! Looking at everything that can be known before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::json;

use crate::cloud::Change;
use crate::engine::Observed;
use crate::fault::{Code, Fault};
use crate::hooks::Kind;
use crate::model::{TierId, Topology, VmId};
use crate::translate::{Action, Stage};

use super::world::{View, World};

/// What stands in the way of these stages: VMs that the cloud can't make, engines that do not
/// answer, names and ports taken by containers that are not ours, hooks that are missing.
/// All of it, not only the first.
///
/// `seen` is what engines were seen to run a moment ago; they are not asked again.
pub async fn preflight(
    world: &World,
    view: &View,
    seen: &BTreeMap<VmId, Vec<Observed>>,
    stages: &[Stage],
) -> Vec<Fault> {
    let forecast = world.cloud.forecast(&change(stages, false)).await;
    let mut faults: Vec<Fault> = match forecast {
        Ok(forecast) => forecast.obstacles.into_iter().map(Fault::from).collect(),
        Err(error) => vec![error.into()],
    };
    let mut creations: BTreeMap<&VmId, BTreeSet<&TierId>> = BTreeMap::new();
    for action in stages.iter().flatten() {
        // A VM without an engine yet has nothing on it that could stand in the way.
        if !world.vms.contains_key(action.vm()) {
            continue;
        }
        let names = creations.entry(action.vm()).or_default();
        if let Action::CreateContainer { container, .. } = action {
            names.insert(container);
        }
    }
    let looks = creations
        .into_iter()
        .map(|(vm, names)| look(world, view, seen.get(vm), vm, names));
    faults.extend(join_all(looks).await.into_iter().flatten());
    faults.extend(missing_hooks(world, stages));
    faults
}

/// What the cloud's owner should know before these stages are carried out.
pub async fn remarks(world: &World, stages: &[Stage]) -> Vec<String> {
    match world.cloud.forecast(&change(stages, true)).await {
        Ok(forecast) => forecast.remarks,
        // What keeps the cloud from being asked is an obstacle, and told as one.
        Err(_) => Vec::new(),
    }
}

/// The VMs that are made and that go.
fn change(stages: &[Stage], remarks: bool) -> Change {
    let mut change = Change {
        remarks,
        ..Change::default()
    };
    for action in stages.iter().flatten() {
        match action {
            Action::CreateVm { vm } => change.made.push(vm.clone()),
            Action::DeleteVm { vm } => change.gone.push(vm.clone()),
            _ => {}
        }
    }
    change
}

async fn look(
    world: &World,
    view: &View,
    seen: Option<&Vec<Observed>>,
    vm: &VmId,
    names: BTreeSet<&TierId>,
) -> Vec<Fault> {
    let observed = match (seen, world.engine(view, vm)) {
        (Some(seen), _) => Ok(seen.clone()),
        (None, Ok((_, engine))) => engine.observe().await.map_err(Fault::from),
        (None, Err(fault)) => Err(fault),
    };
    match observed {
        Ok(observed) => observed
            .iter()
            .filter(|container| !container.managed)
            .flat_map(|foreign| clashes(&world.topology, vm, foreign, &names))
            .collect(),
        Err(fault) => {
            let place = json!({ "vm": vm });
            vec![
                Fault {
                    message: format!("VM '{vm}': {}", fault.message),
                    ..fault
                }
                .with([place]),
            ]
        }
    }
}

/// The names and ports that a container of others takes from these tiers on its VM.
pub(super) fn clashes(
    topology: &Topology,
    vm: &VmId,
    foreign: &Observed,
    names: &BTreeSet<&TierId>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for tier in names.iter().filter_map(|id| topology.tiers.get(*id)) {
        let place = json!({ "vm": vm, "container": tier.id });
        if foreign.name == tier.id.as_str() {
            let message = format!(
                "VM '{vm}' has a container named {} that {}; {}",
                tier.id,
                foreign.whose(),
                foreign.way_out()
            );
            faults.push(Fault::new(Code::NameTaken, message).with([place.clone()]));
        }
        let running = foreign.state.holds();
        let taken = tier
            .ports
            .iter()
            .find(|port| foreign.ports.iter().any(|other| other.conflicts(port)));
        if let (true, Some(port)) = (running, taken) {
            let message = format!(
                "host port {}/{} of VM '{vm}', which {} publishes, is in use by container {} that {}",
                port.host,
                port.protocol,
                tier.id,
                foreign.name,
                foreign.whose()
            );
            faults.push(Fault::new(Code::PortTaken, message).with([place]));
        }
    }
    faults
}

fn missing_hooks(world: &World, stages: &[Stage]) -> Vec<Fault> {
    let Some(hooks) = &world.hooks else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for action in stages.iter().flatten() {
        let (kind, named) = match action {
            Action::RunScaleHook { hooks, .. } => (Kind::Scale, hooks.as_slice()),
            Action::RunTierHook { hook, .. } => (Kind::Tier, std::slice::from_ref(hook)),
            Action::CreateVm { .. }
            | Action::DeleteVm { .. }
            | Action::CreateContainer { .. }
            | Action::UpdateContainer { .. }
            | Action::DeleteContainer { .. } => continue,
        };
        for hook in named
            .iter()
            .filter(|hook| !hooks.of(kind).contains_key(hook.as_str()))
        {
            if seen.insert((kind.folder(), hook.clone())) {
                let message = format!(
                    "the hooks repository has no {}/{hook} (at {})",
                    kind.folder(),
                    hooks.revision
                );
                faults.push(Fault::new(Code::HookMissing, message));
            }
        }
    }
    faults
}
