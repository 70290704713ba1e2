//! The `infrastructure` part of a topology.

use std::collections::BTreeMap;
use std::str::FromStr;

use strum::{EnumString, VariantNames};
use utoipa::ToSchema;

use crate::model::ids::VmId;
use crate::model::reader::{At, Fields, Notes, alternatives, join};
use crate::model::units::{Cpu, Size};

use super::access::DockerAccess;
use super::cloud::Cloud;
use super::image::{self, Login};
use super::self_heal::SelfHeal;
use super::shapes::Shape;
use super::variable::{Reference, Variable};
use super::written::{CloudDriver, DockerGiven, SelfHealGiven, TextOrReference, VmSize};

/// Where VMs come from, what one has, and the rules for all placements.
#[derive(Clone, Debug, PartialEq, ToSchema)]
#[schema(example = json!({ "cpu_cores": 2, "mem_units": 8, "cpu_mode": "quota" }))]
pub struct Infrastructure {
    /// Where VMs come from; without it, this machine's own Docker engine is the one VM.
    #[schema(rename = "cloud_driver", value_type = Option<CloudDriver>)]
    pub cloud: Cloud,
    /// Where hooks come from.
    #[serde(flatten)]
    #[schema(value_type = HooksSource)]
    pub hooks: Option<HooksSource>,
    /// What one VM has.
    #[serde(flatten)]
    #[schema(value_type = VmSize)]
    pub vm: Size,
    /// Kinds of VM that can be made, in place of `cpu_cores` and `mem_units`. Where VMs come from machines
    /// or groups of one kind, only questions (`POST /api/solve`) can have several.
    #[schema(value_type = Option<Vec<Shape>>)]
    pub shapes: Vec<Shape>,
    /// MiB in a memory unit; 512 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1048576, example = 512)]
    pub mem_unit_mb: u64,
    /// Most VMs in use.
    #[schema(minimum = 1, maximum = 100000, example = 10)]
    pub max_vms: Option<u32>,
    /// Fewest VMs kept, even idle.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 100000, example = 1)]
    pub min_vms: u32,
    /// How processor limits are set.
    #[schema(value_type = Option<CpuMode>)]
    pub cpu_mode: CpuMode,
    /// How Docker is reached on VMs of a cloud, and TLS files.
    #[schema(value_type = Option<DockerGiven>)]
    pub docker: DockerAccess,
    /// Weights of the placement's objective.
    #[schema(value_type = Option<Weights>)]
    pub weights: Weights,
    /// What an execution does when an action fails for good; `stop` unless given.
    #[schema(value_type = Option<OnFailure>)]
    pub on_failure: OnFailure,
    /// What an execution does when fewer VMs come than it asked for; `fail` unless given.
    #[schema(value_type = Option<OnShortage>)]
    pub on_shortage: OnShortage,
    /// Whether drift is repaired by carrying out again the plan that was reached last, and when.
    #[schema(value_type = Option<SelfHealGiven>)]
    pub self_heal: Option<SelfHeal>,
    /// Names and passwords for registries, by the registries' names (`docker.io` for Docker Hub).
    #[schema(value_type = Option<BTreeMap<String, Login>>, example = json!({ "registry.test:5000": { "username": "puller", "password": { "from_env": "REGISTRY_PASSWORD" } } }))]
    pub registries: BTreeMap<String, Login>,
    /// What becomes of a plan when containers of others, on the VMs that it uses, have no limits;
    /// `warn` unless given.
    #[schema(value_type = Option<OnForeign>)]
    pub foreign: OnForeign,
}

/// What becomes of a plan when containers of others have no limits, so that what they may take can't be
/// counted: they are named in a warning; the plan is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, VariantNames, ToSchema)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[schema(example = "refuse")]
pub enum OnForeign {
    /// They are named in a warning.
    #[default]
    Warn,
    /// It is refused.
    Refuse,
}

