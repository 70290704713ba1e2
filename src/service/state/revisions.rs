//! What is kept of earlier revisions, so that what runs can be started again, and restored.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use crate::execute::Frozen;
use crate::journal::{Journal, JournalError};
use crate::model::{Allocation, Change, RevisionId, Topology};

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
