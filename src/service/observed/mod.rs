//! What is there before a plan: looked up from the cloud and from the engines.

pub(super) mod contention;
mod engines;
pub(super) mod identity;
pub(super) mod leftovers;
mod look;
pub(super) mod membership;
mod ownership;
pub(super) mod ports;
mod take_in;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cloud::{CloudVm, More, Offer, Standing};
use crate::engine::Observed;
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::{Allocation, Size, TierId, Topology, Vm, VmId};
use crate::translate::Action;

use crate::service::nodes::Nodes;
use crate::service::observed::contention::Contention;
use crate::service::observed::membership::members;
use crate::service::observed::ports::TakenPorts;
use crate::service::{Service, Snapshot};

pub(super) use look::{Look, PATIENCE, look};

use look::Role;

/// What is there before a plan.
#[derive(Default)]
pub(in crate::service) struct ObservedState {
    /// The VMs that exist, and what their engines report.
    pub allocation: Allocation,
    /// What was seen on them.
    pub seen: BTreeMap<VmId, Vec<Observed>>,
    /// VMs that could be taken into use.
    pub spares: Spares,
    /// Removals of what runs on VMs that were given up and came back, although all of it is held
    /// elsewhere.
    pub surplus: Vec<Action>,
    /// Containers without limits, which may take more than is counted, by VM.
    pub unlimited: BTreeMap<VmId, Vec<Unlimited>>,
    /// What containers of others leave of the VMs that they hold something of.
    pub contentions: Vec<Contention>,
    /// Host ports that containers of others publish.
    pub ports: TakenPorts,
    /// VMs in use that could not be looked at, and why: they are taken to be as confirmed.
    pub silent: BTreeMap<VmId, Fault>,
    /// The same VMs as nodes, for what tiers require of them.
    pub nodes: Nodes,
    /// What the plan's author should know.
    pub warnings: Vec<Warning>,
}

/// VMs with names of their own that could be taken into use, as they were seen.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Spares {
    /// Those that nobody runs anything on.
    pub clean: Vec<VmId>,
    /// Those with less room, because of what others run there.
    pub occupied: BTreeMap<VmId, Vm>,
    /// Why others can't be used.
    pub unusable: Vec<Fault>,
    /// Why others could not be looked at. A plan may show them, after all others, and nothing is
    /// begun on them before they have answered.
    pub unseen: BTreeMap<VmId, Fault>,
}

/// A container that is not ours and may take more than is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Unlimited {
    pub container: String,
    pub lacks: &'static str,
}

/// A warning about the outside world, not about a place in a document.
pub(in crate::service) fn told(problem: String) -> Warning {
    Warning {
        path: String::new(),
        problem,
    }
}

impl Service {
    /// What is there: the confirmed allocation with the VMs that the cloud has, and with what their
    /// engines report in its place. A VM that does not answer is assumed to be as confirmed; a plan
    /// that touches it is refused before anything is done. A VM on which nothing was put yet, and
    /// which does not answer, comes last, and nothing is begun on it.
    ///
    /// # Errors
    ///
    /// When two names lead to one engine, or another engine is in the place of one that is in use.
    pub(in crate::service) async fn reality(
        &self,
        snapshot: &Snapshot,
        topology: &Arc<Topology>,
        offer: &Offer,
        wanted: &BTreeMap<TierId, Size>,
    ) -> Result<ObservedState, Fault> {
        let members = members(&snapshot.allocation, offer, topology.infrastructure.vm);
        let mut reality = ObservedState {
            allocation: members.allocation,
            ..ObservedState::default()
        };
        crate::service::topology::resize(topology, &mut reality.allocation);
        for (vm, why) in members.gone {
            reality.warnings.push(told(format!(
                "VM '{vm}' is gone ({why}): what it held is planned again"
            )));
        }
        let named = matches!(offer.more, More::Named);
        let role = |vm: &CloudVm| {
            let used = reality.allocation.vms.contains_key(&vm.name);
            match (used, members.idle.contains(&vm.name)) {
                (true, true) => Some(Role::Idle),
                (true, false) => Some(Role::Used),
                (false, _) if !named => None,
                (false, _) => match vm.standing {
                    Standing::Ready => Some(Role::Spare),
                    Standing::Silent(_) | Standing::Departing(_) => Some(Role::Shunned),
                    Standing::Aside(_) | Standing::Leaving(_) => None,
                },
            }
        };
        let vms = offer.vms.iter();
        let vms: Vec<(CloudVm, Role)> = vms.filter_map(|vm| Some((vm.clone(), role(vm)?))).collect();
        let looks = self.look_at(topology, vms).await?;
        for look in &looks {
            self.note_look(&look.vm.name, look.result.as_ref());
        }
        reality.nodes = self.nodes_of(snapshot, topology, offer, &looks);
        if named {
            self.know_engines(snapshot, &looks).await?;
        }
        let on_record = self.on_record(snapshot).await?;
        let mut back = Vec::new();
        for mut look in looks {
            if let Ok((_, seen)) = &mut look.result {
                self.take_over(&look.vm.name, &on_record, seen);
            }
            if snapshot.allocation.vms.contains_key(&look.vm.name) {
                reality.take_in(topology, look);
            } else {
                back.push(look);
            }
        }
        // Only now is it known what the others hold.
        for mut look in back {
            reality.strip(topology, &mut look, wanted);
            match (look.role, &look.vm.standing) {
                (Role::Shunned, Standing::Silent(why) | Standing::Departing(why)) => {
                    let message = format!("VM '{}' is not used: {why}", look.vm.name);
                    reality
                        .spares
                        .unusable
                        .push(Fault::new(Code::Infeasible, message));
                }
                _ => reality.take_in(topology, look),
            }
        }
        Ok(reality)
    }
}
