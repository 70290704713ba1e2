//! Checks everything that can be known before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::json;

use crate::cloud::Change;
use crate::engine::{Observed, successor};
use crate::fault::{Code, Fault};
use crate::hooks::Kind;
use crate::model::{Size, TierId, Topology, VmId, mib};
use crate::translate::{Action, Stage};

use super::reality::as_seen;
use super::spec;
use super::world::{View, World};

/// What prevents these stages: VMs that the cloud can't make, engines that do not answer, names and
/// ports taken by other containers, missing hooks. All of it, not only the first.
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
    let mut replaced: BTreeMap<&VmId, BTreeSet<&TierId>> = BTreeMap::new();
    for action in stages.iter().flatten() {
        // A VM that has no engine yet has nothing on it that could be in the way.
        if !world.vms.contains_key(action.vm()) {
            continue;
        }
        let names = creations.entry(action.vm()).or_default();
        if let Action::CreateContainer { container, .. } | Action::ReplaceContainer { container, .. } = action
        {
            names.insert(container);
        }
        if let Action::ReplaceContainer { container, .. } = action {
            replaced.entry(action.vm()).or_default().insert(container);
        }
    }
    let looks = creations.into_iter().map(|(vm, names)| {
        let replaced = replaced.remove(vm).unwrap_or_default();
        look(world, view, seen.get(vm), vm, (names, replaced))
    });
    let shrinks = stages.iter().flatten().filter_map(|action| match action {
        Action::UpdateContainer {
            vm,
            container,
            size,
            was,
            ..
        } if size.mem < was.mem => Some(too_small(world, view, vm, container, *size)),
        _ => None,
    });
    let (looks, shrinks) = tokio::join!(join_all(looks), join_all(shrinks));
    faults.extend(looks.into_iter().flatten());
    faults.extend(shrinks.into_iter().flatten());
    faults.extend(missing_hooks(world, stages));
    faults
}

/// What the cloud's owner should know before these stages are carried out.
pub async fn remarks(world: &World, stages: &[Stage]) -> Vec<String> {
    match world.cloud.forecast(&change(stages, true)).await {
        Ok(forecast) => forecast.remarks,
        // If the cloud can't be asked, that is an obstacle, and reported as one.
        Err(_) => Vec::new(),
    }
}

/// The VMs that are made, and those that are deleted.
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
    (names, replaced): (BTreeSet<&TierId>, BTreeSet<&TierId>),
) -> Vec<Fault> {
    let observed = match (seen, world.engine(view, vm)) {
        (Some(seen), _) => Ok(seen.clone()),
        (None, Ok((_, engine))) => engine.observe().await.map_err(Fault::from),
        (None, Err(fault)) => Err(fault),
    };
    match observed {
        Ok(observed) => {
            let others = observed.iter().filter(|container| !container.managed);
            let clashes = others.flat_map(|foreign| {
                let mut faults = clashes(&world.topology, vm, foreign, &names);
                faults.extend(successor_barred(vm, foreign, &replaced));
                faults
            });
            let news = seen.is_none().then(|| otherwise(world, view, vm, &observed));
            clashes.chain(news.flatten()).collect()
        }
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

/// A container uses more memory than its new limit. What can't be measured is left to the action
/// itself.
async fn too_small(world: &World, view: &View, vm: &VmId, container: &TierId, size: Size) -> Option<Fault> {
    let (_, engine) = world.engine(view, vm).ok()?;
    let held = engine.memory_held(container.as_str()).await.ok()??;
    let limit = spec::memory(&world.topology, size);
    let message = format!(
        "container '{container}' on VM '{vm}' uses {}, and {} mem_units leave it {}; give its tier more, or let the \
         container free some first",
        mib(held),
        size.mem,
        mib(limit)
    );
    let details = json!({ "vm": vm, "container": container, "memory_used": held, "memory_limit": limit });
    (held > limit).then(|| Fault::new(Code::MemoryInUse, message).with([details]))
}

/// A VM that did not answer when the plan was placed does not run what was assumed.
fn otherwise(world: &World, view: &View, vm: &VmId, observed: &[Observed]) -> Option<Fault> {
    let planned_on = view.allocation.vms.get(vm)?;
    let now = as_seen(&world.topology, planned_on, observed);
    let same = now.foreign == planned_on.foreign && now.used == planned_on.used;
    let message = format!(
        "VM '{vm}' did not answer when the plan was placed, and does not run what was assumed to run there; send the \
         plan again"
    );
    (!same).then(|| Fault::new(Code::Conflict, message).with([json!({ "vm": vm })]))
}

/// Another container has the name that a successor needs for a while.
fn successor_barred(vm: &VmId, foreign: &Observed, replaced: &BTreeSet<&TierId>) -> Option<Fault> {
    let tier = replaced
        .iter()
        .find(|tier| successor(tier.as_str()) == foreign.name)?;
    let message = format!(
        "VM '{vm}' has a container named {} that {}, and {tier} can't be replaced beside it; {}",
        foreign.name,
        foreign.whose(),
        foreign.way_out()
    );
    Some(Fault::new(Code::NameTaken, message).with([json!({ "vm": vm, "container": tier })]))
}

/// The names and ports of these tiers that other containers have taken on their VM.
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
            Action::RunScaleHook { hooks, .. }
            | Action::DeleteContainer { hooks, .. }
            | Action::ReplaceContainer { hooks, .. } => (Kind::Scale, hooks.as_slice()),
            Action::RunTierHook { hook, .. } => (Kind::Tier, std::slice::from_ref(hook)),
            // What is to run in it before it goes is looked for while it can still be put right.
            Action::CreateContainer { container, .. } => match world.topology.tiers.get(container) {
                Some(tier) => (Kind::Scale, tier.on_node_stop.as_slice()),
                None => continue,
            },
            Action::CreateVm { .. } | Action::DeleteVm { .. } | Action::UpdateContainer { .. } => continue,
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::{CpuLimit, Limits};
    use crate::model::CoreSet;

    #[test]
    fn a_container_of_others_with_the_name_of_a_successor_is_told_beforehand() {
        let limits = Limits {
            cpu: CpuLimit::Cores(CoreSet::default()),
            memory: 0,
        };
        let named = |name: &str| Observed {
            managed: false,
            ..crate::execute::fake::container(name, &limits)
        };
        let web = TierId::of("app", "web");
        let barred = |name: &str| successor_barred(&VmId::new("vm1"), &named(name), &[&web].into());
        let fault = barred("app_web.next").unwrap();
        assert_eq!(fault.code, Code::NameTaken);
        assert!(fault.message.contains("named app_web.next"), "{fault}");
        assert_eq!(barred("app_web"), None);
        assert_eq!(barred("app_db.next"), None);
    }
}
