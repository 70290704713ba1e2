//! Runs a command inside a container, once, within a time limit.
//!
//! The command is created in the engine before it is begun. The engine begins each command at most
//! once, and for some minutes after its end says whether it runs and how it ended. So a service
//! that is started after a kill finds the run of the one before it.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ExecInspectResponse;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval, timeout};

use super::call::{Caller, Failed};
use super::output::{Ear, Output};
use super::{exec_end, look};
use crate::engine::{Command, Effect, End, EngineError, EngineErrorKind, Finished, RunId, State, Tell};
use crate::fault::Secrets;

/// Environment variable that marks the processes of one run, so that they can be found when they
/// hang. Children inherit it.
pub const MARK: &str = "MAPEK_RUN";
/// How often to check whether the command has ended while its output stays open: a child that it
/// left in the background may keep it open for ever.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The same, for a command that another call began, and whose output is not seen.
const ASK_BLINDLY: Duration = Duration::from_millis(100);
/// How long output may still come once the command has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often the check is repeated at most if it fails itself, and the first pause in between.
const ASK_AT_MOST: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const ASK: &str = "ask how a command ended";
/// Exit code for a command that could not be started, if the engine gives none.
const NOT_STARTED: i64 = 126;

/// Takes the place of a command's output if nobody knows which parts of it are secret.
const UNTOLD: &str = "[left out: the engine no longer says which secrets the container had]";

/// What identifies a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The engine's id of it.
    pub exec: String,
    /// The mark that its processes carry.
    pub mark: String,
    /// The program.
    pub program: String,
    /// The container's id.
    pub container: String,
    /// When the container was started, by the engine's clock: its processes end with it.
    pub started: String,
}

impl Run {
    fn read(id: &RunId) -> Option<Self> {
        serde_json::from_str(&id.0).ok()
    }

    fn id(&self) -> RunId {
        RunId(serde_json::to_string(self).unwrap_or_default())
    }
}

/// See [`crate::engine::Engine::prepare`].
pub async fn prepare(caller: &Caller, name: &str, command: &Command) -> Result<RunId, EngineError> {
    let found = look::ours(caller, name).await?;
    if found.seen.state != State::Running {
        let message = format!(
            "container '{name}' does not run (it is {:?}), so nothing can be run in it",
            found.seen.state
        );
        return Err(caller.error(EngineErrorKind::Down, Effect::None, message));
    }
    let program = command.argv.first().cloned().unwrap_or_default();
    let container = found.seen.id;
    let (started, others) = exec_end::inside(caller, &container).await?;
    exec_end::not_beside_itself(caller, name, &program, others, command.deadline).await?;
    let mark = uuid::Uuid::now_v7().to_string();
    let mut environment: Vec<String> = command
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    environment.push(format!("{MARK}={mark}"));
    let options = CreateExecOptions {
        env: Some(environment),
        working_dir: command.folder.clone(),
        ..options(command.argv.clone())
    };
    let what = format!("run {program} in container '{name}'");
    let exec = create(caller, &what, &container, options).await?;
    let run = Run {
        exec,
        mark,
        program,
        container,
        started,
    };
    Ok(run.id())
}

/// See [`crate::engine::Engine::complete`] and [`crate::engine::Engine::complete_aloud`].
pub async fn complete(
    caller: &Caller,
    name: &str,
    run: &RunId,
    within: Duration,
    tell: Option<Tell<'_>>,
) -> Result<Finished, EngineError> {
    to_its_end(caller, name, run, within, Mode::Begin(tell)).await
}

/// How a run is brought to its end.
enum Mode<'t> {
    /// It is begun where it was not; what it says is passed on.
    Begin(Option<Tell<'t>>),
    /// It is not begun.
    Settle,
}

/// See [`crate::engine::Engine::settle`].
pub async fn settle(
    caller: &Caller,
    name: &str,
    run: &RunId,
    within: Duration,
) -> Result<Finished, EngineError> {
    to_its_end(caller, name, run, within, Mode::Settle).await
}