/// What an execution does when an action fails for good: what was done is kept; it is undone; what
/// does not depend on the failed action is done all the same.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    EnumString,
    VariantNames,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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

/// What an execution does when fewer VMs come than it asked for: it fails, as after any other
/// failure; the same plan is placed once more, on the VMs that are there.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    EnumString,
    VariantNames,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(example = "replan")]
pub enum OnShortage {
    /// It fails, as after any other failure.
    #[default]
    Fail,
    /// The same plan is placed once more, on the VMs that are there.
    Replan,
}

/// Where hooks come from, as the topology has it.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct HooksSource {
    /// URL or path of a git repository, or a plain folder, with `scale_hooks/` and `tier_hooks/`; or
    /// where that is kept.
    #[schema(rename = "hooks_git_repo", value_type = Option<TextOrReference>, example = "https://git.example/hooks.git")]
    pub repo: Variable,
    /// Branch, tag or commit; the repository's HEAD without it.
    #[schema(rename = "hooks_ref", pattern = r"\S", example = "main")]
    pub reference: Option<String>,
    /// Who must have signed the commit: lines `NAME ssh-ed25519 AAAA…` as in OpenSSH's `allowed_signers`, or where they
    /// are kept.
    #[schema(
        rename = "hooks_signers",
        value_type = Option<TextOrReference>,
        example = "ops@shop.test ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLE"
    )]
    pub signers: Option<Variable>,
}

/// Where hooks come from: a folder or git repository with `scale_hooks/` and `tier_hooks/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// URL or path.
    pub repo: String,
    /// Branch, tag or commit; the repository's HEAD without it.
    pub reference: Option<String>,
    /// Who must have signed the commit, in the format of `allowed_signers`.
    pub signers: Option<String>,
}

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

/// Weights of the placement's objective. The defaults are the predecessor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, ToSchema)]
#[schema(example = json!({ "vm_create": 20, "vm_use": 11 }))]
pub struct Weights {
    /// A new VM used; 20 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 20)]
    pub vm_create: u32,
    /// An existing VM used; 11 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 11)]
    pub vm_use: u32,
    /// An existing VM not used, so deleted; 2 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 2)]
    pub vm_delete: u32,
    /// A new container; 4 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 4)]
    pub container_create: u32,
    /// An existing container kept or resized; 3 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 3)]
    pub container_set: u32,
    /// An existing container of a tier in the plan, removed; 1 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 1)]
    pub container_delete: u32,
    /// The same, where the tier has `max_node` 1; 100 unless given.
    #[schema(value_type = Option<u32>, maximum = 1000000, example = 100)]
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
pub(super) const MOST_MEM_UNITS: u64 = 1_000_000;
/// The most VMs that may be asked for.
pub(super) const MOST_VMS: u32 = 100_000;

impl Infrastructure {
    /// The kinds of VM that can be made: those of `shapes`, or the one of `cpu_cores` and `mem_units`.
    #[must_use]
    pub fn kinds(&self) -> Vec<Shape> {
        match self.shapes.as_slice() {
            [] => vec![Shape::only(self.vm)],
            shapes => shapes.to_vec(),
        }
    }

    /// What a VM has that is not in use yet: a host may have a size of its own.
    #[must_use]
    pub fn size_of(&self, vm: &VmId) -> Size {
        let hosts = match &self.cloud {
            Cloud::Hosts(hosts) => hosts.as_slice(),
            Cloud::Embedded | Cloud::AutoScaling(_) => &[],
        };
        let host = hosts.iter().find(|host| host.name == *vm);
        Size {
            cpu: host.and_then(|host| host.cpu).unwrap_or(self.vm.cpu),
            mem: host.and_then(|host| host.mem).unwrap_or(self.vm.mem),
        }
    }

