//! Translates what engines report into the terms of the allocation. Pure.
//!
//! Everything that holds cores or memory on a VM counts: containers of tiers as such, in
//! [`Vm::used`](crate::model::Vm), and all others together as foreign.

use crate::engine::{Observed, State};
use crate::model::topology::CpuMode;
use crate::model::{Allocation, Container, CoreSet, Cpu, Foreign, Owed, Size, TierId, Topology, Vm, VmId};

/// Bytes in one memory unit.
fn unit(topology: &Topology) -> u64 {
    let unit = topology.infrastructure.mem_unit_mb.saturating_mul(1024 * 1024);
    unit.max(1)
}

/// What a container holds, according to its engine. Part of a unit counts as a whole one.
#[must_use]
pub fn held(topology: &Topology, seen: &Observed) -> Container {
    let (cpu, cores) = match topology.infrastructure.cpu_mode {
        CpuMode::Cpuset => {
            let cores = CoreSet::parse(&seen.cpuset).unwrap_or_default();
            (count(&cores), cores)
        }
        CpuMode::Quota => (seen.quota().unwrap_or(Cpu::ZERO), CoreSet::default()),
    };
    Container {
        size: Size {
            cpu,
            mem: seen.memory.div_ceil(unit(topology)),
            disk_gb: seen.fixed.disk_gb,
            gpus: seen.fixed.gpus,
        },
        cores,
        owed: Owed::default(),
        revision: seen.revision(),
        addresses: seen.addresses.clone(),
        digest: seen.digest().map(str::to_owned),
    }
}

/// Whether somebody has given a container limits that are not whole units. It counts as the next
/// larger whole ones, and must be put right even if these are the ones that it should have.
fn uneven(topology: &Topology, seen: &Observed) -> bool {
    let memory = !seen.memory.is_multiple_of(unit(topology));
    let quota = topology.infrastructure.cpu_mode == CpuMode::Quota;
    memory || quota && !seen.nano_cpus.is_multiple_of(Cpu::hundredths(1).nanos())
}

fn count(cores: &CoreSet) -> Cpu {
    Cpu::cores(u32::try_from(cores.0.len()).unwrap_or(u32::MAX))
}

/// Whether a container is the part of a tier on its VM, and holds it: it is an own container, and
/// the topology has the tier.
fn is_part(topology: &Topology, seen: &Observed) -> bool {
    seen.managed && seen.state.holds() && topology.tiers.contains_key(seen.name.as_str())
}

/// The containers that hold something and are not the part of a tier.
pub fn others<'s>(topology: &Topology, seen: &'s [Observed]) -> impl Iterator<Item = &'s Observed> {
    seen.iter()
        .filter(|one| one.state.holds() && !is_part(topology, one))
}

/// Replaces what the allocation has for one VM with what its engine reports.
pub fn overlay(topology: &Topology, allocation: &mut Allocation, vm: &VmId, seen: &[Observed]) {
    if let Some(vm) = allocation.vms.get_mut(vm) {
        *vm = as_seen(topology, vm, seen);
    }
}

fn has_scale_hooks(topology: &Topology, tier: &TierId) -> bool {
    let tier = topology.tiers.get(tier);
    tier.is_some_and(|tier| !tier.on_node_scale.is_empty())
}

/// A VM with what its engine reports.
#[must_use]
pub fn as_seen(topology: &Topology, vm: &Vm, seen: &[Observed]) -> Vm {
    let parts = || seen.iter().filter(|one| is_part(topology, one));
    let tier = |one: &Observed| TierId::new(&one.name);
    Vm {
        used: parts()
            .map(|one| {
                let (tier, mut held) = (tier(one), held(topology, one));
                // No engine knows which hooks are owed; containers that were not confirmed may be
                // owed theirs.
                held.owed = match vm.used.get(&tier) {
                    Some(known) => known.owed,
                    None => Owed {
                        scale: has_scale_hooks(topology, &tier),
                        tier: None,
                    },
                };
                // Containers of earlier versions, and adopted ones, do not say what they were made
                // from.
                let known = vm.used.get(&tier).and_then(|known| known.revision.clone());
                held.revision = held.revision.or(known);
                let known = vm.used.get(&tier).and_then(|known| known.digest.clone());
                held.digest = held.digest.or(known);
                (tier, held)
            })
            .collect(),
        stalled: parts()
            .filter(|one| one.state != State::Running || uneven(topology, one))
            .map(tier)
            .collect(),
        foreign: foreign(topology, vm.capacity, others(topology, seen)),
        ..vm.clone()
    }
}

/// What these containers hold on a VM, by their limits.
/// In cpuset mode, a core that one of them is pinned to is theirs, even if several share it. Those
/// with a share of all cores leave us as many whole cores as their shares leave. In quota mode, a
/// pinned one holds its cores or its share of them, whichever is less.
pub fn foreign<'s>(
    topology: &Topology,
    capacity: Size,
    containers: impl Iterator<Item = &'s Observed>,
) -> Foreign {
    let mode = topology.infrastructure.cpu_mode;
    let all = u32::try_from(capacity.cpu.whole_cores()).unwrap_or(u32::MAX);
    let mut cores = CoreSet::default();
    let mut shares = Cpu::ZERO;
    let (mut memory, mut disk_gb, mut gpus) = (0_u64, 0_u64, 0_u64);
    for container in containers {
        memory = memory.saturating_add(container.memory);
        disk_gb = disk_gb.saturating_add(container.fixed.disk_gb);
        // One that may use all takes as many as there are.
        gpus = gpus.saturating_add(container.fixed.gpus).min(capacity.gpus);
        let pinned = CoreSet::parse(&container.cpuset).unwrap_or_default();
        match (mode, container.quota()) {
            (CpuMode::Cpuset, _) if !pinned.0.is_empty() => cores.0.extend(pinned.0.range(..all)),
            (CpuMode::Quota, Some(share)) if !pinned.0.is_empty() => shares += share.min(count(&pinned)),
            (CpuMode::Quota, None) => shares += count(&pinned),
            (_, Some(share)) => shares += share,
            (CpuMode::Cpuset, None) => {}
        }
    }
    let cpu = match mode {
        CpuMode::Cpuset => {
            count(&cores) + Cpu::cores(u32::try_from(shares.whole_cores()).unwrap_or(u32::MAX))
        }
        CpuMode::Quota => shares,
    };
    Foreign {
        size: Size {
            cpu,
            mem: memory.div_ceil(unit(topology)),
            disk_gb,
            gpus,
        },
        cores,
    }
}

/// The limits that a container lacks, so that it may take more than is counted; None if it has
/// both.
#[must_use]
pub fn lacking(seen: &Observed) -> Option<&'static str> {
    let cpu = !seen.cpuset.is_empty() || seen.nano_cpus > 0;
    match (cpu, seen.memory > 0) {
        (true, true) => None,
        (true, false) => Some("memory limit"),
        (false, true) => Some("processor limit"),
        (false, false) => Some("processor and memory limits"),
    }
}

/// The warning about a container that lacks limits.
#[must_use]
pub fn no_limits(vm: &VmId, container: &str, lacks: &str) -> String {
    format!(
        "container '{container}' on VM '{vm}' is not of this mapek and has no {lacks}: what it may take is not counted"
    )
}

#[cfg(test)]
mod tests;
