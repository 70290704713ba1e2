//! The `infrastructure` part of a topology.

use std::collections::BTreeMap;

use crate::model::reader::{At, Fields, Notes, join};
use crate::model::units::{Cpu, Size};

use super::access::DockerAccess;
use super::cloud::Cloud;
use super::image::{self, Login};
use super::self_heal::SelfHeal;
use super::variable::{Reference, Variable};

/// Where VMs come from, what one VM has, and the rules for all placements.
#[derive(Clone, Debug, PartialEq)]
pub struct Infrastructure {
    /// Where VMs come from (`cloud_driver`).
    pub cloud: Cloud,
    /// Where hooks come from (`hooks_git_repo`, `hooks_ref`).
    pub hooks: Option<HooksSource>,
    /// What one VM has (`cpu_cores`, `mem_units`).
    pub vm: Size,
    /// MiB in one memory unit (`mem_unit_mb`).
    pub mem_unit_mb: u64,
    /// Most VMs in use (`max_vms`).
    pub max_vms: Option<u32>,
    /// Fewest VMs kept, even with nothing on them (`min_vms`).
    pub min_vms: u32,
    /// How processor limits are set (`cpu_mode`).
    pub cpu_mode: CpuMode,
    /// How Docker is reached on VMs of a cloud, and TLS files (`docker`).
    pub docker: DockerAccess,
    /// Weights of the placement's objective (`weights`).
    pub weights: Weights,
    /// What an execution does when an action fails (`on_failure`).
    pub on_failure: OnFailure,
    /// What an execution does when fewer VMs come than it asked for (`on_shortage`).
    pub on_shortage: OnShortage,
    /// When what differs is brought back by an execution of its own; None for never (`self_heal`).
    pub self_heal: Option<SelfHeal>,
    /// Names and passwords for registries, by the registries' names (`registries`).
    pub registries: BTreeMap<String, Login>,
    /// What becomes of a plan where containers of others have no limits (`foreign`).
    pub foreign: OnForeign,
}

/// What becomes of a plan when containers that are not ours, on the VMs that it uses, have no limits:
/// what they may take can't be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnForeign {
    /// They are named in a warning.
    #[default]
    Warn,
    /// It is refused.
    Refuse,
}

impl OnForeign {
    /// From its name in JSON.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "warn" => Some(Self::Warn),
            "refuse" => Some(Self::Refuse),
            _ => None,
        }
    }
}

/// What an execution does when an action fails for good: what was done is kept; it is undone; what
/// does not depend on the failed action is done all the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(example = "rollback")]
pub enum OnFailure {
    /// It ends; what was done is kept.
    #[default]
    Stop,
    /// What was done is undone.
    Rollback,
    /// What does not depend on the failed action is done all the same.
    Continue,
}

impl OnFailure {
    /// From its name in JSON.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "stop" => Some(Self::Stop),
            "rollback" => Some(Self::Rollback),
            "continue" => Some(Self::Continue),
            _ => None,
        }
    }
}

/// What an execution does when fewer VMs come than it asked for: it fails, as after any other
/// failure; the same plan is placed once more, on the VMs that are there.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(example = "replan")]
pub enum OnShortage {
    /// It fails, as after any other failure.
    #[default]
    Fail,
    /// The same plan is placed once more, on the VMs that are there.
    Replan,
}

impl OnShortage {
    /// From its name in JSON.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "fail" => Some(Self::Fail),
            "replan" => Some(Self::Replan),
            _ => None,
        }
    }
}

/// Where hooks come from, as the topology has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HooksSource {
    /// URL or path, or where that is kept.
    pub repo: Variable,
    /// Branch, tag or commit; the repository's HEAD without it.
    pub reference: Option<String>,
}

/// Where hooks come from: a folder or git repository with `scale_hooks/` and `tier_hooks/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// URL or path.
    pub repo: String,
    /// Branch, tag or commit; the repository's HEAD without it.
    pub reference: Option<String>,
}

/// How processor limits are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// Weights of the placement's objective. The defaults are the predecessor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Weights {
    /// A new VM used.
    pub vm_create: u32,
    /// An existing VM used.
    pub vm_use: u32,
    /// An existing VM not used, so deleted.
    pub vm_delete: u32,
    /// A new container.
    pub container_create: u32,
    /// An existing container kept or resized.
    pub container_set: u32,
    /// An existing container of a tier in the plan, removed.
    pub container_delete: u32,
    /// The same, where the tier has `max_node` 1.
    pub container_delete_pinned: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            vm_create: 20,
            vm_use: 11,
            vm_delete: 2,
            container_create: 4,
            container_set: 3,
            container_delete: 1,
            container_delete_pinned: 100,
        }
    }
}

/// The shape assumed where the topology gives none: that of the predecessor's examples.
const DEFAULT_SHAPE: (u32, u64) = (2, 8);
/// The most cores that a VM may be said to have.
pub(super) const MOST_CORES: u32 = 10_000;
/// The most memory units that a VM may be said to have.
const MOST_MEM_UNITS: u64 = 1_000_000;
/// The most VMs that may be asked for.
const MOST_VMS: u32 = 100_000;

