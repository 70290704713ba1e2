//! What is kept of earlier revisions, so that what runs can be started again, and restored.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use crate::execute::Frozen;
use crate::journal::{Journal, JournalError};
use crate::model::{Allocation, Change, Container, RevisionId, TierId, Topology, Vm};

use crate::service::Snapshot;

/// Takes containers of which no record says what they were made from to be made from what the topology says now:
/// versions before this one did not keep it, and whoever upgrades does not want everything replaced. What is on record
/// then is compared with every later topology.
pub(in crate::service) fn assume_current(journal: &mut dyn Journal, now: &mut Snapshot, at: Timestamp) {
    let Some(topology) = now.topology.clone() else {
        return;
    };
    let mut allocation = (*now.allocation).clone();
    assume(&topology, &mut allocation);
    let changes = Change::between(&now.allocation, &allocation);
    if changes.is_empty() {
        return;
    }
    let noted = json!({ "event": "revisions_assumed", "at": at, "containers": changes.len() });
    if let Err(error) = journal.note(&noted, &changes) {
        tracing::warn!(%error, "could not note what containers of an earlier version are taken to be made from");
    }
    now.allocation = Arc::new(allocation);
}

/// Fills in what is not known about revisions.
pub(in crate::service) fn assume(topology: &Topology, allocation: &mut Allocation) {
    for (tier, held) in allocation.vms.values_mut().flat_map(|vm| &mut vm.used) {
        if held.revision.is_none() {
            held.revision = topology.revisions.current(tier).cloned();
        }
    }
}

/// Leaves what stays in its place at the revision that it was made from, as far as that is known. What holds a port that
/// another one on its VM needs has to be replaced all the same.
pub(in crate::service) fn leave_outdated(topology: &Topology, from: &Allocation, target: &mut Allocation) {
    for (id, vm) in &mut target.vms {
        for (tier, container) in &mut vm.used {
            let held = from.container(id, tier);
            let made = held.and_then(|held| held.revision.clone());
            if made.is_some() && topology.tier_at(tier, made.as_ref()).is_some() {
                container.revision = made;
            }
        }
        while let Some(tier) = in_the_way(topology, vm) {
            let Some(container) = vm.used.get_mut(&tier) else {
                break;
            };
            container.revision = topology.revisions.current(&tier).cloned();
        }
    }
}

/// An outdated container on a VM that holds a port which another one there needs.
fn in_the_way(topology: &Topology, vm: &Vm) -> Option<TierId> {
    let ports =
        |(tier, held): (&TierId, &Container)| topology.ports_at(tier, held.revision.as_ref()).to_vec();
    let outdated = vm
        .used
        .iter()
        .filter(|(tier, held)| topology.is_outdated(tier, held.revision.as_ref()));
    let mut clashes = outdated.filter(|one| {
        let own = ports(*one);
        let mut others = vm.used.iter().filter(|other| other.0 != one.0).flat_map(ports);
        others.any(|other| own.iter().any(|port| port.conflicts(&other)))
    });
    clashes.next().map(|(tier, _)| tier.clone())
}

/// Looks up, among the topologies that are kept, what the revisions are that run, or that the unfinished execution set
/// out from or leads to.
pub(in crate::service) fn recall(
    journal: &dyn Journal,
    now: &mut Snapshot,
    unfinished: Option<&Frozen>,
) -> Result<(), JournalError> {
    let Some(topology) = &mut now.topology else {
        return Ok(());
    };
    let was: Option<Allocation> = unfinished.map(|frozen| frozen.from.clone().into());
    let mut needed: BTreeSet<RevisionId> = [Some(&*now.allocation), was.as_ref()]
        .into_iter()
        .flatten()
        .flat_map(|side| side.vms.values().flat_map(|vm| &vm.used))
        .filter(|(tier, held)| topology.is_outdated(tier, held.revision.as_ref()))
        .filter_map(|(_, held)| held.revision.clone())
        .collect();
    let key = journal.revision_key();
    for generation in journal.generations()? {
        if needed.is_empty() {
            break;
        }
        let Some(Ok(parsed)) = journal
            .topology(generation)?
            .map(|document| Topology::parse(&document))
        else {
            continue;
        };
        let earlier = parsed.topology.keyed(&key, None, |_| true);
        Arc::make_mut(topology).remember(&earlier, |revision| needed.contains(revision));
        needed.retain(|revision| !topology.knows(revision));
    }
    if !needed.is_empty() {
        tracing::warn!(
            revisions = needed.len(),
            "containers run revisions of which no topology is kept: they can't be gone back to"
        );
    }
    Ok(())
}

/// Whether a container was made from that revision.
pub(in crate::service) fn runs(now: &Snapshot, revision: &RevisionId) -> bool {
    let mut held = now.allocation.vms.values().flat_map(|vm| vm.used.values());
    held.any(|held| held.revision.as_ref() == Some(revision))
}
