//! Running a command inside a container, with an end to it.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ExecInspectResponse;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, interval, timeout};

use super::call::{Caller, Failed};
use super::look;
use super::output::Output;
use crate::engine::{Command, Effect, End, EngineError, EngineErrorKind, Finished, State};

/// Environment variable that marks the processes of one run, so that they can be found when they
/// hang. Children inherit it.
const MARK: &str = "MAPEK_RUN";
/// How often it is asked whether the command has ended while its output stays open: a child that
/// it left in the background may keep it open for ever.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long output may still come once the command has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long killing may take.
const KILL_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked at most when the question itself fails, and the first pause between.
const ASK_AT_MOST: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const ASK: &str = "ask how a command ended";
/// Exit code for a command that could not be started, where the engine says none.
const NOT_STARTED: i64 = 126;

/// Kills every process that carries the mark given as first argument. A fixed text: nothing is
/// built into it.
const KILLER: &str = r#"for environ in /proc/[0-9]*/environ; do
  if grep -q -- "$1" "$environ" 2>/dev/null; then
    pid=${environ#/proc/}
    kill -9 "${pid%/environ}" 2>/dev/null
  fi
done
exit 0"#;

/// See [`crate::engine::Engine::run`].
pub async fn run(caller: &Caller, name: &str, command: &Command) -> Result<Finished, EngineError> {
    let until = Instant::now() + command.deadline;
    let found = look::ours(caller, name).await?;
    if found.seen.state != State::Running {
        let message = format!(
            "container '{name}' does not run (it is {:?}), so nothing can be run in it",
            found.seen.state
        );
        return Err(caller.error(EngineErrorKind::Down, Effect::None, message));
    }
    let mark = uuid::Uuid::now_v7().to_string();
    let mut environment: Vec<String> = command
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    environment.push(format!("{MARK}={mark}"));
    let program = command.argv.first().map(String::as_str).unwrap_or_default();
    let what = format!("run {program} in container '{name}'");
    let id = create(caller, &what, &found.seen.id, command.argv.clone(), environment)
        .await
        .map_err(|failed| failed.error)?;
    let mut output = Output::default();
    let mut stream = match start(caller, &what, &id).await {
        Ok(stream) => stream,
        Err(failed) if failed.status.is_some() && failed.said.contains("exec failed") => {
            // Newer engines answer so when there is no such program; older ones say it in the output.
            output.push(failed.said.as_bytes());
            let code = exit_code(caller, &id).await?.unwrap_or(NOT_STARTED);
            return Ok(Finished {
                end: End::Exited(if code == 0 { NOT_STARTED } else { code }),
                output: output.text(),
            });
        }
        // The answer was lost. The command is not to run twice, so it is asked whether it runs.
        Err(failed) if failed.error.effect == Effect::Unknown => match begun(caller, &id).await? {
            true => Box::pin(futures_util::stream::empty()),
            false => {
                let EngineError { kind, message, .. } = failed.error;
                return Err(caller.error(kind, Effect::None, message));
            }
        },
        Err(failed) => return Err(failed.error),
    };
    let code = tokio::select! {
        code = follow(caller, &id, &mut stream, &mut output) => Some(code?),
        () = tokio::time::sleep_until(until) => None,
    };
    let end = match code {
        Some(code) => End::Exited(code),
        None => give_up(caller, &found.seen.id, &id, &mark).await,
    };
    Ok(Finished {
        end,
        output: output.text(),
    })
}

type Words = std::pin::Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

async fn create(
    caller: &Caller,
    what: &str,
    container: &str,
    argv: Vec<String>,
    environment: Vec<String>,
) -> Result<String, Failed> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: Some(environment),
        cmd: Some(argv),
        ..CreateExecOptions::default()
    };
    // Made is not yet started: until then nothing has happened in the container.
    let made = caller
        .look(what, caller.docker.create_exec(container, options))
        .await?;
    Ok(made.id)
}

async fn start(caller: &Caller, what: &str, id: &str) -> Result<Words, Failed> {
    let options = Some(StartExecOptions::default());
    match caller.change(what, caller.docker.start_exec(id, options)).await? {
        StartExecResults::Attached { output, .. } => Ok(output),
        StartExecResults::Detached => Ok(Box::pin(futures_util::stream::empty())),
    }
}

/// Reads the output to its end and answers with the exit code.
async fn follow(
    caller: &Caller,
    id: &str,
    stream: &mut Words,
    output: &mut Output,
) -> Result<i64, EngineError> {
    let mut asking = interval(ASK_EVERY);
    asking.tick().await;
    let mut open = true;
    loop {
        if open {
            tokio::select! {
                words = stream.next() => match words {
                    Some(Ok(words)) => {
                        output.push(words.as_ref());
                        continue;
                    }
                    // A broken stream is no verdict: the engine knows how the command ended.
                    Some(Err(_)) | None => open = false,
                },
                _ = asking.tick() => {}
            }
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Some(code) = exit_code(caller, id).await? {
            while open {
                match timeout(LAST_WORDS, stream.next()).await {
                    Ok(Some(Ok(words))) => output.push(words.as_ref()),
                    _ => open = false,
                }
            }
            return Ok(code);
        }
    }
}

/// The command's exit code; None while it runs.
async fn exit_code(caller: &Caller, id: &str) -> Result<Option<i64>, EngineError> {
    let answer = asked(caller, id).await?;
    if answer.running.unwrap_or_default() {
        return Ok(None);
    }
    Ok(answer.exit_code)
}

/// Whether the command was started, by now or before.
async fn begun(caller: &Caller, id: &str) -> Result<bool, EngineError> {
    let answer = asked(caller, id).await?;
    Ok(answer.running.unwrap_or_default() || answer.exit_code.is_some())
}

/// What the engine knows of a command. Asked again where that fails for a passing reason: who does
/// not know how it ended would have to run it twice.
async fn asked(caller: &Caller, id: &str) -> Result<ExecInspectResponse, EngineError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ASK_AT_MOST {
        match caller.look(ASK, caller.docker.inspect_exec(id)).await {
            Ok(answer) => return Ok(answer),
            Err(failed) if failed.status == Some(404) => {
                let message =
                    format!("could not {ASK}: the engine has forgotten it, as one does that is restarted");
                return Err(caller.error(EngineErrorKind::Failing, Effect::Unknown, message));
            }
            Err(failed) if failed.error.kind == EngineErrorKind::Refused => break,
            Err(failed) => tracing::warn!(error = %failed.error, "asking again how a command ended"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    let mut answer = caller.look(ASK, caller.docker.inspect_exec(id)).await;
    if let Err(failed) = &mut answer {
        // The command itself may have been started.
        failed.error.effect = Effect::Unknown;
    }
    Ok(answer?)
}

/// Kills a command that hangs, where the container has a shell and grep to do it with. As the
/// container's own user, as the command was: not even root may look into another user's processes
/// with the rights that a container has.
async fn give_up(caller: &Caller, container: &str, id: &str, mark: &str) -> End {
    let kill = async {
        let argv = ["sh", "-c", KILLER, "sh"].map(str::to_owned);
        let argv = argv.into_iter().chain([format!("{MARK}={mark}")]).collect();
        let what = "kill a command that hangs";
        let killer = create(caller, what, container, argv, Vec::new()).await.ok()?;
        let mut words = start(caller, what, &killer).await.ok()?;
        while let Some(Ok(_)) = words.next().await {}
        while exit_code(caller, id).await.ok()?.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(())
    };
    match timeout(KILL_WITHIN, kill).await {
        Ok(Some(())) => End::Killed,
        _ => End::Abandoned,
    }
}
