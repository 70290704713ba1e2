//! A request's way to an engine and back, with what goes wrong on it.

use std::time::Duration;

use mapek::engine::{Effect, EngineError, EngineErrorKind};
use tokio::time::{sleep, timeout};

use crate::calls::{Answer, Call, Refusal};
use crate::engine::SimulatedEngine;
use crate::mishap::{Mishap, due};
use crate::world::Reply;

/// How long an answer is waited for.
pub const ANSWER: Duration = Duration::from_secs(30);

/// A call that failed, with its status if there was one.
pub struct Failed {
    pub status: Option<u16>,
    pub said: String,
    pub error: EngineError,
}

impl From<Failed> for EngineError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl SimulatedEngine {
    fn failed(&self, status: Option<u16>, said: &str, kind: EngineErrorKind, effect: Effect) -> Failed {
        Failed {
            status,
            said: said.to_owned(),
            error: self.error(kind, effect, said),
        }
    }

    pub async fn call(&self, call: Call) -> Result<Answer, Failed> {
        self.call_within(call, ANSWER).await
    }

    pub async fn call_within(&self, call: Call, limit: Duration) -> Result<Answer, Failed> {
        let changes = call.changes();
        let worst = if changes { Effect::Unknown } else { Effect::None };
        match timeout(limit, self.travel(call, worst)).await {
            Ok(result) => result,
            Err(_) if !changes => {
                self.nothing_seen();
                Err(self.failed(None, "no answer in time", EngineErrorKind::TimedOut, worst))
            }
            Err(_) => Err(self.failed(None, "no answer in time", EngineErrorKind::TimedOut, worst)),
        }
    }

    /// Somebody looked, and saw nothing.
    fn nothing_seen(&self) {
        let state = &mut *self.world.lock();
        let now = state.now();
        if let Some(machine) = state.machines.values_mut().find(|machine| machine.ip == self.ip) {
            machine.unseen = now;
        }
    }

    /// There and back, with what goes wrong on the way.
    async fn travel(&self, call: Call, worst: Effect) -> Result<Answer, Failed> {
        use EngineErrorKind::{Failing, Refused, Unreachable};
        self.world.step().await;
        let broken = || self.failed(None, "connection reset by peer", Unreachable, worst);
        let (name, up, off, mishap, mut there, back) = {
            let mut state = self.world.lock();
            state.settle();
            let now = state.now();
            let (there, back) = (state.dice.millis(1, 20), state.dice.millis(1, 20));
            let machine = state.machines.values_mut().find(|machine| machine.ip == self.ip);
            match machine {
                None => (String::new(), false, true, None, there, back),
                Some(machine) => {
                    let up = machine.up(now);
                    let mishap = if up { due(&mut machine.armed) } else { None };
                    let off = machine.off_until > now;
                    (machine.name.clone(), up, off, mishap, there, back)
                }
            }
        };
        if !up || matches!(mishap, Some(Mishap::LoseAnswer { .. } | Mishap::Fail { .. })) {
            self.nothing_seen();
        }
        if !up {
            sleep(if off { Duration::from_secs(5) } else { there }).await;
            return Err(self.failed(None, "connection refused", Unreachable, Effect::None));
        }
        match mishap {
            Some(Mishap::LoseAnswer { done: false }) => {
                sleep(there).await;
                return Err(broken());
            }
            Some(Mishap::Fail { done: false }) => {
                sleep(there).await;
                return Err(self.failed(Some(500), "server error", Failing, worst));
            }
            Some(Mishap::Slow(by)) => there += by,
            _ => {}
        }
        if call.changes() {
            let state = &mut *self.world.lock();
            let broken = state.checks.sent(&state.machines[&name], &call);
            if let Some(promise) = broken {
                state.broken(promise);
            }
        }
        let looks = !call.changes();
        let reply = self.world.send(&name, call, there).await;
        if looks && !matches!((mishap, &reply), (None | Some(Mishap::Slow(_)), Reply::Answer(_))) {
            self.nothing_seen();
        }
        self.world.step().await;
        sleep(back).await;
        self.world.step().await;
        match (mishap, reply) {
            (Some(Mishap::LoseAnswer { .. }), _) | (_, Reply::Broken) => Err(broken()),
            (Some(Mishap::Fail { .. }), _) => Err(self.failed(Some(500), "server error", Failing, worst)),
            (_, Reply::Answer(answer)) => Ok(answer),
            (_, Reply::Refused(Refusal(status, said))) => {
                let (kind, effect) = if status >= 500 {
                    (Failing, worst)
                } else {
                    (Refused, Effect::None)
                };
                Err(self.failed(Some(status), &said, kind, effect))
            }
        }
    }
}
