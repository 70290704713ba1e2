//! How a container differs from what the allocation says. Pure.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{Health, Observed, State};
use crate::model::topology::CpuMode;
use crate::model::{Container, CoreSet, RevisionId, StaleAddress, TierId, Topology, Whereabouts};

/// One thing in which a container differs from what the allocation says.
///
/// As data it has a `kind`; as text it is what `drift` shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(example = json!({ "kind": "resized", "limit": "memory", "is": "33554432", "should": "67108864" }))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Drift {
    /// The allocation has it, the engine does not.
    Missing,
    /// The engine has it, and it is ours, but the allocation does not have it.
    Unknown,
    /// It is there and has no process.
    Stopped,
    /// It is paused: it holds its part and does nothing.
    Paused,
    /// It ends again and again, and is between two restarts.
    Restarting,
    /// It fails its health check.
    Unhealthy,
    /// It has other limits.
    Resized {
        /// Which limit, in Docker's terms.
        limit: Limit,
        /// As reported by the engine.
        is: String,
        /// As in the allocation.
        should: String,
    },
    /// It was made from an earlier revision of its tier.
    Outdated {
        /// The revision that it was made from.
        #[schema(value_type = String, example = "60303ae22b998861")]
        is: RevisionId,
        /// The topology's revision.
        #[schema(value_type = String, example = "9f86d081884c7d65")]
        should: RevisionId,
    },
    /// It looks for a dependency where that is not any more.
    StaleAddress(StaleAddress),
    /// A container that is not ours has its name.
    Foreign {
        /// Its owner, if a `mapek` made it and it has one.
        owner: Option<String>,
    },
    /// Its VM can't be asked.
    Unreachable {
        /// Why.
        why: String,
    },
    /// Another engine answers in place of the one that it was put on.
    EngineChanged {
        /// What is known about both.
        why: String,
    },
}

/// A limit of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = "memory")]
pub enum Limit {
    /// In bytes.
    Memory,
    /// The cores that it is pinned to.
    Cpuset,
    /// Its share of all cores, in billionths.
    NanoCpus,
    /// In gigabytes.
    Disk,
    /// How many it has.
    Gpus,
}

impl fmt::Display for Drift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("gone: the allocation has it, the engine does not"),
            Self::Unknown => out.write_str("not asked for: the engine has it, the allocation does not"),
            Self::Stopped => out.write_str("not running"),
            Self::Paused => out.write_str("not running: it is paused, and still holds what it has"),
            Self::Restarting => out.write_str("not running: it ends again and again, and is being restarted"),
            Self::Unhealthy => out.write_str("unhealthy"),
            Self::Resized { limit, is, should } => match limit {
                Limit::Memory => write!(out, "memory is {is} bytes, should be {should}"),
                Limit::Cpuset => write!(out, "cpuset is {is:?}, should be {should:?}"),
                Limit::NanoCpus => write!(out, "nano cpus are {is}, should be {should}"),
                Limit::Disk => write!(out, "disk is {is} GB, should be {should}"),
                Limit::Gpus => write!(out, "GPUs are {is}, should be {should}"),
            },
            Self::Outdated { is, should } => write!(
                out,
                "made from revision {is} of its tier, which is at {should} by now; the next plan that is executed replaces it"
            ),
            Self::StaleAddress(stale) => write!(out, "{stale}; the next execution replaces it"),
            Self::Foreign { owner: Some(owner) } => {
                write!(
                    out,
                    "gone: another mapek (owner {owner}) has a container of its name"
                )
            }
            Self::Foreign { owner: None } => {
                out.write_str("gone: a container that mapek did not make has its name")
            }
            Self::Unreachable { why } | Self::EngineChanged { why } => write!(out, "VM unreachable: {why}"),
        }
    }
}

/// The differences between a container of the allocation and the container that its engine has
/// under the name; none if they agree, or if a container that is not ours only has the name.
pub fn differences(
    topology: &Topology,
    whereabouts: &Whereabouts<'_>,
    wanted: Option<&Container>,
    seen: Option<&Observed>,
) -> Vec<Drift> {
    match (wanted, seen) {
        (Some(_), None) => vec![Drift::Missing],
        (Some(_), Some(seen)) if !seen.managed => vec![Drift::Foreign {
            owner: seen.owner().map(str::to_owned),
        }],
        (Some(wanted), Some(seen)) => {
            let mut found: Vec<Drift> = doing(seen).into_iter().collect();
            found.extend(limits(topology, wanted, seen));
            found.extend(stale(whereabouts, wanted, seen));
            found.extend(outdated(topology, wanted, seen));
            found
        }
        (None, Some(seen)) if seen.managed => vec![Drift::Unknown],
        (None, Some(_) | None) => Vec::new(),
    }
}

fn doing(seen: &Observed) -> Option<Drift> {
    match seen.state {
        State::Running if seen.health == Some(Health::Unhealthy) => Some(Drift::Unhealthy),
        State::Running => None,
        State::Paused => Some(Drift::Paused),
        State::Restarting => Some(Drift::Restarting),
        State::Created | State::Removing | State::Exited | State::Dead => Some(Drift::Stopped),
    }
}

fn outdated(topology: &Topology, wanted: &Container, seen: &Observed) -> Option<Drift> {
    let is = seen.revision().or_else(|| wanted.revision.clone())?;
    let tier = TierId::new(&seen.name);
    let should = topology.revisions.current(&tier)?;
    (is != *should).then(|| Drift::Outdated {
        is,
        should: should.clone(),
    })
}

fn stale(whereabouts: &Whereabouts<'_>, wanted: &Container, seen: &Observed) -> Vec<Drift> {
    let Some(had) = &seen.addresses else {
        return Vec::new();
    };
    let revision = seen.revision().or_else(|| wanted.revision.clone());
    let tier = TierId::new(&seen.name);
    let stale = whereabouts.stale(&tier, revision.as_ref(), had);
    stale.into_iter().map(Drift::StaleAddress).collect()
}

fn limits(topology: &Topology, wanted: &Container, seen: &Observed) -> Vec<Drift> {
    let resized = |limit, is: String, should: String| Drift::Resized { limit, is, should };
    let mut found = Vec::new();
    let unit = topology.infrastructure.mem_unit_mb.saturating_mul(1024 * 1024);
    let memory = wanted.size.mem.saturating_mul(unit);
    if seen.memory != memory {
        found.push(resized(
            Limit::Memory,
            seen.memory.to_string(),
            memory.to_string(),
        ));
    }
    for (limit, is, should) in [
        (Limit::Disk, seen.fixed.disk_gb, wanted.size.disk_gb),
        (Limit::Gpus, seen.fixed.gpus, wanted.size.gpus),
    ] {
        if is != should {
            found.push(resized(limit, is.to_string(), should.to_string()));
        }
    }
    match topology.infrastructure.cpu_mode {
        CpuMode::Cpuset if CoreSet::parse(&seen.cpuset).as_ref() != Some(&wanted.cores) => {
            let (is, should) = (seen.cpuset.clone(), wanted.cores.to_string());
            found.push(resized(Limit::Cpuset, is, should));
        }
        CpuMode::Quota if seen.nano_cpus != wanted.size.cpu.nanos() => {
            let (is, should) = (seen.nano_cpus, wanted.size.cpu.nanos());
            found.push(resized(Limit::NanoCpus, is.to_string(), should.to_string()));
        }
        CpuMode::Cpuset | CpuMode::Quota => {}
    }
    found
}
