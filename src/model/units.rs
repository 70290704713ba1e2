//! Processor and memory amounts.
//!
//! Processor time is counted in hundredths of a core, so that decimal cores (quota mode) add up
//! without rounding. Memory is counted in memory units; the topology says how many MiB a unit has
//! (`mem_unit_mb`, 512 unless given).

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// The largest number of cores or memory units in one amount.
///
/// Far above any machine, and low enough that sums over a hundred thousand containers cannot
/// overflow.
pub const MOST: u32 = 1_000_000;

/// Processor time in hundredths of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u64);

impl Cpu {
    /// No processor time.
    pub const ZERO: Self = Self(0);
    /// One whole core.
    pub const CORE: Self = Self(100);

    /// That many whole cores.
    #[must_use]
    pub fn cores(cores: u32) -> Self {
        Self(u64::from(cores) * 100)
    }

    /// That many hundredths of a core.
    #[must_use]
    pub const fn hundredths(hundredths: u64) -> Self {
        Self(hundredths)
    }

    /// This amount in hundredths of a core.
    #[must_use]
    pub const fn in_hundredths(self) -> u64 {
        self.0
    }

    /// This amount in whole cores, rounded up.
    #[must_use]
    pub const fn whole_cores(self) -> u64 {
        self.0.div_ceil(100)
    }

    /// Whether this is a whole number of cores.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.0.is_multiple_of(100)
    }

    /// This amount in billionths of a core, the unit of Docker's `NanoCpus`.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0 * 10_000_000
    }

    /// What is left after `other` is subtracted; at least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cores, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(out, "{cores}"),
            r if r % 10 == 0 => write!(out, "{cores}.{}", r / 10),
            r => write!(out, "{cores}.{r:02}"),
        }
    }
}

impl Serialize for Cpu {
    /// A whole number where it is one, else a decimal.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.is_whole() {
            to.serialize_u64(self.0 / 100)
        } else {
            // Exact to two decimals: amounts are far below 2^53 hundredths.
            #[expect(clippy::cast_precision_loss)]
            to.serialize_f64(self.0 as f64 / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Cpu {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(from)?;
        hundredths_of(&number)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{number} is not an amount of cores (steps of 0.01)")))
    }
}

/// Bytes as people read them: in MiB, to a tenth.
#[must_use]
pub fn mib(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match (bytes / MIB, bytes % MIB * 10 / MIB) {
        (whole, 0) => format!("{whole} MiB"),
        (whole, tenth) => format!("{whole}.{tenth} MiB"),
    }
}

/// `number` in hundredths, if it is at least zero, at most [`MOST`], and has no more than two
/// decimals.
#[must_use]
pub fn hundredths_of(number: &serde_json::Number) -> Option<u64> {
    let most = u64::from(MOST);
    if let Some(whole) = number.as_u64() {
        return (whole <= most).then(|| whole * 100);
    }
    let value = number.as_f64()?;
    #[expect(clippy::cast_precision_loss)]
    let in_range = value >= 0.0 && value <= most as f64;
    if !in_range {
        return None;
    }
    let scaled = value * 100.0;
    let rounded = scaled.round();
    if (scaled - rounded).abs() > 1e-6 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some(rounded as u64)
}

impl Add for Cpu {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cpu {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// An amount of every resource together: what a container holds, or a VM has.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[schema(as = Amount, example = json!({ "cpu_cores": 1, "mem_units": 2 }))]
pub struct Size {
    /// Cores; decimals in steps of 0.01 in quota mode.
    #[serde(rename = "cpu_cores")]
    #[schema(value_type = f64, minimum = 0, maximum = 1000000, example = 1)]
    pub cpu: Cpu,
    /// Memory units.
    #[serde(rename = "mem_units")]
    #[schema(minimum = 0, maximum = 1000000, example = 2)]
    pub mem: u64,
    /// Gigabytes of disk; left out where it is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 1000000, example = 20)]
    pub disk_gb: u64,
    /// Graphics processors; left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 1000000, example = 1)]
    pub gpus: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

/// How a [`Size`] with some of both is described: that of a container or a VM.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2 }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub(crate) struct Held {
    /// Cores; decimals in steps of 0.01 in quota mode.
    #[schema(exclusive_minimum = 0, maximum = 1000000, example = 1)]
    cpu_cores: f64,
    /// Memory units.
    #[schema(minimum = 1, maximum = 1000000, example = 2)]
    mem_units: u64,
    /// Gigabytes of disk; left out where it is none.
    #[schema(minimum = 0, maximum = 1000000, example = 20)]
    disk_gb: Option<u64>,
    /// Graphics processors; left out where there are none.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    gpus: Option<u64>,
}

impl Size {
    /// Nothing of any.
    pub const ZERO: Self = Self {
        cpu: Cpu::ZERO,
        mem: 0,
        disk_gb: 0,
        gpus: 0,
    };

    /// Whole cores and memory units, and nothing else.
    #[must_use]
    pub fn new(cores: u32, mem: u64) -> Self {
        Self {
            cpu: Cpu::cores(cores),
            mem,
            ..Self::ZERO
        }
    }

    /// Whether this fits into `room`, in everything.
    #[must_use]
    pub fn fits(self, room: Self) -> bool {
        self.min(room) == self
    }

    /// The smaller of each.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        self.with(other, Cpu::min, u64::min)
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        self.with(other, Cpu::max, u64::max)
    }

    /// Whether a container of this size can't be given `other` while it runs: engines change a container's cores and
    /// memory, and nothing else.
    #[must_use]
    pub const fn is_fixed_against(self, other: Self) -> bool {
        self.disk_gb != other.disk_gb || self.gpus != other.gpus
    }

    /// Each resource together with that of `other`. Whatever is true of amounts in general goes through here.
    fn with(self, other: Self, cpu: impl Fn(Cpu, Cpu) -> Cpu, rest: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            cpu: cpu(self.cpu, other.cpu),
            mem: rest(self.mem, other.mem),
            disk_gb: rest(self.disk_gb, other.disk_gb),
            gpus: rest(self.gpus, other.gpus),
        }
    }
}

impl Add for Size {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.with(other, Cpu::add, u64::saturating_add)
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Subtraction stops at zero.
impl Sub for Size {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.with(other, Cpu::saturating_sub, u64::saturating_sub)
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::ZERO, Add::add)
    }
}

/// As in action texts: `cpu cores=2 and mem_units=1`, followed by ` and disk_gb=20` and ` and gpus=1` where there are any.
impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cpu cores={} and mem_units={}", self.cpu, self.mem)?;
        for (name, amount) in [("disk_gb", self.disk_gb), ("gpus", self.gpus)] {
            if amount > 0 {
                write!(out, " and {name}={amount}")?;
            }
        }
        Ok(())
    }
}

impl Size {
    /// For people: `2 cores, 1 mem_unit` with `, ` between, leaving out what is zero.
    #[must_use]
    pub fn in_words(self, between: &str) -> String {
        let plural = |one: bool| if one { "" } else { "s" };
        let parts = [
            (self.cpu != Cpu::ZERO).then(|| format!("{} core{}", self.cpu, plural(self.cpu == Cpu::CORE))),
            (self.mem != 0).then(|| format!("{} mem_unit{}", self.mem, plural(self.mem == 1))),
            (self.disk_gb != 0).then(|| format!("{} GB of disk", self.disk_gb)),
            (self.gpus != 0).then(|| format!("{} GPU{}", self.gpus, plural(self.gpus == 1))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(between)
    }
}
