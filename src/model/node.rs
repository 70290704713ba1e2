//! A node: a VM that exists, wherever it comes from, with everything that is known about it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::require::Facts;

use super::ids::{TierId, VmId};
use super::units::Size;

/// What a node, or its source, says about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Labels that people gave it: a zone, a rack, an owner.
    pub labels: BTreeMap<String, String>,
    /// What it is able to do: architecture, cores, kernel, runtimes, …
    pub capabilities: Map<String, Value>,
}

impl About {
    /// Together with what somebody else says, who is right where both say something.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        let labels = other.labels.iter();
        self.labels
            .extend(labels.map(|(name, value)| (name.clone(), value.clone())));
        let capabilities = other.capabilities.iter();
        self.capabilities
            .extend(capabilities.map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// What both say in the same way.
    #[must_use]
    pub fn alike(mut self, other: &Self) -> Self {
        self.labels
            .retain(|name, value| other.labels.get(name) == Some(value));
        self.capabilities
            .retain(|name, value| other.capabilities.get(name) == Some(value));
        self
    }
}

/// Where a node comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NodeSource, example = "hosts")]
pub enum Source {
    /// This machine.
    Embedded,
    /// A host of the topology.
    Hosts,
    /// An instance of an AWS Auto Scaling group.
    Autoscaling,
    /// A machine that registered itself.
    Nodes,
}

impl Source {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Hosts => "hosts",
            Self::Autoscaling => "autoscaling",
            Self::Nodes => "nodes",
        }
    }
}

/// Whether a node can be used: it can; it takes nothing new; everything is to leave it; its engine did not answer
/// last time; it has not answered for so long that it counts as lost; its source is about to take it away; its
/// source has put it aside, or is still starting it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    ToSchema,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = NodeStanding, example = "ready")]
pub enum Standing {
    /// It can be used.
    Ready,
    /// It takes nothing new; what is on it stays.
    Cordoned,
    /// Everything on it is being moved away.
    Draining,
    /// Its engine did not answer last time.
    Silent,
    /// It has not answered for so long that it counts as lost.
    Lost,
    /// Its source is about to take it away.
    Leaving,
    /// Its source has put it aside, or is still starting it.
    Aside,
}

impl Standing {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
            Self::Silent => "silent",
            Self::Lost => "lost",
            Self::Leaving => "leaving",
            Self::Aside => "aside",
        }
    }
}

/// How much of a node is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "tiers": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } },
    "others": { "cpu_cores": 0, "mem_units": 0 } }))]
pub struct Used {
    /// What each container of the topology's tiers holds, by tier.
    #[schema(value_type = BTreeMap<String, Size>)]
    pub tiers: BTreeMap<TierId, Size>,
    /// What other containers hold, by their limits.
    pub others: Size,
}

impl Used {
    /// All of it together.
    #[must_use]
    pub fn total(&self) -> Size {
        self.tiers.values().fold(self.others, |sum, size| sum + *size)
    }
}

/// A VM that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "id": "vm1", "source": "hosts", "standing": "ready", "reason": null,
    "since": "2026-11-21T06:00:00Z", "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "tiers": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } }, "others": { "cpu_cores": 0, "mem_units": 0 } },
    "labels": { "zone": "a" }, "capabilities": { "arch": "amd64", "os": "linux", "cores": 2 },
    "health": { "containers": 1 }, "epoch": null }))]
pub struct Node {
    /// Its name.
    #[schema(value_type = String, example = "vm1")]
    pub id: VmId,
    /// Where it comes from.
    pub source: Source,
    /// Whether it can be used.
    pub standing: Standing,
    /// Why it can't be used; null if it can.
    #[schema(example = json!(null))]
    pub reason: Option<String>,
    /// Since when this has been its standing, as far as this process has seen.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub since: Timestamp,
    /// The address at which its published ports are reached.
    #[schema(example = "10.0.0.1")]
    pub ip: Option<String>,
    /// What it has.
    #[serde(flatten)]
    pub size: Size,
    /// How much of that is in use; null if its engine did not answer.
    pub used: Option<Used>,
    /// Labels: those of the topology or of the cloud, and of the node's engine.
    #[schema(value_type = BTreeMap<String, String>)]
    pub labels: BTreeMap<String, String>,
    /// Its capabilities, as it last reported them.
    #[schema(value_type = BTreeMap<String, Value>)]
    pub capabilities: Map<String, Value>,
    /// Its health, at the last look.
    #[schema(value_type = BTreeMap<String, Value>)]
    pub health: Map<String, Value>,
    /// Which start of the node's agent this is: a later one has a larger number. Null for nodes without an agent.
    pub epoch: Option<u64>,
}

impl Node {
    /// The node as expressions see it.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let Value::Object(fields) = json!({
            "id": self.id,
            "source": self.source,
            "standing": self.standing,
            "cpu_cores": self.size.cpu,
            "mem_units": self.size.mem,
            "disk_gb": self.size.disk_gb,
            "gpus": self.size.gpus,
            "labels": self.labels,
            "capabilities": self.capabilities,
            "health": self.health,
            "epoch": self.epoch,
        }) else {
            return Facts::of(&Map::new());
        };
        Facts::of(&fields)
    }

    /// What is free on it; None if its engine did not answer.
    #[must_use]
    pub fn free(&self) -> Option<Size> {
        let used = self.used.as_ref()?.total();
        let taken = used.min(self.size);
        Some(self.size - taken)
    }
}
