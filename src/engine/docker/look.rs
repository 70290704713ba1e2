//! Reads the state of the machine and of containers. Nothing here changes anything.

use bollard::models::HostConfig;
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::call::Caller;
use super::capabilities;
use super::read;
use crate::engine::{Effect, EngineError, EngineErrorKind, Identity, LABEL_PROBE, Machine, Observed, State};
use crate::fault::Secrets;

/// Containers that are inspected at the same time.
const AT_ONCE: usize = 8;

/// A container with what only the driver needs.
pub struct Found {
    pub seen: Observed,
    /// Seconds between the stop signal and the kill, as the container was made.
    pub grace_s: u64,
    /// How often the engine has restarted it.
    pub restarts: i64,
    /// What the engine says about its last failure to start.
    pub trouble: String,
    /// What its last failed health check said.
    pub check: String,
    /// How it was made, as the engine wrote it down.
    pub host: HostConfig,
    /// The signal that stops it.
    pub stop_signal: Option<String>,
}

/// Docker's own grace period, if a container has none.
const DEFAULT_GRACE_S: u64 = 10;

/// What the machine has, and whether its kernel counts swap.
pub async fn machine(caller: &Caller) -> Result<(Machine, bool), EngineError> {
    let (info, bridge) = futures_util::join!(
        caller.look("ask what the machine has", caller.docker.info()),
        caller.look(
            "ask for the default network",
            caller.docker.inspect_network("bridge", None)
        ),
    );
    let info = info?;
    let missing = |what: &str| {
        let message = format!("could not ask what the machine has: the answer does not contain its {what}");
        caller.error(EngineErrorKind::Garbled, Effect::None, message)
    };
    let cores = info
        .ncpu
        .and_then(|cores| u32::try_from(cores).ok())
        .ok_or_else(|| missing("cores"))?;
    let memory = info
        .mem_total
        .and_then(|memory| u64::try_from(memory).ok())
        .ok_or_else(|| missing("memory"))?;
    // An engine may have been set up without the default network.
    let gateway = bridge
        .ok()
        .and_then(|network| network.ipam)
        .and_then(|ipam| read::gateway(&ipam.config.unwrap_or_default()));
    let about = capabilities::about(&info);
    let identity = Identity {
        id: info.id.unwrap_or_default(),
        home: [info.name, info.docker_root_dir]
            .map(Option::unwrap_or_default)
            .join(":"),
    };
    let machine = Machine {
        cores,
        memory,
        version: info.server_version.unwrap_or_default(),
        gateway,
        identity,
        about,
    };
    Ok((machine, info.swap_limit.unwrap_or(true)))
}

/// Every container: our own, and others that hold anything, with all details; the rest as in the
/// list.
pub async fn all(caller: &Caller) -> Result<Vec<Observed>, EngineError> {
    let mut seen: Vec<Observed> = stream::iter(list(caller).await?)
        .map(|container| async {
            if container.managed || container.state.holds() {
                // One that is gone by now is None.
                Ok(one(caller, &container.id).await?.map(|found| found.seen))
            } else {
                Ok::<_, EngineError>(Some(container))
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|container| async { Ok(container) })
        .try_collect()
        .await?;
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(seen)
}

/// Every container, as the list tells them.
pub async fn list(caller: &Caller) -> Result<Vec<Observed>, EngineError> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed = caller
        .look("list containers", caller.docker.list_containers(Some(options)))
        .await?;
    let listed = listed.into_iter();
    Ok(listed.map(|found| read::listed(found, &caller.owners)).collect())
}

/// One container by name or id.
pub async fn one(caller: &Caller, name: &str) -> Result<Option<Found>, EngineError> {
    let what = format!("inspect container '{name}'");
    match caller
        .look(&what, caller.docker.inspect_container(name, None))
        .await
    {
        Ok(answer) => {
            let state = answer.state.as_ref();
            let started = state.and_then(|state| state.started_at.clone());
            let check = state
                .and_then(|state| state.health.as_ref())
                .and_then(|health| health.log.as_ref())
                .and_then(|log| log.last())
                .and_then(|last| last.output.clone())
                .unwrap_or_default();
            let mut found = Found {
                grace_s: answer
                    .config
                    .as_ref()
                    .and_then(|config| config.stop_timeout)
                    .and_then(|seconds| u64::try_from(seconds).ok())
                    .unwrap_or(DEFAULT_GRACE_S),
                restarts: answer.restart_count.unwrap_or_default(),
                trouble: state.and_then(|state| state.error.clone()).unwrap_or_default(),
                check,
                host: answer.host_config.clone().unwrap_or_default(),
                stop_signal: answer
                    .config
                    .as_ref()
                    .and_then(|config| config.stop_signal.clone()),
                seen: read::inspected(answer, &caller.owners),
            };
            probe(caller, &mut found, started.unwrap_or_default()).await;
            // The engine also accepts the beginning of an id as a name.
            Ok((found.seen.name == name || found.seen.id == name).then_some(found))
        }
        Err(failed) if failed.status == Some(404) => Ok(None),
        Err(failed) => Err(failed.error),
    }
}

/// The health of a container of ours that is probed from here, while it runs.
async fn probe(caller: &Caller, found: &mut Found, started: String) {
    let seen = &mut found.seen;
    let label = seen.labels.get(LABEL_PROBE).filter(|_| seen.managed);
    if let Some(label) = label
        && seen.state == State::Running
        && let Ok(target) = serde_json::from_str(label)
    {
        let (health, said) = caller.probes.health((seen.id.clone(), started), target).await;
        seen.health = Some(health);
        found.check = said;
    }
}

/// What must not be shown of a container. The engine is asked, since it has the values that the
/// container was made with, wherever they came from. None if the engine does not say.
pub async fn secrets(caller: &Caller, id: &str) -> Option<Secrets> {
    let what = format!("inspect container '{id}'");
    let found = caller.look(&what, caller.docker.inspect_container(id, None));
    let found = found.await.ok()?;
    let environment = found.config?.env.unwrap_or_default();
    let image = found.image.unwrap_or_default();
    let what = format!("inspect image '{image}'");
    let image = caller.look(&what, caller.docker.inspect_image(&image)).await;
    let given = image.ok().and_then(|image| image.config?.env);
    Some(Secrets::of(&environment, &given.unwrap_or_default()))
}

/// One container that must be there and must be ours, by name.
pub async fn ours(caller: &Caller, name: &str) -> Result<Found, EngineError> {
    match one(caller, name).await? {
        None => {
            let message = format!("there is no container '{name}' on this engine");
            Err(caller.error(EngineErrorKind::Missing, Effect::None, message))
        }
        Some(found) if !found.seen.managed => Err(foreign(caller, &found.seen)),
        Some(found) => Ok(found),
    }
}

/// The name is taken by a container that is not ours.
pub fn foreign(caller: &Caller, seen: &Observed) -> EngineError {
    let message = format!(
        "there is a container '{}' that {}, and which is therefore left alone; {}",
        seen.name,
        seen.whose(),
        seen.way_out()
    );
    caller.error(EngineErrorKind::Foreign, Effect::None, message)
}
