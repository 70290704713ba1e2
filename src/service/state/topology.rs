//! The topology that holds, and those before it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::execute::By;
use crate::fault::Fault;
use crate::model::{Change, Topology};

use crate::service::Snapshot;
use crate::service::document::Tags;
use crate::service::state::revisions;
use crate::service::state::{Store, signed};

impl Store {
    /// Takes a new topology, unless an execution runs, or containers use what it would drop, or the client says
    /// which topologies it has `seen` and the current one is not among them. A topology that is the same as the
    /// current one changes nothing: the generation stays, and plans sealed for it remain valid.
    pub fn put_topology(
        &mut self,
        topology: Topology,
        by: &By,
        seen: Option<&Tags>,
    ) -> Result<Arc<Snapshot>, Fault> {
        let now = self.now();
        if let Some(seen) = seen {
            now.topology_seen(seen)?;
        }
        now.idle()?;
        let topology = self.with_apps(topology, &now)?;
        let holds = now.topology.as_ref().map(|topology| &topology.document);
        if holds == Some(&topology.document) {
            return Ok(now);
        }
        crate::service::topology::check_against_use(now.topology.as_deref(), &topology, &now.allocation)?;
        let generation = self.journal.put_topology(&topology.document)?;
        let key = self.journal.revision_key();
        let topology = topology.with_members(&now.registered);
        let topology = topology.keyed(&key, now.topology.as_deref(), |one| {
            // What the new one makes outdated was current until now, and may run; so may what was
            // outdated already.
            revisions::runs(&now, one)
        });
        let mut resized = (*now.allocation).clone();
        crate::service::topology::resize(&topology, &mut resized);
        let mut changes = Change::between(&now.allocation, &resized);
        drop(now);
        // The topology is taken even if the event can't be recorded. The sizes of hosts are taken over
        // before every plan, too.
        let noted = self.dated("topology_put", signed(json!({ "generation": generation }), by));
        if let Err(error) = self.journal.note(&noted, &changes) {
            tracing::warn!(%error, "could not note the new topology among the events");
            changes.clear();
        }
        self.publish(|now| {
            now.change(&changes);
            now.generation = generation;
            now.topology = Some(Arc::new(topology));
            now.shown_topology = Arc::default();
        });
        Ok(self.now())
    }

    /// A topology that was put before, if it is still kept.
    pub fn topology_of(&self, generation: u64) -> Result<Option<Value>, Fault> {
        Ok(self.journal.topology(generation)?)
    }

    /// How often the topology has changed.
    pub fn generation(&self) -> u64 {
        self.now.borrow().generation
    }
}
