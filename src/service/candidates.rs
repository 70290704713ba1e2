//! Candidates: which nodes could take a tier now, how good each is, and why the others could not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::fault::{Code, Fault};
use crate::model::node::Standing;
use crate::model::topology::{PortBinding, Spread, Tier};
use crate::model::{Cpu, Node, Size, TierId, Topology, VmId};
use crate::require::Requires;

use super::Service;
use super::nodes::Nodes;
use super::observed::ports::TakenPorts;
use super::requirements::{domain, steps_of, takes_too_long};

/// What is to be placed.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A tier of the topology.
    pub tier: Option<TierId>,
    /// What must be true of a node, besides what the tier requires.
    pub requires: Option<Requires>,
    /// Cores that it needs; one step unless given.
    pub cpu: Option<Cpu>,
    /// Memory units that it needs; one unless given.
    pub mem: Option<u64>,
    /// Gigabytes of disk that it needs.
    pub disk_gb: u64,
    /// Graphics processors that it needs.
    pub gpus: u64,
    /// Nodes that are out of the question.
    pub exclude: BTreeSet<VmId>,
    /// The node that a container of the tier leaves for it, where one does.
    pub leaves: Option<VmId>,
}

/// A node that could take it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = NodeCandidate, example = json!({ "node": "vm2", "score": 1.0, "room": { "cpu_cores": 2, "mem_units": 8 } }))]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The node.
    #[schema(value_type = String, example = "vm2")]
    pub node: VmId,
    /// The result of the tier's `prefers` for it; 0 without one. More is better.
    #[schema(example = 1.0)]
    pub score: f64,
    /// What is free on it.
    pub room: Size,
}

/// A node that could not, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NodeRejected, example = json!({ "node": "vm1",
    "reasons": ["requires: node.capabilities.arch == 'arm64' is false (amd64)", "3 of 4 cores are in use, and 2 are needed"] }))]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// The node.
    #[schema(value_type = String, example = "vm1")]
    pub node: VmId,
    /// All that stands in the way.
    pub reasons: Vec<String>,
    /// Whether that is nothing but what others hold there.
    #[serde(skip)]
    pub lacks_only_room: bool,
}

