//! What is known of VMs besides what executions do: which engines they have, those that were given up, and
//! containers that were adopted.

use std::sync::Arc;

use serde_json::json;

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Change, TierId, VmId};

use crate::service::Snapshot;
use crate::service::observed::identity::Known;
use crate::service::state::{Store, signed};

impl Store {
    /// Takes a VM that is gone for good, and what was on it, out of the allocation.
    pub fn give_up(&mut self, vm: &VmId, planned_on: &Snapshot, by: &By) -> Result<(), Fault> {
        let now = self.now();
        now.idle()?;
        if now.revision != planned_on.revision {
            let message = "the allocation changed while the VM was looked for; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        let lost = now.allocation.vms.get(vm);
        let containers: Vec<&TierId> = lost.iter().flat_map(|vm| vm.used.keys()).collect();
        let event = self.dated(
            "vm_given_up",
            signed(json!({ "vm": vm, "containers": containers }), by),
        );
        let changes: Vec<Change> = lost
            .map(|_| Change::VmGone { vm: vm.clone() })
            .into_iter()
            .collect();
        self.journal.note(&event, &changes)?;
        self.journal.keep_engine_id(vm, None)?;
        drop(now);
        self.publish(|now| {
            now.change(&changes);
            Arc::make_mut(&mut now.engines).remove(vm);
        });
        self.forget_terminated(&changes);
        Ok(())
    }

    /// Remembers which engines the VMs have.
    pub fn know_engines(&mut self, engines: Known) -> Result<(), Fault> {
        for (vm, id) in &engines {
            self.journal.keep_engine_id(vm, Some(id))?;
        }
        self.publish(|now| Arc::make_mut(&mut now.engines).extend(engines));
        Ok(())
    }

    /// From now on, counts containers of another owner as our own, and takes those that run into
    /// the allocation.
    pub fn adopt(
        &mut self,
        owner: &str,
        allocation: &Allocation,
        planned_on: &Snapshot,
        by: &By,
    ) -> Result<(), Fault> {
        let now = self.now();
        now.idle()?;
        if now.revision != planned_on.revision {
            let message = "the allocation changed while the containers were looked for; send it again";
            return Err(Fault::new(Code::Conflict, message));
        }
        let changes = Change::between(&now.allocation, allocation);
        let event = self.dated("owner_adopted", signed(json!({ "owner": owner }), by));
        self.journal.adopt(owner, &event, &changes)?;
        drop(now);
        self.publish(|now| now.change(&changes));
        Ok(())
    }
}
