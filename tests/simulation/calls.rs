//! The calls to an engine, its answers, and what a call has changed.

use std::collections::BTreeMap;
use std::time::Duration;

use mapek::engine::{ContainerSpec, CpuLimit, Limits, Observed};

/// A request to an engine, like Docker's.
#[derive(Clone, Debug)]
pub enum Call {
    Info,
    List,
    Inspect(String),
    Image(String),
    Create(Box<ContainerSpec>, BTreeMap<String, String>),
    Start(String),
    Stop(String),
    Unpause(String),
    Remove(String),
    Update(String, Limits),
    /// A container by id, and its new name.
    Rename(String, String),
    Unpack(String),
    Exec(String, Vec<String>),
    /// Whether a program runs in a container.
    Runs(String, String),
    ExecStart(u64),
    ExecAsk(u64),
    ExecKill(u64),
}

impl Call {
    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Info
                | Self::List
                | Self::Inspect(_)
                | Self::Image(_)
                | Self::Exec(..)
                | Self::Runs(..)
                | Self::ExecAsk(_)
        )
    }
}

/// What an engine answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Done,
    Machine,
    Containers(Vec<Found>),
    Image(Option<String>),
    Exec(u64),
    Runs(bool),
    /// How a command ended; None while it runs.
    Ended(Option<i64>),
    /// A command that has not been started yet.
    Waiting,
}

/// A container with details that the list does not have.
#[derive(Clone, Debug)]
pub struct Found {
    pub seen: Observed,
    pub restarts: i64,
}

/// A status and a message.
#[derive(Clone, Debug)]
pub struct Refusal(pub u16, pub String);

/// What a call changed, for the checks.
#[derive(Clone, Debug, Default)]
pub struct Deed {
    /// For the trace.
    pub text: String,
    /// When the call was sent.
    pub sent: Duration,
    /// This container may hold more now.
    pub fuller: Option<String>,
    /// A container was started for the first time.
    pub fresh: bool,
    /// It was done to a container that is not `mapek`'s.
    pub trespass: Option<String>,
    /// A container was removed although its successor was there and not up.
    pub bereft: Option<String>,
    /// A hook was started while it was already running.
    pub twice: Option<String>,
}

pub fn missing(name: &str) -> Refusal {
    Refusal(404, format!("no such container: {name}"))
}

/// Limits, in a form for people.
pub fn words(limits: &Limits) -> String {
    let memory = limits.memory >> 20;
    match &limits.cpu {
        CpuLimit::Cores(cores) => format!("cores {cores} and {memory} MiB"),
        CpuLimit::Quota(cpu) => format!("{cpu} cores and {memory} MiB"),
    }
}
