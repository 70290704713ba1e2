//! The last look of an execution: what was confirmed on the way must still run. An engine that was
//! restarted meanwhile may have left containers down that no later action concerned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use crate::engine::{Engine, EngineError, Observed, State};
use crate::model::{TierId, Vm, VmId};

use super::beside::start_again;
use super::event::Lost;
use super::retry;
use super::world::{View, World};

/// Looks at these VMs, and starts again what is confirmed and does not run. Returns those that
/// could not be started, or None if `stop` says that there is no time to find out.
/// An engine that is being restarted does not answer, or does not start anything yet, so it gets as
/// long as an action is tried. A VM that can't be asked at all is left to the observer: it is not
/// known that what is on it is lost.
pub async fn last_look(
    world: &World,
    view: &View,
    vms: BTreeSet<VmId>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Lost>> {
    let looks = vms
        .into_iter()
        .map(|vm| async move { at(world, view, &vm, stop).await });
    let lost: Vec<Option<Vec<Lost>>> = stream::iter(looks)
        .buffer_unordered(world.parallel)
        .collect()
        .await;
    let lost: Option<Vec<Vec<Lost>>> = lost.into_iter().collect();
    lost.map(|lost| lost.into_iter().flatten().collect())
}

async fn at(world: &World, view: &View, name: &VmId, stop: &(dyn Fn() -> bool + Sync)) -> Option<Vec<Lost>> {
    let Some(vm) = view.allocation.vms.get(name).filter(|vm| !vm.used.is_empty()) else {
        return Some(Vec::new());
    };
    let Ok((_, engine)) = world.engine(view, name) else {
        return Some(Vec::new());
    };
    let until = Instant::now() + world.retry_for;
    for attempt in 1.. {
        let found = look(world, view, &engine, name, vm).await;
        let wait = retry::wait(attempt, 1.0);
        let late = Instant::now() + wait >= until;
        match found {
            Found::Sure(lost) => return Some(told(name, lost)),
            Found::Passing(down) if late => return Some(told(name, down)),
            Found::Silent(error) if late => {
                tracing::warn!(vm = %name, %error, "could not look once more at the end");
                return Some(Vec::new());
            }
            Found::Passing(_) | Found::Silent(_) if stop() => return None,
            Found::Passing(_) | Found::Silent(_) => tokio::time::sleep(wait).await,
        }
    }
    None
}

/// What one look found: containers that are down, with why they could not be started.
enum Found {
    /// Final: nothing is down, or what is down can't be started.
    Sure(BTreeMap<TierId, String>),
    /// The reasons may pass.
    Passing(BTreeMap<TierId, String>),
    /// The engine does not answer.
    Silent(EngineError),
}

async fn look(world: &World, view: &View, engine: &Arc<dyn Engine>, name: &VmId, vm: &Vm) -> Found {
    let seen = match engine.list().await {
        Ok(seen) => seen,
        Err(error) => return Found::Silent(error),
    };
    let mut down = BTreeMap::new();
    let mut passing = false;
    for (container, held) in &vm.used {
        match state(&seen, container) {
            Some(State::Running) => continue,
            // The engine itself is about to start it.
            Some(State::Restarting) => {
                down.insert(
                    container.clone(),
                    "its engine restarts it again and again".to_owned(),
                );
                passing = true;
                continue;
            }
            _ => tracing::warn!(vm = %name, %container, "it does not run any more; starting it again"),
        }
        if let Err(failure) = start_again(world, view, name, engine.as_ref(), (container, held)).await {
            passing |= failure.again;
            let error = failure.fault.message;
            tracing::error!(vm = %name, %container, error, "it does not run any more, and could not be started");
            down.insert(container.clone(), error);
        }
    }
    if passing {
        Found::Passing(down)
    } else {
        Found::Sure(down)
    }
}

fn told(vm: &VmId, down: BTreeMap<TierId, String>) -> Vec<Lost> {
    let lost = |(container, error)| Lost {
        vm: vm.clone(),
        container,
        error,
    };
    down.into_iter().map(lost).collect()
}

/// The state of an own container; None if there is none of that name.
fn state(seen: &[Observed], tier: &TierId) -> Option<State> {
    let ours = |seen: &&Observed| seen.managed && seen.name == tier.as_str();
    seen.iter().find(ours).map(|seen| seen.state)
}
