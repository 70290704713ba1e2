//! Limits of an existing container: changed if they differ, and read back.

use super::call::Caller;
use super::{limits, look, usage};
use crate::engine::{Effect, EngineError, EngineErrorKind, Limits, Observed, State};
use crate::model::mib;

/// See [`crate::engine::Engine::ensure_limits`].
pub async fn running(caller: &Caller, name: &str, asked: &Limits) -> Result<Observed, EngineError> {
    let found = look::ours(caller, name).await?;
    if found.seen.state != State::Running {
        let message = format!(
            "container '{name}' does not run (it is {:?}), so its limits were left as they are",
            found.seen.state
        );
        return Err(caller.error(EngineErrorKind::Down, Effect::None, message));
    }
    // Even if the engine already reports these limits: it records them before it sets them in the
    // kernel, and may have been killed in between.
    apply(caller, &found.seen, asked).await
}

/// Changes the limits if they differ, and reads them back.
pub async fn to(caller: &Caller, seen: &Observed, asked: &Limits) -> Result<Observed, EngineError> {
    let (machine, swap_counted) = caller.machine().await?;
    match limits::difference(asked, seen, machine.cores, *swap_counted) {
        None => Ok(seen.clone()),
        Some(_) => apply(caller, seen, asked).await,
    }
}

async fn apply(caller: &Caller, seen: &Observed, asked: &Limits) -> Result<Observed, EngineError> {
    let (machine, swap_counted) = caller.machine().await?;
    if asked.memory < seen.memory {
        leaves_what_is_used(caller, seen, asked.memory).await?;
    }
    let differs = |seen: &Observed| limits::difference(asked, seen, machine.cores, *swap_counted);
    let what = format!("change the limits of container '{}'", seen.name);
    let body = limits::change(seen, asked, machine.cores);
    let outcome = caller
        .change(&what, caller.docker.update_container(&seen.id, body))
        .await;
    match outcome {
        // The engine has answered, so what it reports now is true.
        Err(failed) if failed.status.is_some_and(|status| status <= 500) => {
            let now = look::ours(caller, &seen.name).await?;
            // The kernel's own refusal, which the engine answers with 500.
            let (kind, advice) = if failed.said.contains("memory limit")
                || failed.said.contains("device or resource busy")
            {
                let advice = "; the container may be using more memory than the new limit allows: let it free some, \
                              or replace it";
                (EngineErrorKind::Refused, advice)
            } else {
                (failed.error.kind, "")
            };
            let message = format!("{}{advice}", failed.error.message);
            let same = |a: &Observed, b: &Observed| {
                (a.memory, a.memory_swap, &a.cpuset, a.nano_cpus)
                    == (b.memory, b.memory_swap, &b.cpuset, b.nano_cpus)
            };
            let effect = if same(&now.seen, seen) && differs(seen).is_some() {
                Effect::None
            } else {
                Effect::Unknown
            };
            Err(caller.error(kind, effect, message))
        }
        Err(failed) => Err(failed.error),
        Ok(()) => {
            let now = look::ours(caller, &seen.name).await?.seen;
            match differs(&now) {
                None => Ok(now),
                Some(wrong) => Err(mismatch(caller, &now, &wrong)),
            }
        }
    }
}

/// Refuses a limit below what the container uses. Kernels with the first version of control groups
/// would refuse it, too; others kill the container's processes until it fits.
async fn leaves_what_is_used(caller: &Caller, seen: &Observed, limit: u64) -> Result<(), EngineError> {
    let held = match usage::held(caller, &seen.id).await {
        Ok(held) => held.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, container = seen.name, "lowering a memory limit without knowing what is used");
            return Ok(());
        }
    };
    if held <= limit {
        return Ok(());
    }
    let message = format!(
        "container '{}' uses {} of memory, more than the new limit of {}; its limits were left as they are. {}",
        seen.name,
        mib(held),
        mib(limit),
        "Leave its tier more, or let the container free some first"
    );
    Err(caller.error(EngineErrorKind::InUse, Effect::None, message))
}

fn mismatch(caller: &Caller, seen: &Observed, wrong: &str) -> EngineError {
    let message = format!("the engine reports for container '{}': {wrong}", seen.name);
    caller.error(EngineErrorKind::Mismatch, Effect::Unknown, message)
}
