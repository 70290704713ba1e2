//! Migrate: a container of a tier goes to one of several nodes. All other containers stay where they are, so the
//! destinations are tried one after the other, the best first.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{Code, Fault};
use crate::model::intent::{Destination, Intent};
use crate::model::node::Standing;
use crate::model::{TierId, Topology, VmId};
use crate::service::candidates::{Rejected, Wanted, candidates};
use crate::service::nodes::Nodes;
use crate::service::observed::ports::TakenPorts;
use crate::service::requirements::{Confine, steps_of, takes_too_long};
use crate::service::{Service, Snapshot};

use super::carry_out::Attempt;
use super::compiled;
use super::reasons::line_of;
use super::request::request_of;

/// Destinations that are tried in one go; each takes a look at the engines and a search.
const MOST_TRIED: usize = 16;

impl Service {
    /// Begins to move a container of a tier, or says why that can't be.
    pub(super) async fn migrate(
        &self,
        snapshot: &Snapshot,
        intent: &Intent,
        (tier, from): (&TierId, Option<&VmId>),
        to: &Destination,
    ) -> Result<Attempt, Fault> {
        let topology = snapshot.topology()?;
        let from = match leaves(snapshot, tier, from) {
            Ok(from) => from,
            Err(why) => return Ok(Attempt::Refused(vec![why])),
        };
        if matches!(to, Destination::Nodes(nodes) if nodes.contains(&from)) {
            // It is already where it should be.
            return Ok(Attempt::Done);
        }
        let (nodes, ports) = self.nodes_with_ports().await?;
        let destinations = match destinations(&nodes, to)? {
            Ok(destinations) => destinations,
            Err(why) => return Ok(Attempt::Refused(vec![why])),
        };
        if destinations.contains(&from) {
            return Ok(Attempt::Done);
        }
        let ranked = Ranked::of(&topology, (&nodes, &ports), tier, &from, &destinations)?;
        let mut waits: Vec<String> = ranked.unheard.iter().map(line_of).collect();
        let mut refused: Vec<String> = ranked.rejected.iter().map(line_of).collect();
        for node in ranked.worth_a_try.iter().take(MOST_TRIED) {
            let confine = moved(snapshot, &topology, tier, &from, node);
            let request = request_of(snapshot, &topology, intent, confine);
            match Attempt::of(self.begin(request).await) {
                Attempt::Waits(why) => waits.extend(why.iter().map(|why| format!("'{node}': {why}"))),
                Attempt::Refused(why) => refused.extend(why.iter().map(|why| format!("'{node}': {why}"))),
                over @ (Attempt::Begun | Attempt::Done | Attempt::Later) => return Ok(over),
            }
        }
        if !waits.is_empty() {
            return Ok(Attempt::Waits(waits));
        }
        let left = ranked.worth_a_try.len().saturating_sub(MOST_TRIED);
        if left > 0 {
            refused.push(format!("{left} others, which have less room, were not tried"));
        }
        refused.insert(
            0,
            format!("no node of those it may go to can take {tier} from '{from}'"),
        );
        Ok(Attempt::Refused(refused))
    }
}

/// The node that the container leaves, or why there is none.
fn leaves(snapshot: &Snapshot, tier: &TierId, from: Option<&VmId>) -> Result<VmId, String> {
    let places: Vec<&VmId> = snapshot.allocation.places(tier).map(|(vm, _)| vm).collect();
    let named = || {
        let names: Vec<&str> = places.iter().map(|vm| vm.as_str()).collect();
        names.join(", ")
    };
    match (from, places.as_slice()) {
        (_, []) => Err(format!("{tier} runs nowhere")),
        (Some(from), places) if places.contains(&from) => Ok(from.clone()),
        (Some(from), _) => Err(format!(
            "{tier} has no container on '{from}'; it is on {}",
            named()
        )),
        (None, [only]) => Ok((*only).clone()),
        (None, _) => Err(format!(
            "{tier} is on {}: say which container should move",
            named()
        )),
    }
}

