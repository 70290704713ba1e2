//! What one VM has, and how processor limits are set.

use strum::{EnumString, VariantNames};
use utoipa::ToSchema;

use crate::model::further;
use crate::model::reader::{Fields, Notes};
use crate::model::units::{Cpu, Size};

/// How processor limits are set: whole cores, each container pinned to cores of its own; or
/// decimal cores in steps of 0.01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, VariantNames, ToSchema)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(example = "quota")]
pub enum CpuMode {
    /// Whole cores; each container is pinned to cores of its own.
    #[default]
    Cpuset,
    /// Decimal cores in steps of 0.01, as a share of all cores.
    Quota,
}

impl CpuMode {
    /// The smallest step of an amount of processor, in hundredths of a core.
    #[must_use]
    pub const fn step(self) -> u64 {
        match self {
            Self::Cpuset => 100,
            Self::Quota => 1,
        }
    }
}

/// The shape assumed if the topology gives none: that of the predecessor's examples.
const DEFAULT_SHAPE: (u32, u64) = (2, 8);

/// The most cores that a VM may be given.
pub const MOST_CORES: u32 = 10_000;

/// The most memory units that a VM may be given.
pub const MOST_MEM_UNITS: u64 = 1_000_000;

pub(super) fn read_shape(notes: &mut Notes, fields: &mut Fields<'_>, mode: CpuMode) -> Option<Size> {
    let (cpu, mem) = (fields.get("cpu_cores"), fields.get("mem_units"));
    if cpu.is_none() || mem.is_none() {
        let (cores, units) = DEFAULT_SHAPE;
        let warning = format!(
            "no full VM shape given: cpu_cores {cores} and mem_units {units} are assumed where missing"
        );
        notes.warn(&fields.path, warning);
    }
    let cpu = match cpu {
        None => Some(Cpu::cores(DEFAULT_SHAPE.0)),
        Some(at) => {
            let read = at.cores(notes, mode.step(), MOST_CORES);
            if read == Some(Cpu::ZERO) {
                notes.problem(&at.path, "is zero: a VM needs cores");
            }
            read
        }
    };
    let mem = match mem {
        None => Some(DEFAULT_SHAPE.1),
        Some(at) => at.whole(notes, 1, MOST_MEM_UNITS),
    };
    let further = further::read(notes, fields, Size::ZERO, Size::ZERO);
    Some(Size {
        cpu: cpu?,
        mem: mem?,
        ..further
    })
}
