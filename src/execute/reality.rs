//! What engines report, in the words of the allocation. Pure.

use crate::engine::{Observed, State};
use crate::model::topology::CpuMode;
use crate::model::{Allocation, Container, CoreSet, Cpu, Size, TierId, Topology, VmId};

/// What a container holds, by what its engine reports.
#[must_use]
pub fn held(topology: &Topology, seen: &Observed) -> Container {
    let unit = topology
        .infrastructure
        .mem_unit_mb
        .saturating_mul(1024 * 1024)
        .max(1);
    let (cpu, cores) = match topology.infrastructure.cpu_mode {
        CpuMode::Cpuset => {
            let cores = CoreSet::parse(&seen.cpuset).unwrap_or_default();
            (
                Cpu::cores(u32::try_from(cores.0.len()).unwrap_or(u32::MAX)),
                cores,
            )
        }
        CpuMode::Quota => (
            Cpu::hundredths(seen.nano_cpus / Cpu::hundredths(1).nanos()),
            CoreSet::default(),
        ),
    };
    Container {
        size: Size {
            cpu,
            mem: seen.memory / unit,
        },
        cores,
    }
}

/// Puts what one VM's engine reports in the place of what the allocation has for that VM: the
/// running containers that `mapek` made, of tiers that the topology knows.
pub fn overlay(topology: &Topology, allocation: &mut Allocation, vm: &VmId, seen: &[Observed]) {
    let Some(vm) = allocation.vms.get_mut(vm) else {
        return;
    };
    vm.used = seen
        .iter()
        .filter(|container| container.managed && container.state == State::Running)
        .map(|container| (TierId::new(&container.name), held(topology, container)))
        .filter(|(tier, _)| topology.tiers.contains_key(tier))
        .collect();
}