/// The nodes that could take something, best first, and those that could not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({ "candidates": [], "rejected": [], "warnings": [], "time": "0.02" }))]
#[serde(deny_unknown_fields)]
pub struct Candidates {
    /// Those that could take it: the highest score first, then those with the most room.
    pub candidates: Vec<Candidate>,
    /// The others, by name.
    pub rejected: Vec<Rejected>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

impl Service {
    /// Which nodes could take something now. Nothing is changed.
    ///
    /// # Errors
    ///
    /// When there is no topology or no such tier, or the nodes' source can't be asked.
    pub async fn candidates(&self, wanted: Wanted) -> Result<Candidates, Fault> {
        let service = self.clone();
        let work = async move {
            let topology = service.snapshot().topology()?;
            let tier = match &wanted.tier {
                None => None,
                Some(id) => Some(topology.tiers.get(id).ok_or_else(|| unknown(&topology, id))?),
            };
            wanted.cpu.map_or(Ok(()), |cpu| countable(&topology, cpu))?;
            let (nodes, ports) = service.nodes_with_ports().await?;
            known(&nodes, &wanted.exclude)?;
            affordable(&nodes, tier, &wanted)?;
            Ok(candidates(&topology, (&nodes, &ports), tier, &wanted))
        };
        self.to_the_end(work).await
    }
}

fn unknown(topology: &Arc<Topology>, id: &TierId) -> Fault {
    let names = topology.tiers.keys().map(TierId::as_str);
    let near = crate::model::nearest(id.as_str(), names);
    let hint = near
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    Fault::new(
        Code::NotFound,
        format!("there is no tier {id} in the topology{hint}"),
    )
}

/// That a container can have so many cores.
pub fn countable(topology: &Topology, cpu: Cpu) -> Result<(), Fault> {
    if cpu
        .in_hundredths()
        .is_multiple_of(topology.infrastructure.cpu_mode.step())
    {
        return Ok(());
    }
    let message = format!(
        "cpu_cores is {cpu}: in cpu_mode \"cpuset\" it should be a whole number; cpu_mode \"quota\" has decimals"
    );
    Err(Fault::new(Code::RequestInvalid, message))
}

/// That there are such nodes.
fn known(nodes: &Nodes, names: &BTreeSet<VmId>) -> Result<(), Fault> {
    let unknown = names.iter().filter(|name| !nodes.contains_key(*name));
    let unknown: Vec<String> = unknown
        .map(|name| {
            let near = crate::model::nearest(name.as_str(), nodes.keys().map(VmId::as_str));
            let hint = near.map(|near| format!("; did you mean '{near}'?"));
            format!("exclude: there is no node '{name}'{}", hint.unwrap_or_default())
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Fault::new(Code::NotFound, unknown.join("; ")))
}

/// That there is an end to asking the nodes, which nothing else bounds.
fn affordable(nodes: &Nodes, tier: Option<&Tier>, wanted: &Wanted) -> Result<(), Fault> {
    let steps = tier.map_or(0.0, steps_of) + wanted.requires.as_ref().map_or(0.0, Requires::steps);
    if takes_too_long(nodes.len(), steps) {
        let count = nodes.len();
        let message = format!("it takes too long to ask {count} nodes this: give a simpler expression");
        return Err(Fault::new(Code::RequestInvalid, message));
    }
    Ok(())
}

/// Sorts the nodes into those that could and those that could not.
#[must_use]
pub fn candidates(
    topology: &Topology,
    (nodes, ports): (&Nodes, &TakenPorts),
    tier: Option<&Tier>,
    wanted: &Wanted,
) -> Candidates {
    let step = Cpu::hundredths(topology.infrastructure.cpu_mode.step());
    let need = Size {
        cpu: wanted.cpu.unwrap_or(step),
        mem: wanted.mem.unwrap_or(1),
        disk_gb: wanted.disk_gb,
        gpus: wanted.gpus,
    };
    let leaves = wanted.leaves.as_ref();
    let taken = tier.map_or_else(BTreeMap::new, |tier| domains(nodes, tier, leaves));
    let enough = tier.and_then(|tier| enough(nodes, tier, leaves));
    let mut found = Candidates::default();
    for node in nodes.values() {
        let mut reasons = Vec::new();
        if wanted.exclude.contains(&node.id) {
            reasons.push("it is excluded".to_owned());
        }
        if node.standing != Standing::Ready {
            reasons.push(unusable(node));
        }
        let facts = node.facts();
        let own = tier.and_then(|tier| tier.requires.as_ref());
        for requires in own.into_iter().chain(&wanted.requires) {
            reasons.extend(requires.unmet(&facts));
        }
        let others = reasons.len();
        reasons.extend(crowded(node, need));
        let crowded = reasons.len() - others;
        if let Some(tier) = tier {
            reasons.extend(occupied(topology, node, tier, &taken));
            let holds = holds(node, &tier.id);
            reasons.extend(ports.bar(&node.id, tier).filter(|_| !holds));
            reasons.extend(enough.clone().filter(|_| !holds));
        }
        if !reasons.is_empty() {
            let node = node.id.clone();
            found.rejected.push(Rejected {
                node,
                lacks_only_room: reasons.len() == crowded,
                reasons,
            });
            continue;
        }
        let score = match tier.and_then(|tier| tier.prefers.as_ref()) {
            None => 0.0,
            Some(prefers) => prefers.score(&facts).unwrap_or_else(|why| {
                found.warnings.push(format!("'{}': {why}", node.id));
                0.0
            }),
        };
        found.candidates.push(Candidate {
            node: node.id.clone(),
            score,
            room: node.free().unwrap_or(node.size),
        });
    }
    // Names stay in order where nothing tells them apart.
    found.candidates.sort_by(|a, b| {
        let room = |of: &Candidate| (of.room.cpu, of.room.mem, of.room.disk_gb, of.room.gpus);
        b.score.total_cmp(&a.score).then(room(b).cmp(&room(a)))
    });
    found
}

/// Why a node can't be used as it stands, and what would change that.
fn unusable(node: &Node) -> String {
    let why = node.reason.as_deref().unwrap_or_default();
    match node.standing {
        // The reason names who cordoned it, and when.
        Standing::Cordoned => format!("it is {why}; uncordon it to use it"),
        standing => format!("it is {}: {why}", standing.as_str()),
    }
}

/// Why a tier may be on no more nodes than it is.
fn enough(nodes: &Nodes, tier: &Tier, leaves: Option<&VmId>) -> Option<String> {
    let most = tier.max_node?;
    let holding = nodes
        .values()
        .filter(|node| holds(node, &tier.id) && Some(&node.id) != leaves);
    let on: Vec<String> = holding.map(|node| format!("'{}'", node.id)).collect();
    let full = u32::try_from(on.len()).is_ok_and(|count| count >= most);
    let nodes = if most == 1 { "node" } else { "nodes" };
    full.then(|| {
        format!(
            "max_node: {} may be on {most} {nodes}, and is on {} already",
            tier.id,
            on.join(", ")
        )
    })
}

/// How many are needed, in a sentence.
fn needed(count: impl std::fmt::Display) -> String {
    let count = count.to_string();
    let verb = if count == "1" { "is" } else { "are" };
    format!("{count} {verb} needed")
}

/// Why there is no room.
fn crowded(node: &Node, need: Size) -> Vec<String> {
    let Some(free) = node.free() else {
        return vec!["what is in use on it is not known".to_owned()];
    };
    let mut reasons = Vec::new();
    let used = node.size - free;
    if need.cpu > free.cpu {
        let (used, all, need) = (used.cpu, node.size.cpu, need.cpu);
        reasons.push(format!("{used} of {all} cores are in use, and {}", needed(need)));
    }
    for (free, used, all, need, what) in [
        (free.mem, used.mem, node.size.mem, need.mem, "mem_units"),
        (
            free.disk_gb,
            used.disk_gb,
            node.size.disk_gb,
            need.disk_gb,
            "GB of disk",
        ),
        (free.gpus, used.gpus, node.size.gpus, need.gpus, "GPUs"),
    ] {
        if need > free {
            reasons.push(format!("{used} of {all} {what} are in use, and {}", needed(need)));
        }
    }
    reasons
}

/// The failure domains in which a tier has a container, with the node.
fn domains(nodes: &Nodes, tier: &Tier, leaves: Option<&VmId>) -> BTreeMap<String, VmId> {
    let Spread::Label(label) = &tier.spread else {
        return BTreeMap::new();
    };
    let holding = nodes
        .values()
        .filter(|node| holds(node, &tier.id) && Some(&node.id) != leaves);
    holding
        .filter_map(|node| Some((domain(node, label)?, node.id.clone())))
        .collect()
}

fn holds(node: &Node, tier: &TierId) -> bool {
    node.used
        .as_ref()
        .is_some_and(|used| used.tiers.contains_key(tier))
}

/// What the tier's own containers, or their neighbours, prevent.
fn occupied(topology: &Topology, node: &Node, tier: &Tier, taken: &BTreeMap<String, VmId>) -> Vec<String> {
    let mut reasons = Vec::new();
    if holds(node, &tier.id) {
        return vec![format!("it has a container of {} already", tier.id)];
    }
    if let Spread::Label(label) = &tier.spread {
        match domain(node, label) {
            None => reasons.push(format!("spread: it has no label {label}")),
            Some(domain) => {
                if let Some(other) = taken.get(&domain) {
                    reasons.push(format!(
                        "spread: '{other}', with the same {label} {domain}, has a container of {} already",
                        tier.id
                    ));
                }
            }
        }
    }
    let there = node.used.iter().flat_map(|used| used.tiers.keys());
    for other in there.filter_map(|id| topology.tiers.get(id)) {
        let clash = tier
            .ports
            .iter()
            .find(|port| other.ports.iter().any(|taken| clashes(port, taken)));
        if let Some(port) = clash {
            reasons.push(format!("{} publishes port {} there", other.id, port.host));
        }
    }
    reasons
}

/// Whether two can't be published on one machine.
fn clashes(a: &PortBinding, b: &PortBinding) -> bool {
    let any = |binding: &PortBinding| binding.address.is_none_or(|address| address.is_unspecified());
    a.host == b.host && a.protocol == b.protocol && (any(a) || any(b) || a.address == b.address)
}

#[cfg(test)]
mod tests;
