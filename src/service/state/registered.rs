//! Nodes that register themselves, on record.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::endpoint::Endpoint;
use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::registration::Refused;
use crate::model::topology::Cloud;
use crate::model::{Refresh, Registration, Topology, VmId};

use crate::service::Snapshot;
use crate::service::state::{Store, signed};

/// The most nodes that may register.
const MOST_NODES: usize = 10_000;

/// What is known of a node once this is taken.
///
/// # Errors
///
/// When a later start of it has registered, too little is said, or it can't be one of this topology's machines.
pub fn taken(now: &Snapshot, id: &VmId, refresh: &Refresh) -> Result<Registration, Fault> {
    refuse_elsewhere(now)?;
    let known = now.registered.get(id);
    let node = refresh
        .over(known.map(Arc::as_ref))
        .map_err(|refused| match refused {
            Refused::Stale(epoch) => stale(id, epoch, refresh.epoch),
            Refused::Incomplete => {
                let message = format!(
                    "node '{id}' is not registered with epoch {}: register it with at least its endpoint",
                    refresh.epoch
                );
                Fault::new(Code::NotFound, message)
            }
        })?;
    if known.is_none() && now.registered.len() >= MOST_NODES {
        let message = format!("{MOST_NODES} nodes are registered, the most there may be");
        return Err(Fault::new(Code::NodesNotTaken, message));
    }
    let endpoint = Endpoint::parse(&node.endpoint).ok();
    let same = |(other, of): &(&VmId, &Arc<Registration>)| {
        *other != id && !of.left && Endpoint::parse(&of.endpoint).ok() == endpoint
    };
    if let Some((other, _)) = now.registered.iter().find(same) {
        let message = format!(
            "nodes '{id}' and '{other}' would have one engine: a machine has one name; let the other leave first, or \
             correct the endpoint"
        );
        return Err(Fault::new(Code::EngineShared, message).with([json!({ "vms": [other, id] })]));
    }
    Ok(node)
}

/// Refuses every registration where the topology's machines come from elsewhere.
pub fn refuse_elsewhere(now: &Snapshot) -> Result<(), Fault> {
    let registers = |topology: &Arc<Topology>| matches!(topology.infrastructure.cloud, Cloud::Nodes(_));
    if now.topology.as_ref().is_none_or(registers) {
        return Ok(());
    }
    let message = "the topology's machines come from elsewhere: with \"cloud_driver\": {\"nodes\": {}} they \
                   register themselves";
    Err(Fault::new(Code::NodesNotTaken, message))
}

fn stale(id: &VmId, known: u64, epoch: u64) -> Fault {
    let message = format!(
        "epoch {epoch} of node '{id}' is over: its agent has registered with {known} since; a new start of it takes a \
         larger number"
    );
    Fault::new(Code::EpochStale, message).with([json!({ "epoch": known })])
}

impl Store {
    /// Takes what a node says of itself.
    pub fn register(&mut self, id: &VmId, refresh: &Refresh, by: &By) -> Result<(), Fault> {
        let now = self.now();
        let node = taken(&now, id, refresh)?;
        let known = now.registered.get(id).cloned();
        if known.as_deref() == Some(&node) {
            return Ok(());
        }
        let what = match &known {
            None => "registered",
            Some(known) if known.left => "back",
            Some(known) if known.epoch < node.epoch => "restarted",
            Some(_) => "changed",
        };
        drop(now);
        let event = json!({ "node": id, "what": what, "epoch": node.epoch, "endpoint": node.endpoint });
        self.keep_node(id, Some(node), signed(event, by))
    }

    /// Takes that a node leaves. It is forgotten, unless something of ours is on it: then that has to move first. While
    /// an execution runs, nobody knows that yet.
    pub fn leave(&mut self, id: &VmId, epoch: Option<u64>, by: &By) -> Result<(), Fault> {
        let now = self.now();
        let Some(known) = now.registered.get(id) else {
            let message = format!("no node '{id}' has registered");
            return Err(Fault::new(Code::NotFound, message));
        };
        if let Some(epoch) = epoch.filter(|epoch| *epoch < known.epoch) {
            return Err(stale(id, known.epoch, epoch));
        }
        // An execution may be about to put something there.
        let holds = now.allocation.vms.get(id).is_some_and(|vm| !vm.used.is_empty());
        let used = holds || now.running.is_some();
        let left = used.then(|| Registration {
            left: true,
            ..Registration::clone(known)
        });
        if left.as_ref() == Some(known.as_ref()) {
            return Ok(());
        }
        let what = if used { "leaving" } else { "left" };
        let event = json!({ "node": id, "what": what, "epoch": known.epoch });
        drop(now);
        self.keep_node(id, left, signed(event, by))
    }

    /// Forgets nodes that have left, and that nothing of ours is on any more.
    pub fn forget_departed(&mut self) -> Result<(), Fault> {
        let now = self.now();
        let gone = |(id, node): &(&VmId, &Arc<Registration>)| {
            node.left && !now.allocation.vms.contains_key(*id) && now.running.is_none()
        };
        let gone: Vec<VmId> = now
            .registered
            .iter()
            .filter(gone)
            .map(|(id, _)| id.clone())
            .collect();
        drop(now);
        gone.iter()
            .try_for_each(|id| self.keep_node(id, None, json!({ "node": id, "what": "left" })))
    }

    fn keep_node(&mut self, id: &VmId, node: Option<Registration>, event: Value) -> Result<(), Fault> {
        let event = self.dated("node", event);
        self.journal.keep_node(id, node.as_ref(), &event)?;
        self.publish(|now| {
            let members = Arc::make_mut(&mut now.registered);
            match node {
                Some(node) => drop(members.insert(id.clone(), Arc::new(node))),
                None => drop(members.remove(id)),
            }
            now.fill_in_members();
        });
        Ok(())
    }
}
