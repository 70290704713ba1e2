//! The topology: the infrastructure and the apps with their tiers.
//!
//! [`Topology::parse`] is the only way in. It reads the whole document, reports every problem at
//! once with its JSON path, and keeps the document as it was put.

mod access;
mod apps;
mod cloud;
mod docker_names;
mod graph;
mod image;
mod infrastructure;
mod linux;
mod names;
mod parse;
mod ports;
mod probe;
mod runtime;
mod self_heal;
#[cfg(test)]
mod tests;
mod variable;

use std::collections::BTreeMap;

use serde_json::Value;

use super::ids::TierId;

pub use access::{DockerAccess, Tls};
pub use apps::{Healthcheck, HookName, Tier};
pub use cloud::{AutoScaling, Cloud, Host};
pub use image::{Login, Pull, registry_of};
pub use infrastructure::{
    CpuMode, Hooks, HooksSource, Infrastructure, OnFailure, OnForeign, OnShortage, Weights,
};
pub use parse::Parsed;
pub use ports::{PortBinding, Protocol};
pub use probe::{Ask, Probe};
pub use runtime::{DEFAULT_PIDS, Pids, RuntimeOptions, Ulimit};
pub use self_heal::SelfHeal;
pub use variable::{Reference, Variable};

/// A valid topology.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// Where VMs come from, their shape, and where hooks come from.
    pub infrastructure: Infrastructure,
    /// Every tier of every app, by flat name.
    pub tiers: BTreeMap<TierId, Tier>,
    /// Names of the apps, in the document's order.
    pub apps: Vec<String>,
    /// The document as it was put.
    pub document: Value,
}

impl Topology {
    /// The tiers that depend, directly, on `tier`.
    pub fn dependents<'a>(&'a self, tier: &'a TierId) -> impl Iterator<Item = &'a Tier> {
        self.tiers
            .values()
            .filter(move |other| other.depends_on.contains(tier))
    }

    /// All tiers, each after the tiers that it depends on; ties by flat name.
    #[must_use]
    pub fn dependencies_first(&self) -> Vec<&Tier> {
        graph::dependencies_first(&self.tiers)
    }
}