    /// Whether any VM has a size of its own.
    #[must_use]
    pub fn sizes_differ(&self) -> bool {
        match &self.cloud {
            Cloud::Hosts(hosts) => hosts.iter().any(|host| host.cpu.is_some() || host.mem.is_some()),
            Cloud::Embedded | Cloud::AutoScaling(_) => false,
        }
    }

    pub(super) fn read(notes: &mut Notes, mut fields: Fields<'_>) -> Option<Self> {
        let hooks = read_hooks(notes, &mut fields);
        let cpu_mode: CpuMode = read_choice(notes, &mut fields, "cpu_mode");
        let cloud = Cloud::read(notes, fields.get("cloud_driver"), cpu_mode.step());
        let (vm, shapes) = match fields.get("shapes") {
            None => (read_shape(notes, &mut fields, cpu_mode), Vec::new()),
            Some(at) => {
                let shapes = Shape::read_all(notes, &at, cpu_mode.step());
                if matches!(cloud, Some(Cloud::Hosts(_))) {
                    let problem = "can't stand beside hosts, which exist already: a host may have cpu_cores and \
                                   mem_units of its own";
                    notes.problem(&at.path, problem);
                }
                for name in ["cpu_cores", "mem_units"] {
                    if let Some(beside) = fields.get(name) {
                        notes.problem(&beside.path, "can't stand beside shapes: keep one of them");
                    }
                }
                (shapes.first().map(|shape| shape.size), shapes)
            }
        };
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
        if min_vms > 0 && !shapes.is_empty() && shapes.iter().all(|shape| shape.max.is_some()) {
            let problem = "needs a shape without max, to make up the number";
            notes.problem(&join(&fields.path, "min_vms"), problem);
        }
        let docker = DockerAccess::read(notes, fields.get("docker"));
        let weights = Weights::read(notes, fields.get("weights"));
        let on_failure = read_choice(notes, &mut fields, "on_failure");
        let on_shortage = read_choice(notes, &mut fields, "on_shortage");
        let self_heal = SelfHeal::read(notes, fields.get("self_heal"));
        let foreign = read_choice(notes, &mut fields, "foreign");
        let registries = image::logins(notes, &mut fields);
        fields.finish(notes);
        Some(Self {
            cloud: cloud?,
            hooks,
            vm: vm?,
            shapes,
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
    let signers = read_signers(notes, fields);
    let Some(repo) = repo else {
        for (field, there) in [
            ("hooks_ref", reference.is_some()),
            ("hooks_signers", signers.is_some()),
        ] {
            if there {
                notes.problem(&join(&fields.path, field), "needs hooks_git_repo");
            }
        }
        return None;
    };
    Some(HooksSource {
        repo: repo?,
        reference,
        signers,
    })
}

fn read_signers(notes: &mut Notes, fields: &mut Fields<'_>) -> Option<Variable> {
    let at = fields.get("hooks_signers")?;
    if at.value.is_object() {
        return Reference::read(notes, at).map(Variable::Reference);
    }
    let text = at.text(notes)?;
    let line = |line: &str| !line.trim_start().starts_with('#') && line.split_whitespace().count() >= 3;
    if !text.lines().any(line) {
        let problem =
            "has no line such as \"ops@shop.test ssh-ed25519 AAAA…\", as OpenSSH's allowed_signers have";
        notes.problem(&at.path, problem);
    }
    Some(Variable::from(text))
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
pub(super) fn read_choice<T: Default + FromStr + VariantNames>(
    notes: &mut Notes,
    fields: &mut Fields<'_>,
    field: &'static str,
) -> T {
    let Some(at) = fields.get(field) else {
        return T::default();
    };
    let Some(name) = at.text(notes) else {
        return T::default();
    };
    name.parse().unwrap_or_else(|_| {
        let names: Vec<String> = T::VARIANTS.iter().map(|name| format!("{name:?}")).collect();
        let problem = format!("should be {}, is {name:?}", alternatives(&names));
        notes.problem(&at.path, problem);
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
