//! Makes sure that a command inside a container no longer runs.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::call::Caller;
use super::exec::{MARK, Run, asked, create, exit_code, options, start};
use super::look;
use crate::engine::{Effect, End, EngineError, EngineErrorKind, State};

/// How long killing may take.
const KILL_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two looks at whether a command still runs.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Kills every process that has the mark given as first argument and, if there is a second, has
/// that in its command line. All are stopped first: if only a script's present command were killed,
/// the script would go on with the next one. The text is fixed: nothing is built into it.
const KILLER: &str = r#"mark=$1 program=$2
each() {
  for environ in /proc/[0-9]*/environ; do
    process=${environ%/environ}
    if grep -q -- "$mark" "$environ" 2>/dev/null && { [ -z "$program" ] || grep -qF -- "$program" "$process/cmdline"; }; then
      kill "$1" "${process#/proc/}" 2>/dev/null
    fi
  done
}
each -STOP
# Those that were begun meanwhile.
each -STOP
each -KILL
exit 0"#;

/// When the container was started, and the commands that the engine knows in it.
pub async fn inside(caller: &Caller, container: &str) -> Result<(String, Vec<String>), EngineError> {
    let what = format!("inspect container '{container}'");
    let answer = caller
        .look(&what, caller.docker.inspect_container(container, None))
        .await?;
    let started = answer
        .state
        .and_then(|state| state.started_at)
        .unwrap_or_default();
    Ok((started, answer.exec_ids.unwrap_or_default()))
}

/// Waits until none of these commands runs that program any more.
pub async fn not_beside_itself(
    caller: &Caller,
    name: &str,
    program: &str,
    others: Vec<String>,
    within: Duration,
) -> Result<(), EngineError> {
    let until = Instant::now() + within;
    for other in others {
        loop {
            let known = asked(caller, &other).await?;
            let runs = known.is_some_and(|known| {
                let config = known.process_config.unwrap_or_default();
                known.running.unwrap_or_default() && config.entrypoint.as_deref() == Some(program)
            });
            if !runs {
                break;
            }
            if Instant::now() >= until {
                return Err(still_there(caller, name, program, within));
            }
            sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

fn still_there(caller: &Caller, name: &str, program: &str, within: Duration) -> EngineError {
    let message = format!(
        "{program} still runs in container '{name}' from an earlier time, and did not end within {} s; it is not run \
         beside itself: end it there, or restart the container",
        within.as_secs_f32()
    );
    caller.error(EngineErrorKind::Refused, Effect::None, message)
}

/// Kills a command that hangs, if the container has a shell and grep to do it with.
pub async fn give_up(caller: &Caller, run: &Run) -> End {
    let killing = async {
        kill(caller, run, "").await?;
        while exit_code(caller, &run.exec).await.ok()?.is_none() {
            sleep(LOOK_EVERY / 2).await;
        }
        Some(())
    };
    match timeout(KILL_WITHIN, killing).await {
        Ok(Some(())) => End::Killed,
        _ => End::Abandoned,
    }
}

/// As the container's own user, like the command itself: with the rights that a container has, not
/// even root may look into another user's processes.
async fn kill(caller: &Caller, run: &Run, program: &str) -> Option<()> {
    let argv = ["sh", "-c", KILLER, "sh"].map(str::to_owned);
    let argv = argv
        .into_iter()
        .chain([format!("{MARK}={}", run.mark), program.to_owned()])
        .collect();
    let what = "kill a command that hangs";
    let killer = create(caller, what, &run.container, options(argv)).await.ok()?;
    let mut words = start(caller, what, &killer).await.ok()?;
    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut words).await {}
    Some(())
}

/// Makes sure that a command which the engine has forgotten no longer runs. An engine forgets those
/// that ended some minutes ago, and all of them when it is restarted, while containers may go on
/// running. Processes that the command left in the background are left alone.
pub async fn of_forgotten(caller: &Caller, name: &str, run: &Run, until: Instant) -> Result<(), EngineError> {
    let begun = Instant::now();
    let mut killed_at: Option<Instant> = None;
    while runs(caller, name, run).await? {
        let now = Instant::now();
        match killed_at {
            None if now >= until => {
                let _ = timeout(KILL_WITHIN, kill(caller, run, &run.program)).await;
                killed_at = Some(now);
            }
            Some(at) if now >= at + KILL_WITHIN => {
                return Err(still_there(caller, name, &run.program, now - begun));
            }
            None | Some(_) => {}
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Whether the container is the one in which the command was run, was not restarted since, and has
/// a process with the program in its command line.
async fn runs(caller: &Caller, name: &str, run: &Run) -> Result<bool, EngineError> {
    let Some(found) = look::one(caller, name).await? else {
        return Ok(false);
    };
    if found.seen.id != run.container || !matches!(found.seen.state, State::Running | State::Paused) {
        return Ok(false);
    }
    let (started, _) = inside(caller, &run.container).await?;
    if started != run.started {
        return Ok(false);
    }
    let what = format!("list the processes of container '{name}'");
    let listed = caller
        .look(&what, caller.docker.top_processes(&run.container, None))
        .await?;
    let mut lines = listed.processes.unwrap_or_default().into_iter();
    Ok(lines.any(|line| line.iter().any(|field| field.contains(&run.program))))
}
