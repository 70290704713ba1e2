//! Engines: what runs containers on a VM.
//!
//! The trait speaks of ends, not steps: *observe*, *ensure*, *ensure absent*. A call that is
//! repeated finds what is already there and is content. An error says whether the effect
//! surely did not happen or is unknown; an unknown one must be looked up again with
//! [`Engine::observe`]. Drivers know only `model`.

pub mod docker;
pub mod endpoint;
mod owners;
pub mod probe;
pub mod secret;
mod whose;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::Stream;
use serde::{Deserialize, Serialize};

use crate::model::topology::{Healthcheck, Login, PortBinding, RuntimeOptions, Tls, Variable};
use crate::model::{About, CoreSet, Cpu, Handover, RevisionId};

pub use owners::Owners;

/// Label that every container made by `mapek` carries, with the value `true`.
pub const LABEL_MANAGED: &str = "mapek.managed";
/// Label with the id of the data directory whose `mapek` made the container.
pub const LABEL_OWNER: &str = "mapek.owner";
/// Label with the app's name.
pub const LABEL_APP: &str = "mapek.app";
/// Label with the tier's key.
pub const LABEL_TIER: &str = "mapek.tier";
/// Label with a fingerprint of what was asked for, the limits apart, which can change in place.
pub const LABEL_SPEC: &str = "mapek.spec";
/// What a container's successor is named, as long as the old one is there.
#[must_use]
pub fn successor(name: &str) -> String {
    format!("{name}.next")
}

/// Label with what the container was made from: a [`RevisionId`].
pub const LABEL_REVISION: &str = "mapek.revision";
/// Folder inside a container for the scripts that are run in it.
pub const HOOKS_FOLDER: &str = "/ecoware";

/// Label with the probe of the container's health, as JSON.
pub const LABEL_PROBE: &str = "mapek.probe";

