//! Where a tier is to be so that it has left a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{Code, Fault};
use crate::model::intent::Destination;
use crate::model::{TierId, Topology, VmId};

use crate::service::intents::compiled;
use crate::service::requirements::{Confine, takes_too_long};
use crate::service::{Service, Snapshot};

impl Service {
    /// Where a tier is to be so that it has left a node; None where it has left it already.
    pub(super) async fn migration(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        tier: &TierId,
        from: Option<&VmId>,
        to: &Destination,
    ) -> Result<Option<Confine>, Fault> {
        let refused = |message: String| Err(Fault::new(Code::Infeasible, message));
        let places: BTreeSet<VmId> = snapshot
            .allocation
            .places(tier)
            .map(|(vm, _)| vm.clone())
            .collect();
        let named = || places.iter().map(VmId::as_str).collect::<Vec<_>>().join(", ");
        let from = match (from, places.len()) {
            (_, 0) => return refused(format!("{tier} runs nowhere")),
            (Some(from), _) if places.contains(from) => from.clone(),
            (Some(from), _) => {
                return refused(format!(
                    "{tier} has no container on '{from}'; it is on {}",
                    named()
                ));
            }
            (None, 1) => places.iter().next().cloned().unwrap_or_else(|| VmId::new("")),
            (None, _) => {
                return refused(format!("{tier} is on {}: say from which it is to go", named()));
            }
        };
        let destinations: BTreeSet<VmId> = match to {
            Destination::Nodes(nodes) => nodes.iter().cloned().collect(),
            Destination::Expression(source) => {
                let requires = compiled(source)?;
                let nodes = self.nodes_here().await?;
                if takes_too_long(nodes.len(), requires.steps()) {
                    let count = nodes.len();
                    return refused(format!("it takes too long to ask {count} nodes {source}"));
                }
                let fit = nodes
                    .values()
                    .filter(|node| requires.unmet(&node.facts()).is_empty());
                let fit: BTreeSet<VmId> = fit.map(|node| node.id.clone()).collect();
                if fit.is_empty() {
                    return refused(format!("there is no node of which {source} is true"));
                }
                fit
            }
        };
        if destinations.contains(&from) {
            // It is where it is wanted.
            return Ok(None);
        }
        if let Some(node) = destinations.iter().find(|node| places.contains(*node))
            && destinations.iter().all(|node| places.contains(node))
        {
            return refused(format!("{tier} has a container on '{node}' already"));
        }
        let mut only = BTreeMap::new();
        for other in snapshot.allocation.totals().into_keys() {
            let mut there: BTreeSet<VmId> = snapshot
                .allocation
                .places(&other)
                .map(|(vm, _)| vm.clone())
                .collect();
            let count = u32::try_from(there.len()).unwrap_or(u32::MAX);
            // All others stay where they are.
            if other == *tier {
                there.remove(&from);
                there.extend(destinations.iter().cloned());
            }
            if topology.tiers.contains_key(&other) {
                only.insert(other, (count, there));
            }
        }
        Ok(Some(Confine {
            leave: BTreeMap::new(),
            only,
        }))
    }
}
