//! A container's dependencies, just before it is created.

use crate::engine::{Health, State};
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Container, TierId, VmId};
use crate::translate::{Action, Place};

use super::beside::start_again;
use super::effect::real_name;
use super::page::Page;
use super::perform::{Failure, unknown};
use super::record::Execution;
use super::world::{View, World};

/// Makes sure, before a container is created or replaced, that what it depends on runs and is healthy. Other
/// actions wait for nothing. What is started again for that is on the action's page before.
pub async fn await_dependencies(
    world: &World,
    view: &View,
    execution: &Execution,
    action: &Action,
    page: &Page<'_>,
) -> Result<(), Failure> {
    let (Action::CreateContainer { container, .. } | Action::ReplaceContainer { container, .. }) = action
    else {
        return Ok(());
    };
    let target = match &execution.progress.back {
        // In a rollback, what was there before counts.
        Some(_) => &world.from,
        None => execution.target(),
    };
    let tier = world
        .topology
        .tiers
        .get(container)
        .ok_or_else(|| unknown(container))?;
    for dependency in &tier.depends_on {
        await_dependency(world, view, target, dependency, page).await?;
    }
    Ok(())
}

/// Makes sure that a dependency runs somewhere, and is healthy there where it has a health check: what
/// was confirmed of it may be long ago. The failure passes when it comes up.
async fn await_dependency(
    world: &World,
    view: &View,
    target: &Allocation,
    dependency: &TierId,
    page: &Page<'_>,
) -> Result<(), Failure> {
    let mut down = Ok(());
    let stays = |vm: &VmId| {
        let mut planned = target
            .vms
            .iter()
            .filter(|(_, vm)| vm.used.contains_key(dependency));
        planned.any(|(name, _)| real_name(&view.bindings, name) == vm)
    };
    for (vm, held) in view.allocation.places(dependency) {
        // A dependency that is about to be removed is not waited for, and not started again.
        if !stays(vm) {
            continue;
        }
        match is_up(world, view, vm, dependency, held, page).await {
            Ok(()) => return Ok(()),
            failure => down = failure,
        }
    }
    down
}

async fn is_up(
    world: &World,
    view: &View,
    vm: &VmId,
    dependency: &TierId,
    held: &Container,
    page: &Page<'_>,
) -> Result<(), Failure> {
    let (_, engine) = world.engine(view, vm)?;
    let seen = engine.find(dependency.as_str()).await?;
    let why = match seen
        .filter(|seen| seen.managed)
        .map(|seen| (seen.state, seen.health))
    {
        Some((State::Running, None | Some(Health::Healthy))) => return Ok(()),
        Some((State::Running, Some(Health::Starting))) => "is not healthy yet",
        Some((State::Running, Some(Health::Unhealthy))) => "fails its health check",
        Some((State::Paused, _)) => "is paused",
        Some((State::Restarting, _)) => "ends again and again",
        Some((State::Created | State::Removing | State::Exited | State::Dead, _)) | None => {
            page.starts(Place {
                vm: vm.clone(),
                container: dependency.clone(),
            })
            .await?;
            return start_again(world, view, vm, engine.as_ref(), (dependency, held)).await;
        }
    };
    let message = format!("container '{dependency}' on vm '{vm}', which it depends on, {why}");
    Err(Failure {
        again: true,
        ..Fault::new(Code::ContainerUnhealthy, message).into()
    })
}