/// One VM's engine.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What the machine under the engine has.
    async fn machine(&self) -> Result<Machine, EngineError>;

    /// Every container on the machine, whoever made it, running or not. Limits are told of all that
    /// hold anything ([`State::holds`]); of other people's containers that hold nothing they are left
    /// empty.
    async fn observe(&self) -> Result<Vec<Observed>, EngineError>;

    /// One container by name.
    async fn find(&self, name: &str) -> Result<Option<Observed>, EngineError>;

    /// The engine's id of an image; None where it has no such image.
    async fn image(&self, image: &str) -> Result<Option<String>, EngineError>;

    /// Makes sure that the image is there, pulling it where that is needed; `tell` is told how far that is.
    async fn ensure_image(&self, wanted: &Wanted, tell: Tell<'_>) -> Result<(), EngineError>;

    /// The digest that an image's registry has for it now, as the engine finds it. None of engines that can't ask.
    async fn digest(&self, _wanted: &Wanted) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    /// The digest of the image that a container was made from, where that was pulled under the name `image`.
    async fn digest_of(&self, _name: &str, _image: &str) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    /// Makes sure that the container runs, is healthy where it has a health check, and holds what
    /// was asked. A container of that name which is ours and not as asked for is finished, started or
    /// replaced; one that is not ours is a [`EngineErrorKind::Foreign`] error. One that was started and does not come up
    /// ([`EngineErrorKind::Unhealthy`]) is stopped again, so that it holds nothing, and kept, so
    /// that its log can be read.
    async fn ensure_running(&self, spec: &ContainerSpec) -> Result<Observed, EngineError>;

    /// Puts a container that is as asked in the place of the one of that name, whatever that was made from. Its
    /// successor has a name of its own until it runs, and is healthy where it has a health check; only then the old one
    /// is removed. A failure leaves both as they are: see [`Engine::take_back`]. Called again, it goes on from there.
    /// Stand-ins may do it in one go.
    async fn replace(&self, spec: &ContainerSpec, _handover: Handover) -> Result<Observed, EngineError> {
        self.ensure_running(spec).await
    }

    /// Goes as far with a replacement as the old container is not touched: with [`Handover::StartFirst`] the successor is up
    /// then, otherwise it is made. Answers whether the old one is still to go. Stand-ins may do nothing.
    async fn prepare_replacement(
        &self,
        _spec: &ContainerSpec,
        _handover: Handover,
    ) -> Result<bool, EngineError> {
        Ok(true)
    }

    /// After a replacement that failed: makes sure that no successor is left, and that the old container runs. Where
    /// that has gone already, the successor is up, and is given the name.
    async fn take_back(&self, _name: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// Makes sure that the running container holds these limits, without stopping it.
    async fn ensure_limits(&self, name: &str, limits: &Limits) -> Result<Observed, EngineError>;

    /// Restarts the running container as it is, and waits until it is up again. One that stays unhealthy
    /// ([`EngineErrorKind::Unhealthy`]) goes on running. Stand-ins may leave it as it is.
    async fn restart(&self, _name: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// Makes sure that there is no such container: stopped with its grace, removed with its
    /// anonymous volumes. One that is not ours is a [`EngineErrorKind::Foreign`] error.
    async fn ensure_absent(&self, name: &str) -> Result<(), EngineError>;

    /// What the container has written, to its standard output and error as they came. An error in the
    /// stream is its end. Engines that keep no logs have nothing to tell.
    async fn log(&self, _name: &str, _options: &LogOptions) -> Result<Log, EngineError> {
        Ok(Box::pin(futures_util::stream::empty()))
    }

    /// What a running container uses, measured for about a second; None where it does not run. Engines that
    /// measure nothing have nothing to tell.
    async fn usage(&self, _name: &str) -> Result<Option<Usage>, EngineError> {
        Ok(None)
    }

    /// Bytes of memory that the container uses and the kernel can't take back from it, as it can pages of files:
    /// less than that can't be its limit. None where it does not run, and of engines that measure nothing.
    async fn memory_held(&self, _name: &str) -> Result<Option<u64>, EngineError> {
        Ok(None)
    }

    /// Unpacks a tar archive at a folder inside the container.
    async fn unpack(&self, name: &str, archive: Vec<u8>, folder: &str) -> Result<(), EngineError>;

    /// Makes a command ready to run in the container, as an argument vector. Nothing of it has run
    /// when this answers, so that what it is known by can be recorded first. Where the same program
    /// still runs there from an earlier run, waits for that to end, and fails when it does not
    /// within the command's deadline.
    async fn prepare(&self, name: &str, command: &Command) -> Result<RunId, EngineError>;

    /// Runs what was made ready, and waits for its end, no longer than `within`. It is begun once:
    /// called again for the same run, by whichever process, this waits for the run that is under
    /// way, or answers with how it ended. A command that ends badly or hangs is an answer, not an
    /// error.
    async fn complete(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError>;

    /// Makes sure that nothing of a run goes on: waits for its end, no longer than `within`, and
    /// kills it then. One that was not begun is not begun here either.
    async fn settle(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError>;

    /// Runs a command from beginning to end.
    async fn run(&self, name: &str, command: &Command) -> Result<Finished, EngineError> {
        let run = self.prepare(name, command).await?;
        self.complete(name, &run, command.deadline).await
    }
}

/// What a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor, in billionths of a core.
    pub nano_cpus: u64,
    /// Memory in bytes, without pages of files that can be dropped.
    pub memory: u64,
}

/// Pieces of a log, which need not end at the ends of lines.
pub type Log = Pin<Box<dyn Stream<Item = Result<Vec<u8>, EngineError>> + Send>>;

/// Which part of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The last lines, so many at most; None for all.
    pub tail: Option<u32>,
    /// What was written since then, in seconds since 1970; None for all.
    pub since: Option<i64>,
    /// Whether to go on with what is written from now on, until the container ends.
    pub follow: bool,
}

/// An image that is wanted on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub image: String,
    /// Who asks its registry for it; None for what Docker's own configuration says, or nobody.
    pub login: Option<Login>,
    /// Whether the registry is asked for it although it is there.
    pub renew: bool,
    /// What it must be, whatever the registry has under its name.
    pub digest: Option<String>,
}

/// Who is told how far something is.
pub type Tell<'t> = &'t (dyn Fn(&str) + Send + Sync);

impl Wanted {
    /// Whatever has that name; pulled where there is none.
    #[must_use]
    pub fn named(image: &str, login: Option<Login>) -> Self {
        Self {
            image: image.to_owned(),
            login,
            renew: false,
            digest: None,
        }
    }
}

/// Gives the engine at an endpoint.
pub trait Engines: Send + Sync {
    /// The engine at `endpoint` (`unix:///…`, `tcp://…`, `https://…`, `ssh://…`). Handles are
    /// shared; nothing is dialled before the first call on the handle.
    fn at(&self, endpoint: &str, tls: Option<&Tls>) -> Result<Arc<dyn Engine>, EngineError>;

    /// Whose containers the engines take for ours. Stand-ins that mark containers as ours by themselves
    /// have nobody to name.
    fn owners(&self) -> Owners {
        Owners::default()
    }
}

/// What the machine under an engine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its cores.
    pub cores: u32,
    /// Its memory in bytes.
    pub memory: u64,
    /// The engine's version, for people.
    pub version: String,
    /// The address at which containers on the default network reach the machine, if known.
    pub gateway: Option<String>,
    /// What tells this engine from all others.
    pub identity: Identity,
    /// Its labels, and what it is able to do.
    #[serde(skip)]
    pub about: About,
}