/// The nodes that the container may go to, or why there is none.
fn destinations(nodes: &Nodes, to: &Destination) -> Result<Result<BTreeSet<VmId>, String>, Fault> {
    let source = match to {
        Destination::Nodes(named) => return Ok(Ok(named.iter().cloned().collect())),
        Destination::Expression(source) => source,
    };
    let requires = compiled(source)?;
    if takes_too_long(nodes.len(), requires.steps()) {
        let count = nodes.len();
        return Ok(Err(format!("it takes too long to ask {count} nodes {source}")));
    }
    let fit = nodes
        .values()
        .filter(|node| requires.unmet(&node.facts()).is_empty());
    let fit: BTreeSet<VmId> = fit.map(|node| node.id.clone()).collect();
    if fit.is_empty() {
        return Ok(Err(format!("there is no node of which {source} is true")));
    }
    Ok(Ok(fit))
}

/// The destinations, by how suitable they are.
#[derive(Default)]
struct Ranked {
    /// Those that could take it, the best first; then those that only lack room, which resizing
    /// others may make.
    worth_a_try: Vec<VmId>,
    /// Those that do not answer.
    unheard: Vec<Rejected>,
    /// Those that can't take it.
    rejected: Vec<Rejected>,
}

impl Ranked {
    fn of(
        topology: &Topology,
        (nodes, ports): (&Nodes, &TakenPorts),
        tier: &TierId,
        from: &VmId,
        destinations: &BTreeSet<VmId>,
    ) -> Result<Self, Fault> {
        let spec = topology.tiers.get(tier);
        if takes_too_long(nodes.len(), spec.map_or(0.0, steps_of)) {
            let message = format!(
                "it takes too long to ask {} nodes what {tier} requires",
                nodes.len()
            );
            return Err(Fault::new(Code::PlanTooLarge, message));
        }
        let wanted = Wanted {
            tier: Some(tier.clone()),
            leaves: Some(from.clone()),
            ..Wanted::default()
        };
        let found = candidates(topology, (nodes, ports), spec, &wanted);
        let mut ranked = Self::default();
        let able = found.candidates.into_iter().map(|one| one.node);
        ranked.worth_a_try = able.filter(|node| destinations.contains(node)).collect();
        for node in destinations.iter().filter(|node| !nodes.contains_key(*node)) {
            ranked.rejected.push(Rejected {
                node: node.clone(),
                reasons: vec!["there is no such node any more".to_owned()],
                lacks_only_room: false,
            });
        }
        for rejected in found.rejected {
            let Some(node) = nodes
                .get(&rejected.node)
                .filter(|node| destinations.contains(&node.id))
            else {
                continue;
            };
            match node.standing {
                Standing::Silent | Standing::Lost => ranked.unheard.push(rejected),
                _ if rejected.lacks_only_room => {
                    ranked.worth_a_try.push(rejected.node.clone());
                    ranked.rejected.push(rejected);
                }
                _ => ranked.rejected.push(rejected),
            }
        }
        Ok(ranked)
    }
}

/// Where everything should be: this container at its destination, and all others where they are.
fn moved(snapshot: &Snapshot, topology: &Topology, tier: &TierId, from: &VmId, to: &VmId) -> Confine {
    let mut only = BTreeMap::new();
    for other in snapshot.allocation.totals().into_keys() {
        if !topology.tiers.contains_key(&other) {
            continue;
        }
        let places = snapshot.allocation.places(&other).map(|(vm, _)| vm.clone());
        let mut places: BTreeSet<VmId> = places.collect();
        if other == *tier {
            places.remove(from);
            places.insert(to.clone());
        }
        // As many as there are places, so each of them has one.
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX);
        only.insert(other, (count, places));
    }
    Confine {
        only,
        ..Confine::default()
    }
}
