//! Gives up a VM that is gone for good, so that its engine can't be asked any more.

use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::{TierId, VmId};

use super::Service;

impl Service {
    /// Takes a VM that does not answer, and everything on it, out of the allocation. Returns the
    /// containers that are given up.
    ///
    /// # Errors
    ///
    /// When the allocation has no such VM, when the VM answers, or while an execution runs.
    pub async fn give_up(&self, vm: VmId, by: By) -> Result<Vec<TierId>, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.give_up_here(vm, by).await })
            .await
    }

    pub(super) async fn give_up_here(&self, vm: VmId, by: By) -> Result<Vec<TierId>, Fault> {
        let snapshot = self.snapshot();
        snapshot.idle()?;
        let Some(held) = snapshot.allocation.vms.get(&vm) else {
            let message = format!("the allocation has no VM '{vm}'");
            return Err(Fault::new(Code::NotFound, message));
        };
        let topology = snapshot.topology()?;
        let known = self.known(&topology).await?;
        match self.look(&snapshot, &topology, &vm, known.get(&vm)).await {
            Ok(_) => {
                let message = format!(
                    "VM '{vm}' answers, so it is not gone: send a plan, which takes care of what is on it"
                );
                return Err(Fault::new(Code::Conflict, message));
            }
            // A VM is not given up either if another engine answers in its place.
            Err(fault) => tracing::warn!(%vm, error = %fault, "given up, with all that was on it"),
        }
        let containers = held.used.keys().cloned().collect();
        self.with_store(move |store| store.give_up(&vm, &snapshot, &by))
            .await?;
        Ok(containers)
    }
}