/// What tells an engine from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The id that the engine gave itself when it was installed; empty where it has none.
    pub id: String,
    /// The machine's host name and the engine's data folder. Machines that were copied from one image
    /// may share an id, and differ in these.
    pub home: String,
}

impl Identity {
    /// Whether both are surely the same engine.
    #[must_use]
    pub fn same_engine(&self, other: &Self) -> bool {
        !self.id.is_empty() && self == other
    }

    /// Whether this is surely not the engine that had the id `before`. A machine may be renamed, so only
    /// the id counts.
    #[must_use]
    pub fn differs_from(&self, before: &str) -> bool {
        !self.id.is_empty() && !before.is_empty() && self.id != before
    }
}

/// Processor and memory limits of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Processor.
    pub cpu: CpuLimit,
    /// Memory in bytes; swap is off.
    pub memory: u64,
}

/// How much processor a container may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CpuLimit {
    /// These cores, whole.
    Cores(CoreSet),
    /// A share of all cores.
    Quota(Cpu),
}

/// A container as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// App and tier, for the labels.
    pub app: String,
    /// See [`ContainerSpec::app`].
    pub tier: String,
    /// What it is made from, as the record has it; None where nobody keeps that.
    pub revision: Option<RevisionId>,
    /// Image.
    pub image: String,
    /// Who asks the image's registry for it.
    pub login: Option<Login>,
    /// Limits.
    pub limits: Limits,
    /// Published ports.
    pub ports: Vec<PortBinding>,
    /// Arguments for the entrypoint; None leaves the image's own.
    pub arguments: Option<Vec<String>>,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables.
    pub environment: BTreeMap<String, Variable>,
    /// Volumes and bind mounts, in Docker's notation.
    pub volumes: Vec<String>,
    /// Health check.
    pub healthcheck: Option<Healthcheck>,
    /// Health check that the driver makes, from where it runs.
    pub probe: Option<probe::Target>,
    /// How long the container must stay up, and healthy, before it counts as running.
    pub bake: Duration,
    /// Seconds between the stop signal and the kill.
    pub stop_grace_s: Option<u32>,
    /// Labels besides those of `mapek`.
    pub labels: BTreeMap<String, String>,
    /// User.
    pub user: Option<String>,
    /// What its processes may do and use, and how they are stopped.
    pub runtime: RuntimeOptions,
    /// Names and addresses for the container's hosts file.
    pub extra_hosts: Vec<(String, String)>,
}

