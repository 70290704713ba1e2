//! The probes of an engine's containers: made in the background for as long as somebody looks at
//! the container, and reported as its health.
//!
//! A container has its probe in a label, so that a service that was restarted continues with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::Health;
use crate::engine::probe::{Target, Verdict};

/// A container that nobody has looked at for this long, or for three of its probe's intervals, is
/// no longer probed.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// One run of a container: its id, and when it was started by the engine's clock.
pub type RunOf = (String, String);

/// The probes that are being made.
#[derive(Clone, Default)]
pub struct Probes(Arc<Mutex<HashMap<RunOf, Watched>>>);

struct Watched {
    verdict: Verdict,
    /// When somebody last wanted to know.
    wanted: Instant,
}

impl Probes {
    /// The container's health, and what was wrong with it last. The first probe is made before this
    /// returns, so that a container that was healthy before the service was restarted is healthy at
    /// once.
    pub async fn health(&self, run: RunOf, target: Target) -> (Health, String) {
        let told = |verdict: &Verdict| (verdict.health, verdict.said.clone());
        if let Some(watched) = self.lock().get_mut(&run) {
            watched.wanted = Instant::now();
            return told(&watched.verdict);
        }
        let started = Instant::now();
        let mut verdict = Verdict::default();
        verdict.hear(&target.probe, Duration::ZERO, target.ask().await);
        let mut all = self.lock();
        // Somebody else may have made the probe meanwhile.
        if let Some(watched) = all.get(&run) {
            return told(&watched.verdict);
        }
        let health = told(&verdict);
        let wanted = Instant::now();
        all.insert(run.clone(), Watched { verdict, wanted });
        tokio::spawn(self.clone().watch(run, target, started));
        health
    }

    /// Probes until nobody wants to know any more.
    async fn watch(self, run: RunOf, target: Target, started: Instant) {
        let interval = Duration::from_secs(target.probe.interval_s.into());
        let patience = FORGOTTEN_AFTER.max(interval.saturating_mul(3));
        loop {
            let pause = match self.lock().get(&run) {
                Some(watched) => watched.verdict.pause(&target.probe, started.elapsed()),
                None => return,
            };
            tokio::time::sleep(pause).await;
            let answer = target.ask().await;
            let mut all = self.lock();
            let Some(watched) = all.get_mut(&run) else { return };
            if watched.wanted.elapsed() > patience {
                all.remove(&run);
                return;
            }
            let before = watched.verdict.health;
            watched.verdict.hear(&target.probe, started.elapsed(), answer);
            let verdict = &watched.verdict;
            if verdict.health != before {
                tracing::info!(container = run.0, health = ?verdict.health, said = verdict.said, "a probe's verdict");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunOf, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
