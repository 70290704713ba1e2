//! The look that an execution ends with: what was confirmed on the way must still run now. An
//! engine that was restarted meanwhile may have left containers down that no later action was about.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use crate::engine::{Engine, Observed, State};
use crate::model::{TierId, Vm, VmId};

use super::event::Lost;
use super::spec;
use super::world::{View, World};

/// Looks at these VMs, and starts again what is confirmed and does not run. Answers with
/// those that could not be started; a VM that can't be asked is left to the observer.
pub async fn last_look(world: &World, view: &View, vms: BTreeSet<VmId>) -> Vec<Lost> {
    let looks = vms
        .into_iter()
        .map(|vm| async move { at(world, view, &vm).await });
    let lost: Vec<Vec<Lost>> = stream::iter(looks)
        .buffer_unordered(world.parallel)
        .collect()
        .await;
    lost.into_iter().flatten().collect()
}

async fn at(world: &World, view: &View, name: &VmId) -> Vec<Lost> {
    let Some(vm) = view.allocation.vms.get(name).filter(|vm| !vm.used.is_empty()) else {
        return Vec::new();
    };
    let Ok((_, engine)) = world.engine(view, name) else {
        return Vec::new();
    };
    let seen = match engine.observe().await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::warn!(vm = %name, %error, "could not look once more at the end");
            return Vec::new();
        }
    };
    let mut lost = Vec::new();
    for container in down(vm, &seen) {
        tracing::warn!(vm = %name, %container, "it does not run any more; starting it again");
        if let Err(error) = start(world, view, &engine, vm, container).await {
            tracing::error!(vm = %name, %container, %error, "it does not run any more, and could not be started");
            lost.push(Lost {
                vm: name.clone(),
                container: container.clone(),
                error,
            });
        }
    }
    lost
}

/// What the allocation has on a VM and the engine does not run.
fn down<'v>(vm: &'v Vm, seen: &[Observed]) -> Vec<&'v TierId> {
    let runs = |tier: &TierId| {
        seen.iter()
            .any(|seen| seen.managed && seen.name == tier.as_str() && seen.state == State::Running)
    };
    vm.used.keys().filter(|tier| !runs(tier)).collect()
}

async fn start(
    world: &World,
    view: &View,
    engine: &Arc<dyn Engine>,
    vm: &Vm,
    container: &TierId,
) -> Result<(), String> {
    let (Some(tier), Some(held)) = (world.topology.tiers.get(container), vm.used.get(container)) else {
        return Ok(());
    };
    let spec = spec::container(&world.topology, tier, held.size, &held.cores, &view.allocation);
    match engine.ensure_running(&spec).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