/// A container as the engine reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Name, without the leading slash.
    pub name: String,
    /// The engine's id.
    pub id: String,
    /// Whether it is ours: made by this installation, or adopted by it. Only then may it be changed,
    /// removed or run in.
    pub managed: bool,
    /// Image as it was asked for.
    pub image: String,
    /// What it is doing.
    pub state: State,
    /// Its health; None without a health check.
    pub health: Option<Health>,
    /// Cores as the engine writes them (`CpusetCpus`); empty when not pinned.
    pub cpuset: String,
    /// Share of all cores in billionths (`NanoCpus`); 0 without one.
    pub nano_cpus: u64,
    /// Memory limit in bytes; 0 without one.
    pub memory: u64,
    /// Memory and swap together, in bytes; equal to `memory` when swap is off.
    pub memory_swap: i64,
    /// Exit code of the last run, when it is not running.
    pub exit_code: Option<i64>,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Host ports that it publishes while running.
    pub ports: Vec<PortBinding>,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Stopped with `pause`.
    Paused,
    /// Being restarted.
    Restarting,
    /// On its way out.
    Removing,
    /// Ended.
    Exited,
    /// Half removed.
    Dead,
}

impl State {
    /// As in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether a container in this state holds its cores and memory. A paused one keeps its memory,
    /// and may be woken at any time; one between two restarts comes back by itself. The others have
    /// no process.
    #[must_use]
    pub const fn holds(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Restarting => true,
            Self::Created | Self::Removing | Self::Exited | Self::Dead => false,
        }
    }
}

/// The verdict of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// No verdict yet.
    Starting,
    /// Passing.
    Healthy,
    /// Failing.
    Unhealthy,
}

/// A command to run inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Argument vector.
    pub argv: Vec<String>,
    /// Environment besides the container's own.
    pub environment: BTreeMap<String, String>,
    /// Working directory; None is the container's own.
    pub folder: Option<String>,
    /// How long it may take.
    pub deadline: Duration,
}

/// What one run of a command is known by to its engine, also after a restart of the service. What is
/// in it is the driver's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// A command that ended or was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// Standard output and error, interleaved as they came, cut in the middle where too long. Of
    /// a command that was given up: what it had said until then.
    pub output: String,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with this exit code.
    Exited(i64),
    /// Not within its deadline; it was killed, and surely runs no more.
    Killed,
    /// Not within its deadline, and it may still run: the container has nothing to kill it with.
    Abandoned,
    /// It surely runs no more, or was never begun; if it was, nobody knows how it ended.
    Forgotten,
}

/// Why an engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}: {message}")]
pub struct EngineError {
    /// The engine's endpoint, without any secret.
    pub endpoint: String,
    /// What was tried, what happened, and what to do.
    pub message: String,
    /// What kind of failure it is.
    pub kind: EngineErrorKind,
    /// Whether the effect may have happened.
    pub effect: Effect,
}

impl EngineError {
    /// Whether the failure may pass, or left its effect unknown.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let passing = match self.kind {
            EngineErrorKind::Unreachable
            | EngineErrorKind::TimedOut
            | EngineErrorKind::Garbled
            | EngineErrorKind::Failing
            | EngineErrorKind::Down => true,
            EngineErrorKind::Misconfigured
            | EngineErrorKind::Foreign
            | EngineErrorKind::Image
            | EngineErrorKind::Secret
            | EngineErrorKind::Refused
            | EngineErrorKind::Unhealthy
            | EngineErrorKind::Mismatch
            | EngineErrorKind::InUse
            | EngineErrorKind::Missing => false,
        };
        passing || (self.effect == Effect::Unknown && self.kind == EngineErrorKind::Refused)
    }
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// The endpoint can't be used: a bad address or missing TLS files.
    Misconfigured,
    /// Nothing answers, or the connection broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// A container of that name is there, and it is not ours.
    Foreign,
    /// The image can't be had.
    Image,
    /// A secret that the container needs can't be read.
    Secret,
    /// Something answers, but not as a Docker engine does.
    Garbled,
    /// The engine said no.
    Refused,
    /// The engine, or something before it, failed over the request (5xx), which may pass.
    Failing,
    /// The container did not stay up or did not become healthy.
    Unhealthy,
    /// The container does not run, which may pass: an engine that was restarted starts its
    /// containers again.
    Down,
    /// The engine reports other limits than those asked for.
    Mismatch,
    /// The container uses more memory than it was to have.
    InUse,
    /// No such container.
    Missing,
}

/// Whether a failed call may have had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Surely not.
    None,
    /// Nobody knows; look it up.
    Unknown,
}