async fn to_its_end(
    caller: &Caller,
    name: &str,
    run: &RunId,
    within: Duration,
    mode: Mode<'_>,
) -> Result<Finished, EngineError> {
    let until = Instant::now() + within;
    let forgotten = || Finished {
        end: End::Forgotten,
        output: String::new(),
    };
    let Some(run) = Run::read(run) else {
        return Ok(forgotten());
    };
    // Where nobody knows what is secret, nothing is passed on.
    let (mut secrets, mut aloud) = (None, None);
    if let Mode::Begin(Some(tell)) = &mode {
        secrets = look::secrets(caller, &run.container).await;
        aloud = secrets.clone().map(|secrets| (secrets, *tell));
    }
    let mut ear = Ear::new(aloud);
    let begun = match mode {
        Mode::Begin(_) => {
            let what = format!("run {} in container '{name}'", run.program);
            begun(caller, &what, &run.exec).await?
        }
        Mode::Settle => known(asked(caller, &run.exec).await?).unwrap_or(Begun::Never),
    };
    let words = match begun {
        Begun::Here(words) => Some(words),
        Begun::Elsewhere => None,
        Begun::Impossible(code, said) => {
            ear.push(said.as_bytes());
            ear.end();
            return Ok(finished(caller, &run, End::Exited(code), &ear.output, secrets).await);
        }
        Begun::Never => return Ok(forgotten()),
        Begun::Forgotten => {
            exec_end::of_forgotten(caller, name, &run, until).await?;
            return Ok(forgotten());
        }
    };
    let code = tokio::select! {
        code = follow(caller, &run.exec, words, &mut ear) => Some(code?),
        () = tokio::time::sleep_until(until) => None,
    };
    ear.end();
    let end = match code {
        // An engine says so, too, of a command whose output it could pass on no more: nobody was there to
        // take it. The command knows nothing of that, and may still run.
        Some((NOT_STARTED, Heard::Cut)) => {
            exec_end::of_forgotten(caller, name, &run, until).await?;
            return Ok(forgotten());
        }
        Some((code, _)) => End::Exited(code),
        None => exec_end::give_up(caller, &run).await,
    };
    Ok(finished(caller, &run, end, &ear.output, secrets).await)
}

/// With what the command said, as far as it may be told.
async fn finished(
    caller: &Caller,
    run: &Run,
    end: End,
    output: &Output,
    secrets: Option<Secrets>,
) -> Finished {
    let output = if output.is_empty() {
        String::new()
    } else {
        let secrets = match secrets {
            None => look::secrets(caller, &run.container).await,
            known => known,
        };
        secrets.map_or_else(|| UNTOLD.to_owned(), |secrets| output.text(&secrets))
    };
    Finished { end, output }
}

type Words = std::pin::Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// How a command was begun.
enum Begun {
    /// By this call, which gets its output.
    Here(Words),
    /// By an earlier one.
    Elsewhere,
    /// It can't be begun: its exit code, and the engine's message.
    Impossible(i64, String),
    /// Not at all.
    Never,
    /// The engine no longer knows it.
    Forgotten,
}

/// What the engine's knowledge of a command says about its beginning; None if it was not begun.
fn known(known: Option<ExecInspectResponse>) -> Option<Begun> {
    match known {
        None => Some(Begun::Forgotten),
        Some(known) => {
            let begun = known.running.unwrap_or_default() || known.exit_code.is_some();
            begun.then_some(Begun::Elsewhere)
        }
    }
}

/// Begins a command, unless it was begun before: the engine refuses to begin one twice.
async fn begun(caller: &Caller, what: &str, id: &str) -> Result<Begun, EngineError> {
    let failed = match start(caller, what, id).await {
        Ok(words) => return Ok(Begun::Here(words)),
        Err(failed) => failed,
    };
    // Newer engines answer so if there is no such program; older ones say it in the output.
    if failed.status.is_some() && failed.said.contains("exec failed") {
        let code = exit_code(caller, id).await?.unwrap_or(NOT_STARTED);
        let code = if code == 0 { NOT_STARTED } else { code };
        return Ok(Begun::Impossible(code, failed.said));
    }
    if failed.status == Some(404) {
        return Ok(Begun::Forgotten);
    }
    // Either the answer was lost, or a call of an earlier service came first.
    if failed.error.effect == Effect::Unknown || failed.status == Some(409) {
        if let Some(begun) = known(asked(caller, id).await?) {
            return Ok(begun);
        }
        let EngineError { kind, message, .. } = failed.error;
        let down = failed.said.contains("is not running") || failed.said.contains("is paused");
        let kind = if down { EngineErrorKind::Down } else { kind };
        return Err(caller.error(kind, Effect::None, message));
    }
    Err(failed.error)
}

