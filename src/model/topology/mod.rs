//! The topology: the infrastructure and the apps with their tiers.
//!
//! [`Topology::parse`] is the only way in. It reads the whole document, reports every problem at
//! once with its JSON path, and keeps the document as it was put.

mod access;
mod apps;
mod choices;
mod cloud;
mod constraints;
mod docker_names;
mod graph;
mod healthcheck;
mod image;
mod infrastructure;
mod linux;
mod names;
mod parse;
mod ports;
mod probe;
mod runtime;
mod self_heal;
mod shapes;
#[cfg(test)]
mod tests;
mod variable;
mod written;

use std::collections::BTreeMap;

use serde_json::Value;

use super::ids::TierId;
use super::revision::Revisions;

pub use access::{DockerAccess, Tls};
pub use apps::{HookName, Tier};
pub(super) use cloud::read_endpoint;
pub use cloud::{AutoScaling, Cloud, Host, Registered};
pub use constraints::Spread;
pub(super) use constraints::read_labels;
pub use healthcheck::Healthcheck;
pub use image::{Login, Pull, registry_of};
pub use infrastructure::{
    CpuMode, Hooks, HooksSource, Infrastructure, OnFailure, OnForeign, OnShortage, Weights,
};
pub(super) use infrastructure::{MOST_CORES, MOST_MEM_UNITS};
pub(super) use names::check_machine as check_name;
pub use parse::Parsed;
pub use ports::{PortBinding, Protocol};
pub use probe::{Ask, Probe};
pub use runtime::{DEFAULT_PIDS, Pids, RuntimeOptions, Ulimit};
pub use self_heal::{SelfHeal, Share};
pub use shapes::{Price, Shape};
pub use variable::{Reference, Variable};
pub use written::{App, Scalar};

/// The infrastructure, and the apps with their tiers. Fields that are not listed are kept, given
/// back, and named in `warnings`.
// The schema describes the document that `parse` reads; a test in `api::openapi` compares the two.
#[derive(Clone, Debug, PartialEq, utoipa::ToSchema)]
#[schema(example = json!({
    "infrastructure": {
        "cloud_driver": { "hosts": { "vm1": { "docker": "tcp://10.0.0.1:2375", "ip": "10.0.0.1" } } },
        "cpu_cores": 2, "mem_units": 8
    },
    "apps": [{ "name": "rubis", "tiers": {
        "web": { "docker_image": "nginx:1.27", "ports": ["8080:80"], "depends_on": ["db"] },
        "db": { "docker_image": "mysql:8", "max_node": 1 }
    } }]
}))]
pub struct Topology {
    /// Where VMs come from, and what one has.
    pub infrastructure: Infrastructure,
    /// Every tier of every app, by flat name.
    #[schema(ignore)]
    pub tiers: BTreeMap<TierId, Tier>,
    /// The apps, in the document's order.
    #[schema(value_type = Vec<App>)]
    pub apps: Vec<String>,
    /// The document as it was put.
    #[schema(ignore)]
    pub document: Value,
    /// The revisions of the tiers, if a service has taken the topology.
    #[schema(ignore)]
    pub revisions: Revisions,
}

impl Topology {
    /// The tiers that depend, directly, on `tier`.
    pub fn dependents<'a>(&'a self, tier: &'a TierId) -> impl Iterator<Item = &'a Tier> {
        self.tiers
            .values()
            .filter(move |other| other.depends_on.contains(tier))
    }

    /// The same, with the machines that have registered themselves, where they are what it is about.
    #[must_use]
    pub fn with_members(mut self, members: &std::sync::Arc<super::Registrations>) -> Self {
        if let Cloud::Nodes(nodes) = &mut self.infrastructure.cloud {
            nodes.members = std::sync::Arc::clone(members);
        }
        self
    }

    /// All tiers, each after the tiers that it depends on; ties are broken by flat name.
    #[must_use]
    pub fn dependencies_first(&self) -> Vec<&Tier> {
        graph::dependencies_first(&self.tiers)
    }
}