impl Infrastructure {
    pub(super) fn read(notes: &mut Notes, mut fields: Fields<'_>) -> Option<Self> {
        let cloud = Cloud::read(notes, fields.get("cloud_driver"));
        let hooks = read_hooks(notes, &mut fields);
        let cpu_mode = read_cpu_mode(notes, &mut fields);
        let vm = read_shape(notes, &mut fields, cpu_mode);
        let mem_unit_mb = match fields.get("mem_unit_mb") {
            None => Some(512),
            Some(at) => at.whole(notes, 1, 1_048_576),
        };
        let max_vms = fields.whole(notes, "max_vms", 1, MOST_VMS);
        let min_vms = fields.whole(notes, "min_vms", 0, MOST_VMS).unwrap_or(0);
        if let Some(most) = max_vms
            && min_vms > most
        {
            notes.problem(
                &join(&fields.path, "min_vms"),
                format!("is {min_vms}, more than max_vms {most}"),
            );
        }
        let docker = DockerAccess::read(notes, fields.get("docker"));
        let weights = Weights::read(notes, fields.get("weights"));
        let on_failure = read_choice(
            notes,
            &mut fields,
            "on_failure",
            OnFailure::parse,
            "\"stop\", \"rollback\" or \"continue\"",
        );
        let on_shortage = read_choice(
            notes,
            &mut fields,
            "on_shortage",
            OnShortage::parse,
            "\"fail\" or \"replan\"",
        );
        let self_heal = SelfHeal::read(notes, fields.get("self_heal"));
        let foreign = read_choice(
            notes,
            &mut fields,
            "foreign",
            OnForeign::parse,
            "\"warn\" or \"refuse\"",
        );
        let registries = image::logins(notes, &mut fields);
        fields.finish(notes);
        Some(Self {
            cloud: cloud?,
            hooks,
            vm: vm?,
            mem_unit_mb: mem_unit_mb?,
            max_vms,
            min_vms,
            cpu_mode,
            docker,
            weights,
            on_failure,
            on_shortage,
            self_heal,
            registries,
            foreign,
        })
    }
}

fn read_hooks(notes: &mut Notes, fields: &mut Fields<'_>) -> Option<HooksSource> {
    let repo = fields.get("hooks_git_repo").map(|at| {
        if at.value.is_object() {
            Reference::read(notes, at).map(Variable::Reference)
        } else {
            at.text(notes).map(Variable::from)
        }
    });
    let reference = fields.text(notes, "hooks_ref");
    let Some(repo) = repo else {
        if reference.is_some() {
            notes.problem(&join(&fields.path, "hooks_ref"), "needs hooks_git_repo");
        }
        return None;
    };
    Some(HooksSource {
        repo: repo?,
        reference,
    })
}

fn read_cpu_mode(notes: &mut Notes, fields: &mut Fields<'_>) -> CpuMode {
    let Some(at) = fields.get("cpu_mode") else {
        return CpuMode::default();
    };
    match at.text(notes) {
        Some("cpuset") => CpuMode::Cpuset,
        Some("quota") => CpuMode::Quota,
        Some(other) => {
            notes.problem(
                &at.path,
                format!("should be \"cpuset\" or \"quota\", is {other:?}"),
            );
            CpuMode::default()
        }
        None => CpuMode::default(),
    }
}

/// True or false; false where it is left out.
pub(super) fn read_switch(notes: &mut Notes, fields: &mut Fields<'_>, name: &'static str) -> bool {
    fields.get(name).is_some_and(|at| {
        at.value.as_bool().unwrap_or_else(|| {
            at.wrong(notes, "true or false");
            false
        })
    })
}

/// One of a few names; the default where it is left out.
fn read_choice<T: Default>(
    notes: &mut Notes,
    fields: &mut Fields<'_>,
    field: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
    names: &str,
) -> T {
    let Some(at) = fields.get(field) else {
        return T::default();
    };
    let Some(name) = at.text(notes) else {
        return T::default();
    };
    parse(name).unwrap_or_else(|| {
        notes.problem(&at.path, format!("should be {names}, is {name:?}"));
        T::default()
    })
}

fn read_shape(notes: &mut Notes, fields: &mut Fields<'_>, mode: CpuMode) -> Option<Size> {
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
    Some(Size { cpu: cpu?, mem: mem? })
}

impl Weights {
    fn read(notes: &mut Notes, at: Option<At<'_>>) -> Self {
        let mut weights = Self::default();
        let Some(mut fields) = at.and_then(|at| at.object(notes)) else {
            return weights;
        };
        let most = 1_000_000;
        for (name, weight) in [
            ("vm_create", &mut weights.vm_create),
            ("vm_use", &mut weights.vm_use),
            ("vm_delete", &mut weights.vm_delete),
            ("container_create", &mut weights.container_create),
            ("container_set", &mut weights.container_set),
            ("container_delete", &mut weights.container_delete),
            ("container_delete_pinned", &mut weights.container_delete_pinned),
        ] {
            if let Some(given) = fields.whole(notes, name, 0, most) {
                *weight = given;
            }
        }
        fields.finish(notes);
        weights
    }
}
