//! Applies what was seen on one VM.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Health, Observed};
use crate::execute::{as_seen, lacking, others};
use crate::fault::{Code, Fault};
use crate::model::{Cpu, Foreign, Size, TierId, Topology, Vm, VmId};
use crate::translate::Action;

use crate::service::observed::contention::Contention;
use crate::service::observed::leftovers::{is_stray, left_behind, surplus};
use crate::service::observed::look::{Look, Role};
use crate::service::observed::{ObservedState, Unlimited, told};

impl ObservedState {
    /// Leaves out what a VM outside of the allocation runs that nobody wants: it is removed before
    /// the VM is used.
    pub(super) fn strip(&mut self, topology: &Topology, look: &mut Look, wanted: &BTreeMap<TierId, Size>) {
        let (vm, Ok((_, seen))) = (&look.vm.name, &mut look.result) else {
            return;
        };
        let removals = surplus(topology, vm, seen, wanted, &self.allocation.totals());
        if removals.is_empty() {
            return;
        }
        tracing::warn!(%vm, containers = removals.len(), "containers of ours that run elsewhere by now are to be removed");
        self.seen.insert(vm.clone(), seen.clone());
        let goes = |one: &Observed| {
            let is = |tier: &TierId| tier.as_str() == one.name;
            one.managed && removals.iter().filter_map(Action::container).any(is)
        };
        seen.retain(|one| !goes(one));
        self.surplus.extend(removals);
    }

    /// Marks containers that are to be restarted, where they are unhealthy now.
    pub(in crate::service) fn restart(&mut self, restart: &BTreeSet<(VmId, TierId)>) {
        for (vm, tier) in restart {
            let seen = self.seen.get(vm).into_iter().flatten();
            let sick = |one: &Observed| {
                one.managed && one.name == tier.as_str() && one.health == Some(Health::Unhealthy)
            };
            if let Some(held) = self.allocation.vms.get_mut(vm)
                && seen.into_iter().any(sick)
            {
                held.stalled.insert(tier.clone());
            }
        }
    }

    pub(super) fn take_in(&mut self, topology: &Topology, look: Look) {
        let Look { vm, role, result } = look;
        let name = vm.name;
        let seen = match (result, role) {
            (Ok((_, seen)), _) => seen,
            (Err(error), Role::Used) => {
                tracing::warn!(vm = %name, %error, "planning without having seen what runs there");
                let message = format!("VM '{name}': {}", error.message);
                // Nothing can be replaced there. Stale addresses are put right once it answers.
                let held = self.allocation.vms.get_mut(&name).map(|vm| &mut vm.used);
                for container in held.into_iter().flat_map(BTreeMap::values_mut) {
                    container.addresses = None;
                }
                self.silent.insert(name, Fault { message, ..error });
                return;
            }
            (Err(error), Role::Idle) => {
                self.allocation.vms.remove(&name);
                let problem = format!("VM '{name}' is idle and is not used: {}", error.message);
                self.warnings.push(told(problem));
                return;
            }
            (Err(error), Role::Spare) if error.code == Code::ShapeTooLarge => {
                let message = format!("VM '{name}' is not used: {}", error.message);
                self.warnings.push(told(message.clone()));
                self.spares.unusable.push(Fault { message, ..error });
                return;
            }
            (Err(error), Role::Spare | Role::Shunned) => {
                let message = format!("VM '{name}': {}", error.message);
                self.spares.unseen.insert(name, Fault { message, ..error });
                return;
            }
        };
        let unlimited: Vec<Unlimited> = others(topology, &seen)
            .filter_map(|one| {
                Some(Unlimited {
                    container: one.name.clone(),
                    lacks: lacking(one)?,
                })
            })
            .collect();
        if !unlimited.is_empty() {
            self.unlimited.insert(name.clone(), unlimited);
        }
        self.ports.note(&name, &seen);
        let before = self.allocation.vms.get(&name).cloned();
        let capacity = topology.infrastructure.size_of(&name);
        let capacity = before.as_ref().map_or(capacity, |vm| vm.capacity);
        let crowd = Contention::on(topology, &name, capacity, others(topology, &seen));
        self.contentions.extend(crowd);
        let before = before.unwrap_or_else(|| Vm::empty(vm.ip, capacity));
        let now = as_seen(topology, &before, &seen);
        let strays = seen.iter().any(|one| is_stray(topology, one));
        if role != Role::Spare || !now.used.is_empty() || strays {
            // A VM that was given up, or whose containers were adopted, is in use as long as some
            // of ours run there.
            if role == Role::Spare {
                tracing::warn!(vm = %name, "containers of ours run on a VM that the allocation does not have");
            }
            self.allocation.vms.insert(name.clone(), now);
            self.seen.entry(name).or_insert(seen);
            return;
        }
        // What was left behind on a VM that was given up is removed before it is used again.
        if seen.iter().any(left_behind) {
            self.seen.entry(name.clone()).or_insert(seen);
        }
        if now.foreign == Foreign::default() {
            self.spares.clean.push(name);
        } else if now.room().mem > 0 && now.room().cpu > Cpu::ZERO {
            self.spares.occupied.insert(name, now);
        } else {
            let message = format!("VM '{name}' is not used: what others run there takes all that it has");
            self.spares.unusable.push(Fault::new(Code::Infeasible, message));
        }
    }
}
