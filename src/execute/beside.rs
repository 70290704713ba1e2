//! Whether a VM still has room for what is about to be put on it, according to what its engine runs
//! now.
//!
//! A plan is placed on what engines were seen to run. A VM that has not answered since may have
//! come back in an older state, with containers that were removed in the meantime. So a VM is
//! looked at again before anything is put on it, unless it has just answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{Engine, Observed, successor};
use crate::fault::{Code, Fault};
use crate::model::{Container, CoreSet, Handover, Size, TierId, Topology, Vm, VmId};
use crate::translate::Action;

use super::effect::real_name;
use super::perform::{Failure, unknown};
use super::reality::{foreign, held};
use super::spec;
use super::world::{View, World};

/// How long what a VM was seen to run is relied on. No machine goes down and comes back in less
/// time.
const LATELY: Duration = Duration::from_secs(2);

/// When each VM last did what it was asked, by its name in the plan.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<BTreeMap<VmId, Instant>>);

impl Heard {
    fn all(&self) -> MutexGuard<'_, BTreeMap<VmId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has answered as it should.
    pub(super) fn of(&self, vm: &VmId) {
        self.all().insert(vm.clone(), Instant::now());
    }

    /// It has not, so nothing is known about it.
    pub(super) fn not(&self, vm: &VmId) {
        self.all().remove(vm);
    }

    fn lately(&self, vm: &VmId) -> bool {
        self.all().get(vm).is_some_and(|at| at.elapsed() < LATELY)
    }
}

/// What is going to be put on a VM.
#[derive(Clone, Copy, Debug)]
struct Put<'a> {
    container: &'a TierId,
    size: Size,
    cores: &'a CoreSet,
    /// Whether the container of that name stays beside it for a while.
    beside_old: bool,
}

impl<'a> Put<'a> {
    fn by(action: &'a Action) -> Option<Self> {
        let (container, size, cores, beside_old) = match action {
            Action::CreateContainer {
                container,
                size,
                cores,
                ..
            }
            | Action::UpdateContainer {
                container,
                size,
                cores,
                ..
            } => (container, size, cores, false),
            Action::ReplaceContainer {
                container,
                size,
                cores,
                handover,
                ..
            } => (container, size, cores, *handover == Handover::StartFirst),
            Action::CreateVm { .. }
            | Action::DeleteVm { .. }
            | Action::DeleteContainer { .. }
            | Action::RunScaleHook { .. }
            | Action::RunTierHook { .. } => return None,
        };
        Some(Self {
            container,
            size: *size,
            cores,
            beside_old,
        })
    }
}

