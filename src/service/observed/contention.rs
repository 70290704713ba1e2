//! Other containers that take room from ours, in words. Pure.

use serde_json::{Value, json};

use crate::engine::Observed;
use crate::execute::foreign;
use crate::fault::{Code, Fault};
use crate::model::{Allocation, Size, Topology, VmId};

use crate::service::planner::place::is_crowded;

/// Most VMs that one message names; all are in its details.
const TOLD: usize = 5;

/// What others hold on one VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Contention {
    vm: VmId,
    capacity: Size,
    /// What they leave.
    left: Size,
    /// Their names, with what each holds and whether it is nevertheless ours.
    containers: Vec<(String, Size, bool)>,
}

impl Contention {
    /// None if none of them holds anything that is counted.
    pub fn on<'s>(
        topology: &Topology,
        vm: &VmId,
        capacity: Size,
        others: impl Iterator<Item = &'s Observed>,
    ) -> Option<Self> {
        let others: Vec<&Observed> = others.collect();
        let held = foreign(topology, capacity, others.iter().copied()).size;
        let of = |one: &Observed| foreign(topology, capacity, [one].into_iter()).size;
        let containers = others.iter().map(|one| (one.name.clone(), of(one), one.managed));
        (held != Size::ZERO).then(|| Self {
            vm: vm.clone(),
            capacity,
            left: capacity - held,
            containers: containers.filter(|(_, size, _)| *size != Size::ZERO).collect(),
        })
    }

    /// As shown to a person.
    fn text(&self) -> String {
        let holds = |(name, size, ours): &(String, Size, bool)| {
            let whose = if *ours {
                "of no tier"
            } else {
                "not of this installation"
            };
            format!("container '{name}', {whose}, holds {}", amounts(*size))
        };
        let holds: Vec<String> = self.containers.iter().map(holds).collect();
        let (left, all) = (self.left, self.capacity);
        let further = [
            (left.disk_gb, all.disk_gb, "GB of disk"),
            (left.gpus, all.gpus, "GPUs"),
        ];
        let further = further.into_iter().filter(|(left, all, _)| left < all);
        let further: String = further
            .map(|(left, all, what)| format!(" and {left} of the {all} {what}"))
            .collect();
        format!(
            "others leave {} of the {} cores and {} of the {} mem_units{further} of VM '{}': {}",
            left.cpu,
            all.cpu,
            left.mem,
            all.mem,
            self.vm,
            holds.join(", ")
        )
    }

    fn detail(&self) -> Value {
        let names: Vec<&str> = self.containers.iter().map(|(name, ..)| name.as_str()).collect();
        json!({ "code": "foreign", "reason": self.text(), "vm": self.vm, "containers": names })
    }
}

fn amounts(size: Size) -> String {
    let further = Size {
        cpu: crate::model::Cpu::ZERO,
        mem: 0,
        ..size
    };
    let further = match further.in_words(" and ") {
        none if none.is_empty() => none,
        some => format!(" and {some}"),
    };
    format!("{} cores and {} mem_units{further}", size.cpu, size.mem)
}

/// Says what others take, if no placement was found.
pub(in crate::service) fn crowded_out(mut fault: Fault, contentions: &[Contention]) -> Fault {
    if fault.code == Code::Infeasible && !contentions.is_empty() {
        let told = contentions.iter().take(TOLD).map(Contention::text);
        let told: Vec<String> = [fault.message].into_iter().chain(told).collect();
        fault.message = told.join("; ");
        fault.details.extend(contentions.iter().map(Contention::detail));
    }
    fault
}

/// The warning about VMs that our own and other containers together overfill.
pub(in crate::service) fn overfull(allocation: &Allocation, contentions: &[Contention]) -> Vec<String> {
    let overfull = contentions.iter().filter_map(|crowd| {
        let vm = allocation.vms.get(&crowd.vm).filter(|vm| is_crowded(vm))?;
        let held = amounts(vm.held());
        Some(format!(
            "VM '{}' is overfull: containers of this installation hold {held}, and {}",
            crowd.vm,
            crowd.text()
        ))
    });
    overfull.collect()
}
