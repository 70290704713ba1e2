//! Waits, always with a time limit: for a container to come up, and for one to be gone.

use std::time::Duration;

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use super::call::Caller;
use super::look::{self, Found};
use super::output::Output;
use crate::engine::{Effect, EngineError, EngineErrorKind, Health, Observed, State};
use crate::fault::Secrets;

/// How many lines of a failed container's log are shown.
const LOG_LINES: &str = "20";
/// First and longest pause between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long to wait for the next end of a container that ends again and again.
const NEXT_END: Duration = Duration::from_secs(1);

/// Since when the container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It was started just now, and must first stay up for a moment.
    Now,
    /// It was already running.
    Earlier,
}

/// Waits until the container is up: it stays up, and is healthy if it has a health check, for as
/// long as `bake` without a break.
pub async fn up(
    caller: &Caller,
    seen: &Observed,
    since: Since,
    bake: Duration,
) -> Result<Observed, EngineError> {
    let started = Instant::now();
    let settle = match since {
        Since::Now => caller.settings.settle,
        Since::Earlier => Duration::ZERO,
    };
    let mut pause = FIRST_PAUSE;
    let mut well: Option<Instant> = None;
    let mut restarts = match since {
        // A start by hand resets the engine's count.
        Since::Now => Some(0),
        Since::Earlier => None,
    };
    loop {
        let found = look::ours(caller, &seen.name).await?;
        let restarted = found.restarts > *restarts.get_or_insert(found.restarts);
        if found.seen.state != State::Running || restarted {
            return Err(down(caller, &ended(caller, found).await?).await);
        }
        let health = found.seen.health;
        if health == Some(Health::Healthy) || (health.is_none() && started.elapsed() >= settle) {
            let well = well.get_or_insert_with(Instant::now).elapsed();
            if well >= bake {
                return Ok(found.seen);
            }
            sleep(LONGEST_PAUSE.min(bake.saturating_sub(well))).await;
            continue;
        }
        match health {
            Some(Health::Unhealthy) if well.is_some() => {
                let text = format!(
                    "became unhealthy within the {} s that it must stay well",
                    bake.as_secs()
                );
                return Err(unhealthy(caller, &found, &text).await);
            }
            Some(Health::Unhealthy) => return Err(unhealthy(caller, &found, "failed its health check").await),
            Some(Health::Starting) if started.elapsed() >= caller.settings.health => {
                let text = format!(
                    "did not become healthy within {} s",
                    caller.settings.health.as_secs_f32()
                );
                return Err(unhealthy(caller, &found, &text).await);
            }
            Some(Health::Starting | Health::Healthy) | None => {}
        }
        // Without a health check nothing can be learnt before the moment is over: whether it ended
        // or was restarted meanwhile shows then, too.
        let nap = match found.seen.health {
            Some(_) => pause.min(caller.settings.health.saturating_sub(started.elapsed())),
            None => settle.saturating_sub(started.elapsed()),
        };
        sleep(nap.max(Duration::from_millis(1))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until the container is gone.
pub async fn gone(caller: &Caller, seen: &Observed) -> Result<(), EngineError> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    while look::one(caller, &seen.id).await?.is_some() {
        if started.elapsed() >= caller.settings.answer {
            let message = format!(
                "container '{}' is being removed by the engine, but is not gone after {} s",
                seen.name,
                caller.settings.answer.as_secs_f32()
            );
            return Err(caller.error(EngineErrorKind::TimedOut, Effect::Unknown, message));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// A restarted container may be running now: its exit code is known at its next end, which is
/// waited for a moment.
async fn ended(caller: &Caller, mut found: Found) -> Result<Found, EngineError> {
    let until = Instant::now() + NEXT_END;
    while found.seen.state == State::Running && Instant::now() < until {
        sleep(FIRST_PAUSE).await;
        found = look::ours(caller, &found.seen.name).await?;
    }
    Ok(found)
}

/// The container ended, or ends and is restarted again and again.
async fn down(caller: &Caller, found: &Found) -> EngineError {
    let code = match found.seen.exit_code {
        Some(code) => format!(" with exit code {code}"),
        None => String::new(),
    };
    let text = format!("did not stay up: it ended{code}");
    unhealthy(caller, found, &text).await
}

async fn unhealthy(caller: &Caller, found: &Found, text: &str) -> EngineError {
    let mut message = format!("container '{}' {text}", found.seen.name);
    let Some(secrets) = look::secrets(caller, &found.seen.id).await else {
        message.push_str("; what it said is left out: the engine does not say which secrets it has");
        return caller.error(EngineErrorKind::Unhealthy, Effect::None, message);
    };
    if !found.trouble.is_empty() {
        message.push_str(" (");
        message.push_str(&secrets.mask(&found.trouble));
        message.push(')');
    }
    if !found.check.trim().is_empty() {
        message.push_str("; its health check said: ");
        message.push_str(check(&found.check, &secrets).trim());
    }
    match log(caller, &found.seen.id, &secrets).await {
        Some(log) if !log.trim().is_empty() => {
            message.push_str("; the end of its log:\n");
            message.push_str(log.trim_end());
        }
        _ => message.push_str("; its log is empty"),
    }
    caller.error(EngineErrorKind::Unhealthy, Effect::None, message)
}

/// The output of a health check. The engine cuts it off, and says so with three dots.
fn check(said: &str, secrets: &Secrets) -> String {
    match said.strip_suffix("...") {
        Some(cut) => format!("{}...", secrets.mask_head(cut)),
        None => secrets.mask(said.trim()),
    }
}

/// The last lines of a container's log; None when they can't be had, which is no reason to hide
/// the error that they were wanted for.
async fn log(caller: &Caller, id: &str, secrets: &Secrets) -> Option<String> {
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .tail(LOG_LINES)
        .build();
    let read = async {
        let mut lines = caller.docker.logs(id, Some(options));
        let mut output = Output::default();
        while let Some(line) = lines.next().await {
            output.push(line.ok()?.as_ref());
        }
        Some(output.text(secrets))
    };
    tokio::time::timeout(caller.settings.answer, read).await.ok()?
}
