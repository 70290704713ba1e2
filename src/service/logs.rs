//! The output of our own containers.

use crate::engine::{EngineErrorKind, Log, LogOptions};
use crate::fault::{Code, Fault};
use crate::model::VmId;

use super::Service;

impl Service {
    /// The log of one of our own containers, also of one that is no longer in the allocation or has
    /// not come up. Logs of others are not shown, since our users have no right to see them.
    ///
    /// # Errors
    ///
    /// When there is no such VM or container, it is somebody else's, or the engine can't be asked.
    pub async fn log(&self, vm: VmId, container: String, options: LogOptions) -> Result<Log, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.log_here(&vm, &container, &options).await })
            .await
    }

    async fn log_here(&self, vm: &VmId, container: &str, options: &LogOptions) -> Result<Log, Fault> {
        let snapshot = self.snapshot();
        let topology = snapshot.topology()?;
        let known = self.known(&topology).await?;
        let made = snapshot.bindings.values().any(|made| made.name == *vm);
        if !known.contains_key(vm) && !snapshot.allocation.vms.contains_key(vm) && !made {
            return Err(Fault::new(Code::NotFound, format!("there is no VM '{vm}'")));
        }
        let (engine, seen) = self.look_with(&snapshot, &topology, vm, known.get(vm)).await?;
        let none = || {
            Fault::new(
                Code::NotFound,
                format!("there is no container '{container}' on VM '{vm}'"),
            )
        };
        let found = seen.iter().find(|one| one.name == container).ok_or_else(none)?;
        if !found.managed {
            let message = format!(
                "container '{container}' on VM '{vm}' is one that {}, and only logs of this mapek's containers are shown; ask its \
                 engine with docker logs",
                found.whose()
            );
            return Err(Fault::new(Code::NotFound, message));
        }
        match engine.log(&found.id, options).await {
            // It has gone since.
            Err(error) if error.kind == EngineErrorKind::Missing => Err(none()),
            log => Ok(log?),
        }
    }
}
