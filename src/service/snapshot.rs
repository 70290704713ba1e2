//! The current state, as everyone sees it.

use std::sync::{Arc, OnceLock};

use serde_json::json;
use uuid::Uuid;

use crate::execute::{Bindings, View};
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Topology};

use super::document::Document;

/// What is, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The topology; None before the first.
    pub topology: Option<Arc<Topology>>,
    /// How often a topology was put.
    pub generation: u64,
    /// What is confirmed.
    pub allocation: Allocation,
    /// Counts changes of the allocation since the start.
    pub revision: u64,
    /// The running execution.
    pub running: Option<Uuid>,
    /// Real names of VMs that the running execution has made.
    pub bindings: Bindings,
    /// The topology as it is answered; made when it is first asked for.
    pub(super) shown_topology: Arc<OnceLock<Document>>,
    /// The allocation as it is answered; made when it is first asked for.
    pub(super) shown_allocation: Arc<OnceLock<Document>>,
}

impl Snapshot {
    /// Takes in what is confirmed now.
    pub(super) fn change(&mut self, allocation: Allocation) {
        if allocation != self.allocation {
            self.revision += 1;
            self.allocation = allocation;
            self.shown_allocation = Arc::default();
        }
    }

    /// The topology.
    ///
    /// # Errors
    ///
    /// When none was put yet.
    pub fn topology(&self) -> Result<Arc<Topology>, Fault> {
        let missing = || {
            Fault::new(
                Code::TopologyMissing,
                "there is no topology yet: PUT one to /api/topology first",
            )
        };
        self.topology.clone().ok_or_else(missing)
    }

    /// What is confirmed, with names of new VMs.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            allocation: self.allocation.clone(),
            bindings: self.bindings.clone(),
        }
    }

    /// The fault of asking for something that a running execution forbids.
    ///
    /// # Errors
    ///
    /// When one is running.
    pub fn idle(&self) -> Result<(), Fault> {
        let Some(id) = self.running else { return Ok(()) };
        let message = format!("execution {id} is running: wait for it, or cancel it");
        Err(Fault::new(Code::ExecutionRunning, message).with([json!({ "execution": id })]))
    }
}