/// Fails if what an action puts on its VM no longer has room there.
///
/// # Errors
///
/// Then, and when its engine does not answer.
pub(super) async fn still_room(
    world: &World,
    view: &View,
    heard: &Heard,
    action: &Action,
) -> Result<(), Failure> {
    let Some(put) = Put::by(action).filter(|_| !heard.lately(action.vm())) else {
        return Ok(());
    };
    let Some(vm) = view.allocation.vms.get(real_name(&view.bindings, action.vm())) else {
        return Ok(());
    };
    let (name, engine) = world.engine(view, action.vm())?;
    let seen = match engine.observe().await {
        Ok(seen) => seen,
        Err(error) if error.may_pass() => return Err(error.into()),
        // It answers, and will not say what it runs: that keeps nothing from being done.
        Err(error) => {
            tracing::warn!(vm = %name, %error, "it could not be looked at again before: {action}");
            return Ok(());
        }
    };
    match no_room(&world.topology, (&name, vm), &seen, put) {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

/// Starts a container again that is confirmed and does not run, if it still has room.
///
/// # Errors
///
/// When it has none, or can't be started.
pub(super) async fn start_again(
    world: &World,
    view: &View,
    name: &VmId,
    engine: &dyn Engine,
    (container, held): (&TierId, &Container),
) -> Result<(), Failure> {
    let spec = spec::held(&world.topology, container, name, held, &view.allocation)
        .ok_or_else(|| unknown(container))?;
    if let Some(vm) = view.allocation.vms.get(name) {
        let put = Put {
            container,
            size: held.size,
            cores: &held.cores,
            beside_old: false,
        };
        let seen = engine.observe().await?;
        if let Some(fault) = no_room(&world.topology, (name, vm), &seen, put) {
            return Err(fault.into());
        }
    }
    engine.ensure_running(&spec).await?;
    Ok(())
}

/// Why there is no room for it beside everything else that the engine runs. Pure.
fn no_room(topology: &Topology, (name, vm): (&VmId, &Vm), seen: &[Observed], put: Put<'_>) -> Option<Fault> {
    let holding = || seen.iter().filter(|one| one.state.holds());
    let next = successor(put.container.as_str());
    let own = |one: &&Observed| one.managed && one.name == put.container.as_str();
    let is_next = |one: &&Observed| one.managed && one.name == next;
    // It may keep what it already has. A successor that has the name of the old one by now is told by its cores: they
    // are not those of the old one.
    let keeps = |one: &&Observed| {
        let has = held(topology, one);
        let is_put = !put.beside_old || (!put.cores.0.is_empty() && has.cores == *put.cores);
        let its_own = is_next(one) || (own(one) && is_put);
        its_own && put.size.fits(has.size) && put.cores.0.is_subset(&has.cores.0)
    };
    if holding().any(|one| keeps(&one)) {
        return None;
    }
    let others = || holding().filter(|one| !is_next(one) && (put.beside_old || !own(one)));
    let rest = foreign(topology, vm.capacity, others());
    let mut both = rest.size + put.size;
    // Others may have disk or GPUs of a VM that is said to have none: that is in nobody's way who asks for none.
    if put.size.disk_gb == 0 {
        both.disk_gb = 0;
    }
    if put.size.gpus == 0 {
        both.gpus = 0;
    }
    let shared: Vec<String> = rest
        .cores
        .0
        .intersection(&put.cores.0)
        .map(u32::to_string)
        .collect();
    if both.fits(vm.capacity) && shared.is_empty() {
        return None;
    }
    let names: Vec<String> = others().map(|one| format!("'{}'", one.name)).collect();
    let shared = if shared.is_empty() {
        String::new()
    } else {
        format!(", and hold core {} of it", shared.join(", "))
    };
    let message = format!(
        "VM '{name}' is not as it was: {} run there now, and with them '{}' ({}) has no room on its {}{shared}; \
         GET /api/inspect shows what runs, and the next plan puts it right",
        names.join(", "),
        put.container,
        put.size.in_words(", "),
        vm.capacity.in_words(" and "),
    );
    Some(Fault::new(Code::Conflict, message))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::{CpuLimit, Limits};
    use crate::execute::fake;

    /// A running container with these cores, and memory in units.
    fn observed(name: &str, cores: &[u32], mem: u64) -> Observed {
        let limits = Limits {
            cpu: CpuLimit::Cores(CoreSet(cores.iter().copied().collect())),
            memory: mem << 20,
        };
        fake::container(name, &limits)
    }

    fn room(seen: &[Observed], size: (u32, u64), cores: &[u32], beside_old: bool) -> Option<String> {
        let document = json!({
            "infrastructure": {"cpu_cores": 4, "mem_units": 4, "mem_unit_mb": 1, "cloud_driver": {"autoscaling_groupname": "g"}},
            "apps": [{"name": "shop", "tiers": {"db": {"name": "db", "docker_image": "x"}}}],
        });
        let topology = Topology::parse(&document).unwrap().topology;
        let vm = Vm::empty(None, Size::new(4, 4));
        let cores = CoreSet(cores.iter().copied().collect());
        let container = TierId::of("shop", "db");
        let put = Put {
            container: &container,
            size: Size::new(size.0, size.1),
            cores: &cores,
            beside_old,
        };
        no_room(&topology, (&VmId::new("vm1"), &vm), seen, put).map(|fault| fault.message)
    }

    #[test]
    fn what_came_back_on_a_vm_leaves_less_room() {
        let old = observed("shop_web", &[0, 1, 2], 3);
        assert_eq!(room(&[], (4, 4), &[0, 1, 2, 3], false), None);
        assert_eq!(room(std::slice::from_ref(&old), (1, 1), &[3], false), None);
        let told = room(std::slice::from_ref(&old), (1, 2), &[3], false).unwrap();
        assert!(told.contains("'shop_web' run there now"), "{told}");
        let told = room(&[old], (1, 1), &[2], false).unwrap();
        assert!(told.contains("hold core 2 of it"), "{told}");
    }

    #[test]
    fn a_container_may_keep_what_it_has_where_others_have_come() {
        let seen = [
            observed("shop_db", &[0, 1], 2),
            observed("theirs", &[0, 1, 2, 3], 4),
        ];
        assert_eq!(room(&seen, (2, 2), &[0, 1], false), None);
        assert_eq!(room(&seen, (1, 1), &[0], false), None);
        assert!(room(&seen, (2, 3), &[0, 1], false).is_some());
        // A second one beside it is different.
        assert!(room(&seen, (1, 1), &[0], true).is_some());
    }

    #[test]
    fn a_successor_that_is_there_already_needs_no_more() {
        let both = [observed("shop_db", &[0], 2), observed("shop_db.next", &[1], 2)];
        assert_eq!(room(&both, (1, 2), &[1], true), None);
        // The old one is gone, and nobody has recorded that.
        let done = [observed("shop_db", &[1], 2), observed("shop_web", &[2, 3], 1)];
        assert_eq!(room(&done, (1, 2), &[1], true), None);
        assert!(room(&done, (1, 2), &[3], true).is_some());
    }
}
