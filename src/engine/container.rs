//! A container as it should be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::model::topology::{Healthcheck, Login, PortBinding, RuntimeOptions, Variable};
use crate::model::{CoreSet, Cpu, RevisionId};

use super::probe;

/// A container as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// App and tier, for the labels.
    pub app: String,
    /// See [`ContainerSpec::app`].
    pub tier: String,
    /// What it is made from, as recorded; None if nobody records that.
    pub revision: Option<RevisionId>,
    /// Image.
    pub image: String,
    /// What the image's name must mean; None for whatever it means on the machine.
    pub digest: Option<String>,
    /// The user name for the image's registry.
    pub login: Option<Login>,
    /// Limits.
    pub limits: Limits,
    /// What else it is given.
    pub fixed: Fixed,
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
    /// A health check that the driver makes, from where it runs.
    pub probe: Option<probe::Target>,
    /// How long the container must stay up, and healthy, before it counts as running.
    pub bake: Duration,
    /// Seconds between the stop signal and the kill.
    pub stop_grace_s: Option<u32>,
    /// Labels in addition to those of `mapek`.
    pub labels: BTreeMap<String, String>,
    /// User.
    pub user: Option<String>,
    /// What its processes may do and use, and how they are stopped.
    pub runtime: RuntimeOptions,
    /// Names and addresses for the container's hosts file.
    pub extra_hosts: Vec<(String, String)>,
}

/// What a container is given when it is made, and has for as long as it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fixed {
    /// Gigabytes of disk: counted, and enforced where the engine can.
    pub disk_gb: u64,
    /// Graphics processors, which no other container has.
    pub gpus: u64,
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
