//! Engines: what runs containers on a VM.
//!
//! The trait speaks of ends, not steps: *observe*, *ensure*, *ensure absent*. A call that is
//! repeated finds what is already there and is content. An error says whether the effect
//! surely did not happen or is unknown; an unknown one must be looked up again with
//! [`Engine::observe`]. Drivers know only `model`.

pub mod docker;
pub mod endpoint;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::model::topology::{Healthcheck, PortBinding, Tls};
use crate::model::{CoreSet, Cpu};

/// Label that every container made by `mapek` carries, with the value `true`.
pub const LABEL_MANAGED: &str = "mapek.managed";
/// Label with the app's name.
pub const LABEL_APP: &str = "mapek.app";
/// Label with the tier's key.
pub const LABEL_TIER: &str = "mapek.tier";
/// Label with a fingerprint of what was asked for, the limits apart, which can change in place.
pub const LABEL_SPEC: &str = "mapek.spec";

/// One VM's engine.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What the machine under the engine has.
    async fn machine(&self) -> Result<Machine, EngineError>;

    /// Every container on the machine, whoever made it, running or not. Limits and health are
    /// told of those that `mapek` made; of others they are left empty.
    async fn observe(&self) -> Result<Vec<Observed>, EngineError>;

    /// One container by name.
    async fn find(&self, name: &str) -> Result<Option<Observed>, EngineError>;

    /// The engine's id of an image; None where it has no such image.
    async fn image(&self, image: &str) -> Result<Option<String>, EngineError>;

    /// Makes sure that the image is there, pulling it when it is absent.
    async fn ensure_image(&self, image: &str) -> Result<(), EngineError>;

    /// Makes sure that the container runs, is healthy where it has a health check, and holds what
    /// was asked. A container of that name which `mapek` made and which is not as asked for is
    /// finished, started or replaced; one that `mapek` did not make is a
    /// [`EngineErrorKind::Foreign`] error. One that was started and does not come up
    /// ([`EngineErrorKind::Unhealthy`]) is stopped again, so that it holds nothing, and kept, so
    /// that its log can be read.
    async fn ensure_running(&self, spec: &ContainerSpec) -> Result<Observed, EngineError>;

    /// Makes sure that the running container holds these limits, without stopping it.
    async fn ensure_limits(&self, name: &str, limits: &Limits) -> Result<Observed, EngineError>;

    /// Makes sure that there is no such container: stopped with its grace, removed with its
    /// anonymous volumes. One that `mapek` did not make is a [`EngineErrorKind::Foreign`] error.
    async fn ensure_absent(&self, name: &str) -> Result<(), EngineError>;

    /// Unpacks a tar archive at a folder inside the container.
    async fn unpack(&self, name: &str, archive: Vec<u8>, folder: &str) -> Result<(), EngineError>;

    /// Runs a command in the container, as an argument vector, and waits for its end or its
    /// deadline. A command that ends badly or hangs is an answer, not an error.
    async fn run(&self, name: &str, command: &Command) -> Result<Finished, EngineError>;
}

/// Gives the engine at an endpoint.
pub trait Engines: Send + Sync {
    /// The engine at `endpoint` (`unix:///…`, `tcp://…`, `https://…`, `ssh://…`). Handles are
    /// shared; nothing is dialled before the first call on the handle.
    fn at(&self, endpoint: &str, tls: Option<&Tls>) -> Result<Arc<dyn Engine>, EngineError>;
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
    /// Image.
    pub image: String,
    /// Limits.
    pub limits: Limits,
    /// Published ports.
    pub ports: Vec<PortBinding>,
    /// Arguments for the entrypoint; None leaves the image's own.
    pub arguments: Option<Vec<String>>,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Volumes and bind mounts, in Docker's notation.
    pub volumes: Vec<String>,
    /// Health check.
    pub healthcheck: Option<Healthcheck>,
    /// Seconds between the stop signal and the kill.
    pub stop_grace_s: Option<u32>,
    /// Labels besides those of `mapek`.
    pub labels: BTreeMap<String, String>,
    /// User.
    pub user: Option<String>,
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
    /// Whether `mapek` made it.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// How long it may take.
    pub deadline: Duration,
}

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

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// The endpoint can't be used: a bad address or missing TLS files.
    Misconfigured,
    /// Nothing answers, or the connection broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// A container of that name is there, and `mapek` did not make it.
    Foreign,
    /// The image can't be had.
    Image,
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
