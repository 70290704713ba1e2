//! Starts a container that is as requested, and waits until it is up.

use std::time::Duration;

use super::call::{Caller, Failed};
use super::ensure::stop;
use super::look::{self, Found};
use super::wait;
use crate::engine::{Effect, EngineError, EngineErrorKind, Observed, State};

/// The result of starting a container.
pub enum Started {
    /// It is up.
    Up(Observed),
    /// It does not come up, and another one would not either.
    Failed(EngineError),
    /// The engine can't start this one, but may start another. An engine that was killed in the
    /// middle of a start leaves such containers.
    Broken(EngineError),
}

/// Starts a container that is as requested and waits until it is up. One that does not come up is
/// stopped again, so that it holds nothing, and kept, so that its log can be read.
///
/// It must stay up for as long as `bake`.
pub async fn start(caller: &Caller, found: &Found, bake: Duration) -> Started {
    let seen = &found.seen;
    let what = format!("start container '{}'", seen.name);
    if let Err(failed) = caller
        .change(&what, caller.docker.start_container(&seen.id, None))
        .await
    {
        return not_started(caller, seen, failed).await;
    }
    match wait::up(caller, seen, wait::Since::Now, bake).await {
        Err(mut error) if error.kind == EngineErrorKind::Unhealthy => {
            if let Err(also) = stop(caller, found).await {
                error.message.push_str("; stopping it again failed too: ");
                error.message.push_str(&also.message);
                error.effect = Effect::Unknown;
            }
            Started::Failed(error)
        }
        Err(error) => Started::Failed(error),
        Ok(seen) => Started::Up(seen),
    }
}

/// See [`crate::engine::Engine::restart`]. Stopped and started, rather than restarted by the engine
/// in one call: if the health check is just running, that can leave a container in which nothing
/// can be run any more.
pub async fn again(caller: &Caller, name: &str) -> Result<(), EngineError> {
    let found = look::ours(caller, name).await?;
    stop(caller, &found).await?;
    let what = format!("start container '{name}' again");
    let started = caller
        .change(&what, caller.docker.start_container(&found.seen.id, None))
        .await;
    started.map_err(|failed| failed.error)?;
    wait::up(caller, &found.seen, wait::Since::Now, Duration::ZERO)
        .await
        .map(drop)
}

/// What a failed start means: whether it had its effect after all, and what a person can do about
/// the most common causes.
async fn not_started(caller: &Caller, seen: &Observed, failed: Failed) -> Started {
    let answered = failed.status == Some(500);
    let advice = advice(&failed.said);
    let mut error = failed.error;
    error.message.push_str(advice);
    if !answered {
        return Started::Failed(error);
    }
    // The engine has answered, so what it reports now is true.
    let now = look::one(caller, &seen.id).await;
    let down = |found: &Found| matches!(found.seen.state, State::Created | State::Exited);
    if now.is_ok_and(|found| found.as_ref().is_none_or(down)) {
        error.effect = Effect::None;
    }
    if advice.is_empty() {
        Started::Broken(error)
    } else {
        // The cause is clear, and the next try would not be better.
        error.kind = EngineErrorKind::Refused;
        Started::Failed(error)
    }
}

fn advice(said: &str) -> &'static str {
    if said.contains("already allocated") || said.contains("address already in use") {
        "; another container or program on the machine holds that port"
    } else if said.contains("executable file not found") || said.contains("no such file or directory") {
        "; check the image's entrypoint, command and entrypoint_params"
    } else {
        ""
    }
}
