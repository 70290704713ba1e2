//! Whether a machine has what the topology says a VM has. Pure.

use crate::engine::Machine;
use crate::model::Size;

const MIB: u64 = 1024 * 1024;

/// By how much a machine may report less than its nominal memory, in hundredths of the nominal.
///
/// A machine sold with 8 GiB reports less: firmware and kernel keep a fixed part and a share for
/// themselves. Seven hundredths and [`RESERVED`] cover what the smallest and largest machines of
/// the clouds keep.
const TOLERANCE_PERCENT: u64 = 7;
/// The fixed part, in bytes.
const RESERVED: u64 = 64 * MIB;

/// Checks that the machine has at least the cores and memory of the topology's shape of a VM.
///
/// Memory may be 7 % and 64 MiB less than claimed, which a kernel keeps for itself. Cores may not
/// be fewer.
///
/// # Errors
///
/// Says what the topology claims, what the machine has, and what to change.
pub fn check_shape(machine: &Machine, vm: Size, mem_unit_mb: u64) -> Result<(), String> {
    let claimed = vm.mem.saturating_mul(mem_unit_mb).saturating_mul(MIB);
    let mut wrong = Vec::new();
    if u64::from(machine.cores) < vm.cpu.whole_cores() {
        wrong.push(format!(
            "infrastructure.cpu_cores is {}, and it has {}",
            vm.cpu,
            cores(machine.cores)
        ));
    }
    if machine.memory < least_reported(claimed) {
        let units = most_units(machine.memory, mem_unit_mb);
        wrong.push(format!(
            "infrastructure.mem_units is {} of {mem_unit_mb} MiB each, together {} MiB, and it has {} MiB: enough for {units}",
            vm.mem,
            claimed / MIB,
            machine.memory / MIB,
        ));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the topology claims more than the machine has: {}",
            wrong.join("; ")
        ))
    }
}

fn cores(count: u32) -> String {
    if count == 1 {
        "1 core".to_owned()
    } else {
        format!("{count} cores")
    }
}

/// The least memory that a machine with `nominal` bytes may report.
fn least_reported(nominal: u64) -> u64 {
    (nominal - nominal / 100 * TOLERANCE_PERCENT).saturating_sub(RESERVED)
}

/// The most units that a machine reporting `memory` bytes is enough for.
fn most_units(memory: u64, mem_unit_mb: u64) -> u64 {
    let unit = mem_unit_mb.saturating_mul(MIB).max(1);
    let nominal = memory.saturating_add(RESERVED) / (100 - TOLERANCE_PERCENT) * 100;
    let most = nominal / unit;
    // The division above rounds; go one down if that claims too much.
    if least_reported(most.saturating_mul(unit)) > memory {
        most.saturating_sub(1)
    } else {
        most
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Identity;

    fn machine(cores: u32, memory: u64) -> Machine {
        Machine {
            cores,
            memory,
            version: String::new(),
            gateway: None,
            identity: Identity::default(),
            about: crate::model::About::default(),
        }
    }

    #[test]
    fn a_machine_sold_with_8_gib_passes_for_8_gib() {
        // What Linux reports on such a machine.
        assert_eq!(
            check_shape(&machine(2, 8_148_164_608), Size::new(2, 16), 512),
            Ok(())
        );
    }

    #[test]
    fn both_shortfalls_are_named_with_what_would_fit() {
        let said = check_shape(&machine(2, 4096 * MIB), Size::new(4, 16), 512).unwrap_err();
        assert!(said.contains("cpu_cores is 4, and it has 2 cores"), "{said}");
        assert!(said.contains("mem_units is 16"), "{said}");
        assert!(said.contains("enough for 8"), "{said}");
    }

    #[test]
    fn decimal_cores_are_rounded_up() {
        let quota = Size {
            cpu: crate::model::Cpu::hundredths(250),
            mem: 1,
            ..Size::ZERO
        };
        assert!(check_shape(&machine(2, 4096 * MIB), quota, 512).is_err());
        assert!(check_shape(&machine(3, 4096 * MIB), quota, 512).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_said_to_fit_fits(memory in 0_u64..1 << 50, unit in 1_u64..100_000) {
            let fits = most_units(memory, unit);
            prop_assert!(fits == 0 || check_shape(&machine(1, memory), Size::new(1, fits), unit).is_ok());
            prop_assert!(check_shape(&machine(1, memory), Size::new(1, fits + 2), unit).is_err());
        }
    }
}
