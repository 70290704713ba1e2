//! A container on a simulated VM, and the commands in it.

use std::collections::BTreeMap;
use std::time::Duration;

use mapek::engine::{CpuLimit, Fixed, Health, Limits, State, successor};
use mapek::model::topology::PortBinding;

/// Who owns a container, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Ours,
    /// Somebody else made it.
    Theirs(Duration),
    /// `mapek` made it, and somebody has renamed it. Requests that were under way may still reach
    /// it.
    Renamed(Duration),
    /// `mapek` made it, and has lost the record that says so. Requests that were sent before may
    /// still reach it.
    Forgotten(Duration),
}

impl Whose {
    /// Since when it has not been ours.
    pub fn foreign_since(self) -> Option<Duration> {
        match self {
            Self::Ours => None,
            Self::Theirs(since) | Self::Renamed(since) | Self::Forgotten(since) => Some(since),
        }
    }

    /// Whether a request that was sent at that time may touch it.
    pub fn may_be_touched(self, sent: Duration) -> bool {
        match self {
            Self::Ours | Self::Renamed(_) => true,
            Self::Theirs(_) => false,
            Self::Forgotten(since) => sent <= since,
        }
    }
}

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub ports: Vec<PortBinding>,
    /// The addresses of dependencies that it was made with.
    pub addresses: BTreeMap<String, String>,
    pub limits: Limits,
    /// What else it was given.
    pub fixed: Fixed,
    pub state: State,
    /// When its health check passes first; None without one.
    pub healthy_at: Option<Option<Duration>>,
    pub checked: bool,
    pub restarts: i64,
    /// When the engine has it running again.
    pub back_at: Option<Duration>,
    pub whose: Whose,
}

impl Container {
    pub fn ours(&self) -> bool {
        self.whose == Whose::Ours
    }

    /// Whether it comes into the place of one that was stopped for it, and has no more than that had.
    pub fn takes_over<'c>(&self, mut others: impl Iterator<Item = &'c Self>) -> bool {
        let is_old = |one: &&Self| self.name == successor(&one.name) && one.ours() && !one.holds();
        let Some(old) = others.find(is_old) else {
            return false;
        };
        let cpu = match (&self.limits.cpu, &old.limits.cpu) {
            (CpuLimit::Cores(own), CpuLimit::Cores(old)) => own.0.is_subset(&old.0),
            (CpuLimit::Quota(own), CpuLimit::Quota(old)) => own <= old,
            (CpuLimit::Cores(_), CpuLimit::Quota(_)) | (CpuLimit::Quota(_), CpuLimit::Cores(_)) => false,
        };
        cpu && self.limits.memory <= old.limits.memory
    }

    /// Whether it holds what it was given.
    pub fn holds(&self) -> bool {
        matches!(self.state, State::Running | State::Paused | State::Restarting)
    }

    /// Whether it runs and, if it has a health check, has become healthy.
    pub fn is_up(&self, now: Duration) -> bool {
        let passed = self.healthy_at.flatten().is_some_and(|at| at <= now);
        let healthy = !self.checked || (passed && !self.image.ends_with(":sick"));
        self.state == State::Running && healthy
    }

    pub fn health(&self, now: Duration, sick: bool) -> Option<Health> {
        if !self.checked || self.state != State::Running {
            return None;
        }
        if sick {
            return Some(Health::Unhealthy);
        }
        match self.healthy_at.flatten() {
            Some(at) if at <= now => Some(Health::Healthy),
            _ => Some(Health::Starting),
        }
    }
}

/// A command in a container.
#[derive(Clone, Debug)]
pub struct Exec {
    pub container: String,
    pub argv: Vec<String>,
    pub started: Option<Duration>,
    pub ends: Duration,
    pub code: i64,
    pub gone: bool,
}

impl Exec {
    pub fn runs(&self, container: &str, program: &str, now: Duration) -> bool {
        self.container == container
            && self.argv[0] == program
            && self.started.is_some()
            && !self.gone
            && self.ends > now
    }
}
