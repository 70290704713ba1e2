//! Where a container differs from what the allocation says. Pure.

use crate::engine::{Health, Observed, State};
use crate::model::topology::CpuMode;
use crate::model::{Container, CoreSet, Topology};

/// What differs, in words; nothing where container and allocation agree.
pub fn differences(topology: &Topology, wanted: Option<&Container>, seen: Option<&Observed>) -> Vec<String> {
    let (wanted, seen) = match (wanted, seen) {
        (Some(wanted), Some(seen)) => (wanted, seen),
        (Some(_), None) => return vec!["gone: the allocation has it, the engine does not".to_owned()],
        (None, Some(_)) => return vec!["unknown: the engine has it, the allocation does not".to_owned()],
        (None, None) => return Vec::new(),
    };
    let mut found = Vec::new();
    if seen.state != State::Running {
        found.push("not running".to_owned());
    }
    if seen.health == Some(Health::Unhealthy) {
        found.push("unhealthy".to_owned());
    }
    let unit = topology.infrastructure.mem_unit_mb.saturating_mul(1024 * 1024);
    let memory = wanted.size.mem.saturating_mul(unit);
    if seen.memory != memory {
        found.push(format!("memory is {} bytes, should be {memory}", seen.memory));
    }
    match topology.infrastructure.cpu_mode {
        CpuMode::Cpuset if CoreSet::parse(&seen.cpuset).as_ref() != Some(&wanted.cores) => {
            found.push(format!(
                "cpuset is {:?}, should be {:?}",
                seen.cpuset,
                wanted.cores.to_string()
            ));
        }
        CpuMode::Quota if seen.nano_cpus != wanted.size.cpu.nanos() => {
            let should = wanted.size.cpu.nanos();
            found.push(format!("nano cpus are {}, should be {should}", seen.nano_cpus));
        }
        CpuMode::Cpuset | CpuMode::Quota => {}
    }
    found
}
