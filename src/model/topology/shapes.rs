//! Kinds of VM that can be made: `shapes`, or the one of `cpu_cores` and `mem_units`.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::ToSchema;

use crate::model::further;
use crate::model::reader::{At, Fields, Notes, join};
use crate::model::units::{Cpu, Size};

use super::constraints::read_labels;
use super::infrastructure::{MOST_CORES, MOST_MEM_UNITS, MOST_VMS};
use super::names;
use super::written::{Scalar, ShapeSize};

/// A kind of VM that can be made.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = VmShape, example = json!({ "name": "large", "cpu_cores": 8, "mem_units": 32, "disk_gb": 200, "price": 3.5 }))]
pub struct Shape {
    /// Its name. Empty for the one that `cpu_cores` and `mem_units` describe.
    #[schema(
        pattern = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$",
        max_length = 100,
        example = "large"
    )]
    pub name: String,
    /// What such a VM has.
    #[serde(flatten)]
    #[schema(value_type = ShapeSize)]
    pub size: Size,
    /// The price of one, as a multiple of `vm_create`, in steps of 0.001; 1 unless given.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1000, example = 3.5)]
    pub price: Price,
    /// Labels that such VMs have.
    #[schema(value_type = Option<BTreeMap<String, Scalar>>, example = json!({ "zone": "a" }))]
    pub labels: BTreeMap<String, String>,
    /// Most VMs of this kind.
    #[schema(minimum = 0, maximum = 100000, example = 10)]
    pub max: Option<u32>,
}

/// A multiple of `vm_create`, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Thousandths.
    pub thousandths: u32,
}

impl Price {
    /// `vm_create` itself.
    pub const ONE: Self = Self { thousandths: 1_000 };
    /// The highest price there can be.
    const MOST: u32 = 1_000_000;

    fn read(notes: &mut Notes, at: &At<'_>) -> Option<Self> {
        let wanted = || "a number from 0 to 1000 with no more than three decimals";
        let Some(value) = at.value.as_f64() else {
            at.wrong(notes, wanted());
            return None;
        };
        let scaled = value * 1_000.0;
        let whole = scaled.round();
        let range = 0.0..=f64::from(Self::MOST);
        if !range.contains(&whole) || (scaled - whole).abs() > 1e-6 {
            notes.problem(&at.path, format!("should be {}, is {}", wanted(), at.value));
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(Self {
            thousandths: whole as u32,
        })
    }
}

/// How many shapes a topology may have. The bound on the cost of mixtures compares each with each.
const MOST_SHAPES: usize = 100;

impl Shape {
    /// The only kind, at the usual price.
    #[must_use]
    pub const fn only(size: Size) -> Self {
        Self {
            name: String::new(),
            size,
            price: Price::ONE,
            labels: BTreeMap::new(),
            max: None,
        }
    }

    /// Reads `shapes`. `step` is the step of the cpu mode.
    pub(super) fn read_all(notes: &mut Notes, at: &At<'_>, step: u64) -> Vec<Self> {
        let list = at.list(notes);
        if list.is_empty() && at.value.is_array() {
            notes.problem(&at.path, "is empty: give at least one shape, or leave it out");
        }
        if list.len() > MOST_SHAPES {
            let problem = format!("has {} shapes; {MOST_SHAPES} is the most", list.len());
            notes.problem(&at.path, problem);
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let mut shapes = Vec::new();
        for at in list {
            let path = at.path.clone();
            let Some(fields) = at.object(notes) else { continue };
            let Some(shape) = Self::read(notes, fields, step) else {
                continue;
            };
            if !seen.insert(shape.name.clone()) {
                let problem = format!("{:?} is the name of another shape", shape.name);
                notes.problem(&join(&path, "name"), problem);
            }
            shapes.push(shape);
        }
        shapes
    }

    fn read(notes: &mut Notes, mut fields: Fields<'_>, step: u64) -> Option<Self> {
        let name = fields.need(notes, "name").and_then(|at| {
            let name = at.text(notes)?.to_owned();
            names::check(notes, &at.path, &name).then_some(name)
        });
        let cpu = fields.need(notes, "cpu_cores").and_then(|at| {
            let read = at.cores(notes, step, MOST_CORES)?;
            if read == Cpu::ZERO {
                notes.problem(&at.path, "is zero: a VM needs cores");
            }
            Some(read)
        });
        let mem = fields
            .need(notes, "mem_units")
            .and_then(|at| at.whole(notes, 1, MOST_MEM_UNITS));
        let price = match fields.get("price") {
            None => Some(Price::ONE),
            Some(at) => Price::read(notes, &at),
        };
        let further = further::read(notes, &mut fields, Size::ZERO, Size::ZERO);
        let labels = read_labels(notes, &mut fields);
        let max = fields.whole(notes, "max", 0, MOST_VMS);
        fields.finish(notes);
        Some(Self {
            name: name?,
            size: Size {
                cpu: cpu?,
                mem: mem?,
                ..further
            },
            price: price?,
            labels,
            max,
        })
    }
}
