//! Reading an allocation that somebody sends, in the shape of GET /api/allocation.

use std::collections::BTreeMap;

use serde_json::Value;

use super::allocation::{Allocation, Container, CoreSet, Foreign, Vm};
use super::further;
use super::ids::{TierId, VmId};
use super::problem::{Problems, Warning};
use super::reader::{At, Fields, Notes};
use super::units::{Cpu, MOST, Size};

/// A VM in a what-if: as in an allocation, with what others hold on it.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({ "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } }, "foreign": { "cpu_cores": 1, "mem_units": 2 } }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub struct VmGiven {
    #[serde(flatten)]
    vm: Vm,
    /// What containers that are not part of the allocation hold.
    foreign: Option<ForeignGiven>,
}

/// What other containers hold on a VM.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2, "cores": "0" }))]
#[expect(dead_code, reason = "only its shape is of interest")]
pub struct ForeignGiven {
    /// Cores; decimals in steps of 0.01 in quota mode. At least as many as `cores` names.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    cpu_cores: Option<f64>,
    /// Memory units.
    #[schema(minimum = 0, maximum = 1000000, example = 2)]
    mem_units: Option<u32>,
    /// Gigabytes of disk.
    #[schema(minimum = 0, maximum = 1000000, example = 20)]
    disk_gb: Option<u32>,
    /// Graphics processors.
    #[schema(minimum = 0, maximum = 1000000, example = 1)]
    gpus: Option<u32>,
    /// The cores that they are pinned to, as Docker writes them.
    #[schema(pattern = r"^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$", example = "0,2-3")]
    cores: Option<String>,
}

impl Allocation {
    /// Reads an allocation, in steps of `step` hundredths of a core. The `time` of an answer is
    /// ignored, so that an answer can be sent back as it came.
    ///
    /// # Errors
    ///
    /// All problems of the document, each with its JSON path below `path`.
    pub fn parse(document: &Value, path: &str, step: u64) -> Result<(Self, Vec<Warning>), Problems> {
        let mut notes = Notes::default();
        let mut vms = BTreeMap::new();
        if let Some(root) = (At {
            path: path.to_owned(),
            value: document,
        })
        .object(&mut notes)
        {
            for (name, at) in root.entries() {
                if name == "time" && at.value.is_string() {
                    continue;
                }
                if let Some(vm) = read_vm(&mut notes, at, step) {
                    vms.insert(VmId::new(name), vm);
                }
            }
        }
        if notes.is_clean() {
            Ok((Self { vms }, notes.warnings))
        } else {
            Err(notes.into_problems())
        }
    }
}

fn read_vm(notes: &mut Notes, at: At<'_>, step: u64) -> Option<Vm> {
    let path = at.path.clone();
    let mut fields = at.object(notes)?;
    let ip = fields.text(notes, "ip");
    let capacity = read_size(notes, &mut fields, step);
    let foreign = fields.get("foreign").and_then(|at| read_foreign(notes, at, step));
    let mut used = BTreeMap::new();
    if let Some(containers) = fields.get("used").and_then(|at| at.object(notes)) {
        for (tier, at) in containers.entries() {
            let Some(mut fields) = at.object(notes) else {
                continue;
            };
            let size = read_size(notes, &mut fields, step);
            fields.finish(notes);
            if let Some(size) = size {
                used.insert(TierId::new(tier), Container::from(size));
            }
        }
    }
    fields.finish(notes);
    let vm = Vm {
        used,
        foreign: foreign.unwrap_or_default(),
        ..Vm::empty(ip, capacity?)
    };
    if !vm.held().fits(vm.capacity) {
        notes.problem(
            &path,
            format!("holds {}, more than it has: {}", vm.held(), vm.capacity),
        );
    }
    Some(vm)
}

/// What others hold: `{"cpu_cores"?, "mem_units"?, "cores"?}`, the last as Docker writes it (`0,2-3`).
fn read_foreign(notes: &mut Notes, at: At<'_>, step: u64) -> Option<Foreign> {
    let mut fields = at.object(notes)?;
    let cpu = fields
        .get("cpu_cores")
        .map_or(Some(Cpu::ZERO), |at| at.cores(notes, step, MOST));
    let mem = fields
        .get("mem_units")
        .map_or(Some(0), |at| at.whole(notes, 0, MOST.into()));
    let cores = fields.get("cores").and_then(|at| {
        let cores = CoreSet::parse(at.text(notes)?);
        if cores.is_none() {
            notes.problem(&at.path, "should be core numbers such as 0,2-3");
        }
        cores
    });
    let cores = cores.unwrap_or_default();
    let further = further::read(notes, &mut fields, Size::ZERO, Size::ZERO);
    fields.finish(notes);
    // Pinned cores are held, whatever the other fields say.
    let pinned = Cpu::cores(u32::try_from(cores.0.len()).unwrap_or(u32::MAX));
    let size = Size {
        cpu: cpu?.max(pinned),
        mem: mem?,
        ..further
    };
    Some(Foreign { size, cores })
}

fn read_size(notes: &mut Notes, fields: &mut Fields<'_>, step: u64) -> Option<Size> {
    let cpu = fields.need(notes, "cpu_cores").and_then(|at| {
        let cpu = at.cores(notes, step, MOST);
        if cpu == Some(Cpu::ZERO) {
            notes.problem(&at.path, "is zero");
        }
        cpu
    });
    let mem = fields
        .need(notes, "mem_units")
        .and_then(|at| at.whole(notes, 1, MOST.into()));
    let further = further::read(notes, fields, Size::ZERO, Size::ZERO);
    Some(Size {
        cpu: cpu?,
        mem: mem?,
        ..further
    })
}
