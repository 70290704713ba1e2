//! Containers: made or removed, each only as far as needed.

use std::time::Duration;

use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptions,
};

use super::call::{Caller, Failed};
use super::look::{self, Found};
use super::start::{self, Started};
use super::{disk, gpus, image, resize, runtime, spec, wait};
use crate::engine::{
    ContainerSpec, Effect, EngineError, EngineErrorKind, LABEL_SPEC, Observed, State, Wanted, secret,
};
use crate::fault::Secrets;

/// How often to look and act before giving up: a container may change between the two.
const ROUNDS: usize = 5;

/// What has to be done about what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing is there.
    Create,
    /// What was asked for is there and does not run, such as the half-made container of an engine
    /// that was killed.
    Start,
    /// What was asked for is there and is paused.
    Unpause,
    /// What was asked for runs.
    Keep,
    /// An own container that differs from what was asked for, or that fails again and again.
    Replace,
    /// A container that is being removed.
    AwaitRemoval,
    /// A container that is not ours has the name.
    Leave,
}

fn next(found: Option<&Observed>, fingerprint: &str) -> Next {
    let Some(seen) = found else { return Next::Create };
    if !seen.managed {
        return Next::Leave;
    }
    let as_asked = seen
        .labels
        .get(LABEL_SPEC)
        .is_some_and(|label| label == fingerprint);
    match seen.state {
        State::Removing => Next::AwaitRemoval,
        State::Running if as_asked => Next::Keep,
        State::Paused if as_asked => Next::Unpause,
        State::Created | State::Exited if as_asked => Next::Start,
        State::Running | State::Paused | State::Created | State::Exited | State::Restarting | State::Dead => {
            Next::Replace
        }
    }
}

/// See [`crate::engine::Engine::ensure_running`].
pub async fn running(caller: &Caller, asked: &ContainerSpec) -> Result<Observed, EngineError> {
    let name = asked.name.as_str();
    let fingerprint = spec::fingerprint(asked);
    let mut fresh = false;
    for _ in 0..ROUNDS {
        let found = look::one(caller, name).await?;
        match (next(found.as_ref().map(|found| &found.seen), &fingerprint), found) {
            (Next::Leave, Some(found)) => return Err(look::foreign(caller, &found.seen)),
            (Next::Create, _) | (_, None) => {
                create(caller, asked, name, None).await?;
                fresh = true;
            }
            (Next::Replace, Some(found)) => {
                tracing::info!(engine = %caller.endpoint, container = name, "replacing a container that is not as asked");
                remove(caller, &found).await?;
            }
            (Next::AwaitRemoval, Some(found)) => wait::gone(caller, &found.seen).await?,
            (Next::Unpause, Some(found)) => {
                let what = format!("wake the paused container '{name}'");
                caller
                    .change(&what, caller.docker.unpause_container(&found.seen.id))
                    .await?;
            }
            (Next::Keep, Some(found)) => {
                resize::to(caller, &found.seen, &asked.limits).await?;
                return wait::up(caller, &found.seen, wait::Since::Earlier, asked.bake).await;
            }
            (Next::Start, Some(found)) => {
                if let Some(wrong) =
                    runtime::difference(&asked.runtime, &found.host, found.stop_signal.as_deref())
                {
                    if fresh {
                        return Err(not_as_asked(caller, name, &wrong));
                    }
                    tracing::info!(engine = %caller.endpoint, container = name, wrong, "replacing a container that was made otherwise");
                    remove(caller, &found).await?;
                    continue;
                }
                if gpus::contested(caller, &found).await? {
                    if fresh {
                        return Err(not_as_asked(
                            caller,
                            name,
                            "a GPU of it that another container has",
                        ));
                    }
                    tracing::info!(engine = %caller.endpoint, container = name, "replacing a container whose GPUs others have by now");
                    remove(caller, &found).await?;
                    continue;
                }
                // Limits are not part of the fingerprint, so a half-made container may have others.
                resize::to(caller, &found.seen, &asked.limits).await?;
                match start::start(caller, &found, asked.bake).await {
                    Started::Up(seen) => return Ok(seen),
                    Started::Broken(error) if !fresh => {
                        tracing::warn!(engine = %caller.endpoint, container = name, %error, "replacing a container that can't be started");
                        remove(caller, &found).await?;
                    }
                    Started::Broken(error) | Started::Failed(error) => return Err(error),
                }
            }
        }
    }
    let message = format!(
        "gave up on container '{name}' after {ROUNDS} rounds: something else on the machine keeps changing it"
    );
    Err(caller.error(EngineErrorKind::Refused, Effect::Unknown, message))
}

/// An engine that makes a container differently from what was asked would do so again.
pub fn not_as_asked(caller: &Caller, name: &str, wrong: &str) -> EngineError {
    let message = format!(
        "container '{name}' was made, but not started: the engine reports {wrong}; leave out what it or its kernel can't do"
    );
    caller.error(EngineErrorKind::Mismatch, Effect::None, message)
}

