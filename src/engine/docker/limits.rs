//! Limits in Docker's terms: how they are requested, and whether the reported ones are those that
//! were requested. Pure.

use bollard::models::{ContainerUpdateBody, HostConfig};

use crate::engine::{CpuLimit, Limits, Observed};
use crate::model::CoreSet;

const NANOS_PER_CORE: u64 = 1_000_000_000;

/// What the engine is told when a container is made. Swap is off: memory and swap together may be
/// no more than memory alone.
pub fn apply(limits: &Limits, config: &mut HostConfig) {
    config.memory = Some(signed(limits.memory));
    config.memory_swap = Some(signed(limits.memory));
    match &limits.cpu {
        CpuLimit::Cores(cores) => config.cpuset_cpus = Some(cores.to_string()),
        CpuLimit::Quota(cpu) => config.nano_cpus = Some(signed(cpu.nanos())),
    }
}

/// What the engine is told to change `now` into `limits`.
///
/// An update can't remove a limit: an empty cpuset and a quota of zero both mean "as it is". So if
/// a pinned container gets a quota, it is pinned to all cores of the machine, and if one with a
/// quota is pinned, it gets a quota that its cores can't exceed.
pub fn change(now: &Observed, limits: &Limits, machine_cores: u32) -> ContainerUpdateBody {
    let mut body = ContainerUpdateBody {
        memory: Some(signed(limits.memory)),
        memory_swap: Some(signed(limits.memory)),
        ..ContainerUpdateBody::default()
    };
    match &limits.cpu {
        CpuLimit::Cores(cores) => {
            body.cpuset_cpus = Some(cores.to_string());
            if now.nano_cpus != 0 {
                body.nano_cpus = Some(signed(cores_as_nanos(cores)));
            }
        }
        CpuLimit::Quota(cpu) => {
            body.nano_cpus = Some(signed(cpu.nanos()));
            if !now.cpuset.is_empty() {
                body.cpuset_cpus = Some(CoreSet((0..machine_cores).collect()).to_string());
            }
        }
    }
    body
}

/// The difference between what was requested and what the engine reports; None if there is none.
///
/// `swap_counted` says whether the engine can limit swap at all: some kernels can't, and then it
/// reports no limit whatever was requested.
pub fn difference(
    asked: &Limits,
    reported: &Observed,
    machine_cores: u32,
    swap_counted: bool,
) -> Option<String> {
    let mut wrong = Vec::new();
    match &asked.cpu {
        CpuLimit::Cores(cores) => {
            if CoreSet::parse(&reported.cpuset).as_ref() != Some(cores) {
                wrong.push(format!("cores '{}', asked '{cores}'", reported.cpuset));
            }
            if reported.nano_cpus != 0 && reported.nano_cpus < cores_as_nanos(cores) {
                wrong.push(format!(
                    "a quota of {} billionths of a core on top, asked none",
                    reported.nano_cpus
                ));
            }
        }
        CpuLimit::Quota(cpu) => {
            if reported.nano_cpus != cpu.nanos() {
                wrong.push(format!(
                    "{} billionths of a core, asked {}",
                    reported.nano_cpus,
                    cpu.nanos()
                ));
            }
            let pinned = CoreSet::parse(&reported.cpuset).is_none_or(|cores| {
                !cores.0.is_empty() && !(0..machine_cores).all(|core| cores.0.contains(&core))
            });
            if pinned {
                wrong.push(format!("cores '{}', asked for no pinning", reported.cpuset));
            }
        }
    }
    if reported.memory != asked.memory {
        wrong.push(format!(
            "{} bytes of memory, asked {}",
            reported.memory, asked.memory
        ));
    }
    if swap_counted && u64::try_from(reported.memory_swap) != Ok(asked.memory) {
        wrong.push(format!(
            "{} bytes of memory and swap together, asked {} (no swap)",
            reported.memory_swap, asked.memory
        ));
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

fn cores_as_nanos(cores: &CoreSet) -> u64 {
    u64::try_from(cores.0.len())
        .unwrap_or(u64::MAX)
        .saturating_mul(NANOS_PER_CORE)
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