/// What is set for every command.
pub fn options(argv: Vec<String>) -> CreateExecOptions<String> {
    CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(argv),
        ..CreateExecOptions::default()
    }
}

/// Creates a command in the engine. This does not start it: nothing happens in the container yet.
pub async fn create(
    caller: &Caller,
    what: &str,
    container: &str,
    options: CreateExecOptions<String>,
) -> Result<String, Failed> {
    let made = caller
        .look(what, caller.docker.create_exec(container, options))
        .await?;
    Ok(made.id)
}

/// Starts a command; returns its output.
pub async fn start(caller: &Caller, what: &str, id: &str) -> Result<Words, Failed> {
    let options = Some(StartExecOptions::default());
    match caller.change(what, caller.docker.start_exec(id, options)).await? {
        StartExecResults::Attached { output, .. } => Ok(output),
        StartExecResults::Detached => Ok(Box::pin(futures_util::stream::empty())),
    }
}

/// How much of a command's output could be read.
enum Heard {
    /// All of it.
    All,
    /// The caller that began the command went away, or the connection broke.
    Cut,
}

/// Whether this is not the command's output, but the message of an engine that refuses to begin it
/// twice. Engines before 23 have by then answered that all is well.
fn refused(said: &[u8], id: &str) -> bool {
    said.starts_with(format!("Error: Exec command {id} ").as_bytes())
}

/// Reads the output to its end, if it can be read, and returns the exit code.
async fn follow(
    caller: &Caller,
    id: &str,
    mut words: Option<Words>,
    ear: &mut Ear<'_>,
) -> Result<(i64, Heard), EngineError> {
    let mut blind = words.is_none();
    let mut broken = false;
    let mut asking = interval(ASK_EVERY);
    asking.tick().await;
    loop {
        match &mut words {
            Some(stream) => tokio::select! {
                next = stream.next() => match next {
                    Some(Ok(said)) if refused(said.as_ref(), id) => {
                        blind = true;
                        words = None;
                    }
                    Some(Ok(said)) => {
                        ear.push(said.as_ref());
                        continue;
                    }
                    // A broken stream decides nothing: the engine knows how the command ended.
                    Some(Err(_)) => {
                        broken = true;
                        words = None;
                    }
                    None => words = None,
                },
                _ = asking.tick() => ear.pause(),
            },
            None if blind => tokio::time::sleep(ASK_BLINDLY).await,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        if let Some(code) = exit_code(caller, id).await? {
            while let Some(stream) = &mut words {
                match timeout(LAST_WORDS, stream.next()).await {
                    Ok(Some(Ok(said))) => ear.push(said.as_ref()),
                    _ => words = None,
                }
            }
            let heard = if blind || broken { Heard::Cut } else { Heard::All };
            return Ok((code, heard));
        }
    }
}

/// The command's exit code; None while it runs.
pub async fn exit_code(caller: &Caller, id: &str) -> Result<Option<i64>, EngineError> {
    let Some(known) = asked(caller, id).await? else {
        let message = format!("could not {ASK}: the engine has forgotten it, as one does that is restarted");
        return Err(caller.error(EngineErrorKind::Failing, Effect::Unknown, message));
    };
    if known.running.unwrap_or_default() {
        return Ok(None);
    }
    Ok(known.exit_code)
}

/// What the engine knows about a command; None if it has forgotten it. Asked again if that fails
/// for a passing reason: without knowing how the command ended, it would have to be run twice.
pub async fn asked(caller: &Caller, id: &str) -> Result<Option<ExecInspectResponse>, EngineError> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let failed = match caller.look(ASK, caller.docker.inspect_exec(id)).await {
            Ok(known) => return Ok(Some(known)),
            Err(failed) if failed.status == Some(404) => return Ok(None),
            Err(failed) => failed,
        };
        if attempt >= ASK_AT_MOST || failed.error.kind == EngineErrorKind::Refused {
            // The command itself may have been started.
            let effect = Effect::Unknown;
            return Err(EngineError {
                effect,
                ..failed.error
            });
        }
        tracing::warn!(error = %failed.error, "asking again how a command ended");
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(None)
}