/// Creates the container under a name: its own, or one that it has until its predecessor is gone. That the name is
/// taken is no failure: the next look says by what. One that is started only when its predecessor is stopped takes over
/// that one's GPUs.
pub async fn create(
    caller: &Caller,
    asked: &ContainerSpec,
    name: &str,
    predecessor: Option<&str>,
) -> Result<(), EngineError> {
    let wanted = Wanted {
        digest: asked.digest.clone(),
        ..Wanted::named(&asked.image, asked.login.clone())
    };
    image::ensure(caller, &wanted, &|_| {}).await?;
    let what = format!("create container '{name}' from image '{}'", asked.image);
    let environment = secret::environment(&asked.environment).map_err(|problem| {
        let message = format!("{what}: {problem}");
        caller.error(EngineErrorKind::Secret, Effect::None, message)
    })?;
    let secrets = Secrets::of(&environment, &[]);
    // Two at once would be given the same GPUs.
    let _alone = match asked.fixed.gpus {
        0 => None,
        _ => Some(caller.giving_gpus.lock().await),
    };
    let gpus = gpus::choose(caller, asked.fixed.gpus, predecessor).await?;
    let mut body = spec::body(asked, environment, caller.owners.own());
    let host = body.host_config.get_or_insert_default();
    host.device_requests = gpus.request().map(|request| vec![request]);
    host.storage_opt = disk::limit(asked.fixed.disk_gb);
    let send = |body| {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        caller.change(&what, caller.docker.create_container(Some(options), body))
    };
    let mut answer = send(body.clone()).await;
    if let Err(failed) = &answer
        && disk::is_refused(&failed.said)
        && let Some(host) = &mut body.host_config
        && host.storage_opt.take().is_some()
    {
        tracing::warn!(engine = %caller.endpoint, container = name, said = failed.said, "the engine can't limit the disk of containers: it is counted, and not enforced");
        answer = send(body).await;
    }
    match answer {
        Ok(answer) => {
            for warning in answer.warnings {
                let warning = secrets.mask(&warning);
                tracing::warn!(engine = %caller.endpoint, container = name, warning, "the engine warns");
            }
            Ok(())
        }
        Err(failed) if failed.status == Some(409) => Ok(()),
        Err(Failed { said, error, .. }) => {
            let message = error.message.replace(&said, &secrets.mask(&said));
            Err(EngineError { message, ..error })
        }
    }
}

/// See [`crate::engine::Engine::ensure_absent`].
pub async fn absent(caller: &Caller, name: &str) -> Result<(), EngineError> {
    match look::one(caller, name).await? {
        None => Ok(()),
        Some(found) if !found.seen.managed => Err(look::foreign(caller, &found.seen)),
        Some(found) => remove(caller, &found).await,
    }
}

/// Stops the container, with its grace period, and removes it. By id: a container that takes the
/// name meanwhile is another one.
pub async fn remove(caller: &Caller, found: &Found) -> Result<(), EngineError> {
    let seen = &found.seen;
    if matches!(seen.state, State::Running | State::Paused | State::Restarting) {
        stop(caller, found).await?;
    }
    let what = format!("remove container '{}'", seen.name);
    let options = RemoveContainerOptionsBuilder::new().v(true).force(true).build();
    match caller
        .change(&what, caller.docker.remove_container(&seen.id, Some(options)))
        .await
    {
        Ok(()) => Ok(()),
        Err(failed) if failed.status == Some(404) => Ok(()),
        // Somebody else is removing it already, unless the engine just refuses.
        Err(failed) if failed.status == Some(409) => match look::one(caller, &seen.id).await? {
            None => Ok(()),
            Some(still) if matches!(still.seen.state, State::Removing | State::Dead) => {
                wait::gone(caller, seen).await
            }
            Some(_) => Err(failed.error),
        },
        Err(failed) => Err(failed.error),
    }
}

pub async fn stop(caller: &Caller, found: &Found) -> Result<(), EngineError> {
    let seen = &found.seen;
    let what = format!("stop container '{}'", seen.name);
    let grace = Duration::from_secs(found.grace_s);
    let call = caller
        .docker
        .stop_container(&seen.id, None::<StopContainerOptions>);
    match caller.change_slowly(&what, grace, call).await {
        Ok(()) => Ok(()),
        Err(failed) if failed.status == Some(404) => Ok(()),
        Err(failed) => Err(failed.error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::LABEL_MANAGED;

    fn seen(managed: bool, fingerprint: &str, state: State) -> Observed {
        let mut labels = BTreeMap::from([(LABEL_SPEC.to_owned(), fingerprint.to_owned())]);
        if managed {
            labels.insert(LABEL_MANAGED.to_owned(), "true".to_owned());
        }
        Observed {
            name: "app_tier".to_owned(),
            id: "id".to_owned(),
            managed,
            image: "image".to_owned(),
            state,
            health: None,
            cpuset: String::new(),
            nano_cpus: 0,
            memory: 0,
            memory_swap: 0,
            fixed: Default::default(),
            exit_code: None,
            labels,
            ports: Vec::new(),
            addresses: None,
        }
    }

    #[test]
    fn what_is_there_decides_what_is_done() {
        assert_eq!(next(None, "new"), Next::Create);
        for (state, same, other) in [
            (State::Created, Next::Start, Next::Replace),
            (State::Running, Next::Keep, Next::Replace),
            (State::Paused, Next::Unpause, Next::Replace),
            (State::Restarting, Next::Replace, Next::Replace),
            (State::Removing, Next::AwaitRemoval, Next::AwaitRemoval),
            (State::Exited, Next::Start, Next::Replace),
            (State::Dead, Next::Replace, Next::Replace),
        ] {
            assert_eq!(next(Some(&seen(true, "new", state)), "new"), same, "{state:?}");
            assert_eq!(next(Some(&seen(true, "old", state)), "new"), other, "{state:?}");
            assert_eq!(
                next(Some(&seen(false, "new", state)), "new"),
                Next::Leave,
                "{state:?}"
            );
        }
    }
}
