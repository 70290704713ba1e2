//! Everything that carrying out needs, in one place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::{Cloud, CloudVm};
use crate::engine::{Engine, Engines};
use crate::fault::{Code, Fault};
use crate::hooks::HookSet;
use crate::model::{Allocation, Topology, VmId};
use crate::outside::Outside;

use super::effect::{Bindings, real_name};
use super::event::FoundVm;

/// What one execution works with. Fixed from its beginning to its end.
pub struct World {
    /// The topology that was current at the beginning.
    pub topology: Arc<Topology>,
    /// Where VMs come from.
    pub cloud: Arc<dyn Cloud>,
    /// What runs containers.
    pub engines: Arc<dyn Engines>,
    /// The VMs that the cloud knew at the begin.
    pub vms: BTreeMap<VmId, CloudVm>,
    /// The hooks, if any is run.
    pub hooks: Option<Arc<HookSet>>,
    /// How long one hook may run.
    pub hook_deadline: Duration,
    /// The allocation at the beginning: what dependency hooks get as the old one.
    pub from: Allocation,
    /// How many actions of a stage may run at the same time.
    pub parallel: usize,
    /// How many of them on one VM.
    pub parallel_on_vm: usize,
    /// How long an action that fails for a passing reason is tried again.
    pub retry_for: Duration,
    /// The time of day, and random numbers.
    pub outside: Arc<dyn Outside>,
}

/// What is confirmed so far.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The allocation.
    pub allocation: Arc<Allocation>,
    /// Real names of VMs made on the way.
    pub bindings: Arc<Bindings>,
}

impl World {
    /// Whether the cloud knew a VM of the plan at the beginning, or it was made since.
    #[must_use]
    pub fn knows(&self, view: &View, planned: &VmId) -> bool {
        made(view, planned).is_some() || self.vms.contains_key(real_name(&view.bindings, planned))
    }

    /// The engine on a VM of the plan, with the VM's real name.
    ///
    /// # Errors
    ///
    /// When the VM is not known to the cloud, or its endpoint can't be used.
    pub fn engine(&self, view: &View, planned: &VmId) -> Result<(VmId, Arc<dyn Engine>), Fault> {
        let name = real_name(&view.bindings, planned).clone();
        let endpoint = match (made(view, planned), self.vms.get(&name)) {
            (Some(found), _) => &found.endpoint,
            (None, Some(vm)) => &vm.endpoint,
            (None, None) => {
                let message = format!("VM '{name}' is not there any more: the cloud driver does not know it");
                return Err(Fault::new(Code::CloudRefused, message));
            }
        };
        let engine = self
            .engines
            .at(endpoint, self.topology.infrastructure.docker.tls.as_ref())?;
        Ok((name, engine))
    }
}

/// A VM that the execution made, by the plan's name for it or by its own.
fn made<'v>(view: &'v View, name: &VmId) -> Option<&'v FoundVm> {
    view.bindings
        .get(name)
        .or_else(|| view.bindings.values().find(|found| found.name == *name))
}
