//! Commands in the containers of the simulated machines: created, begun once, and followed to their
//! end, as the Docker driver does.

use std::time::Duration;

use mapek::engine::{Command, Effect, End, EngineError, EngineErrorKind, Finished, RunId, State};
use tokio::time::{Instant, sleep};

use crate::calls::{Answer, Call};
use crate::engine::SimulatedEngine;

/// The pause between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The state of a command.
enum Stand {
    Waiting,
    Running,
    Ended(i64),
    Forgotten,
}

fn finished(end: End) -> Finished {
    Finished {
        end,
        output: String::new(),
    }
}

impl SimulatedEngine {
    pub async fn make_ready(&self, name: &str, command: &Command) -> Result<RunId, EngineError> {
        let found = self.ours(name).await?;
        if found.seen.state != State::Running {
            let message = format!("container '{name}' does not run");
            return Err(self.error(EngineErrorKind::Down, Effect::None, message));
        }
        let (id, program) = (found.seen.id, command.argv[0].clone());
        let until = Instant::now() + command.deadline;
        while self.runs_already(&id, &program).await? {
            if Instant::now() >= until {
                let message = format!("{program} still runs in container '{name}' from an earlier time");
                return Err(self.error(EngineErrorKind::Refused, Effect::None, message));
            }
            sleep(ASK_EVERY).await;
        }
        match self.call(Call::Exec(id, vec![program])).await? {
            Answer::Exec(exec) => Ok(RunId(exec.to_string())),
            _ => unreachable!("an exec is answered with its id"),
        }
    }

    async fn runs_already(&self, id: &str, program: &str) -> Result<bool, EngineError> {
        match self.call(Call::Runs(id.to_owned(), program.to_owned())).await? {
            Answer::Runs(runs) => Ok(runs),
            _ => unreachable!("it runs or it does not"),
        }
    }

    pub async fn to_its_end(
        &self,
        _name: &str,
        run: &RunId,
        within: Duration,
        begin: bool,
    ) -> Result<Finished, EngineError> {
        let until = Instant::now() + within;
        let Ok(exec) = run.0.parse::<u64>() else {
            return Ok(finished(End::Forgotten));
        };
        match self.stand(exec).await? {
            Stand::Forgotten => return Ok(finished(End::Forgotten)),
            Stand::Ended(code) => return Ok(finished(End::Exited(code))),
            Stand::Waiting if !begin => return Ok(finished(End::Forgotten)),
            Stand::Waiting => self.begin(exec).await?,
            Stand::Running => {}
        }
        loop {
            match self.stand(exec).await? {
                Stand::Ended(code) => return Ok(finished(End::Exited(code))),
                Stand::Forgotten => {
                    let message = "the engine has forgotten the command";
                    return Err(self.error(EngineErrorKind::Failing, Effect::Unknown, message));
                }
                Stand::Waiting | Stand::Running => {}
            }
            if Instant::now() >= until {
                let killed = self.call(Call::ExecKill(exec)).await.is_ok();
                return Ok(finished(if killed { End::Killed } else { End::Abandoned }));
            }
            sleep(ASK_EVERY).await;
        }
    }

    async fn begin(&self, exec: u64) -> Result<(), EngineError> {
        let Err(failed) = self.call(Call::ExecStart(exec)).await else {
            return Ok(());
        };
        if failed.error.effect == Effect::None && failed.status != Some(409) {
            return Err(failed.error);
        }
        match self.stand(exec).await? {
            Stand::Running | Stand::Ended(_) => Ok(()),
            Stand::Waiting | Stand::Forgotten => {
                Err(self.error(failed.error.kind, Effect::None, failed.said))
            }
        }
    }

    /// What the engine knows about a command, asked several times if that fails.
    async fn stand(&self, exec: u64) -> Result<Stand, EngineError> {
        let mut pause = Duration::from_millis(50);
        for _ in 0..6 {
            match self.call(Call::ExecAsk(exec)).await {
                Ok(Answer::Ended(code)) => return Ok(code.map_or(Stand::Running, Stand::Ended)),
                Ok(_) => return Ok(Stand::Waiting),
                Err(failed) if failed.status == Some(404) => return Ok(Stand::Forgotten),
                Err(_) => sleep(pause).await,
            }
            pause *= 2;
        }
        let message = "can't be asked how a command ended";
        Err(self.error(EngineErrorKind::Unreachable, Effect::Unknown, message))
    }
}
