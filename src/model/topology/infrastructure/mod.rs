//! The `infrastructure` part of a topology.

mod hooks;
mod policies;
mod vm_size;
mod weights;

pub use hooks::{Hooks, HooksSource};
pub use policies::{OnFailure, OnForeign, OnShortage};
pub use vm_size::CpuMode;
pub use vm_size::{MOST_CORES, MOST_MEM_UNITS};
pub use weights::Weights;

use std::collections::BTreeMap;

use hooks::read_hooks;
use utoipa::ToSchema;
use vm_size::read_shape;

use crate::model::ids::VmId;
use crate::model::reader::{Fields, Notes, join};
use crate::model::registration::Registration;
use crate::model::topology::access::DockerAccess;
use crate::model::topology::choices::read_choice;
use crate::model::topology::cloud::Cloud;
use crate::model::topology::image::{self, Login};
use crate::model::topology::self_heal::SelfHeal;
use crate::model::topology::shapes::Shape;
use crate::model::topology::written::{CloudDriver, DockerGiven, SelfHealGiven, VmSize};
use crate::model::units::{Cpu, Size};

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
    /// Kinds of VM that can be made, in place of `cpu_cores` and `mem_units`. If VMs come from
    /// machines or groups of one kind, only what-ifs (`POST /api/solve`) can have several.
    #[schema(value_type = Option<Vec<Shape>>)]
    pub shapes: Vec<Shape>,
    /// MiB in a memory unit; 512 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1048576, example = 512)]
    pub mem_unit_mb: u64,
    /// Most VMs to use.
    #[schema(minimum = 1, maximum = 100000, example = 10)]
    pub max_vms: Option<u32>,
    /// Fewest VMs to keep, even idle.
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
    /// What happens to a plan if containers that are not mapek's, on the VMs that it uses, have no
    /// limits; `warn` unless given.
    #[schema(value_type = Option<OnForeign>)]
    pub foreign: OnForeign,
}

/// The most VMs that may be asked for.
pub(in crate::model::topology) const MOST_VMS: u32 = 100_000;

impl Infrastructure {
    /// The kinds of VM that can be made: those of `shapes`, or the one of `cpu_cores` and `mem_units`.
    #[must_use]
    pub fn kinds(&self) -> Vec<Shape> {
        match self.shapes.as_slice() {
            [] => vec![Shape::only(self.vm)],
            shapes => shapes.to_vec(),
        }
    }

    /// The size of a VM that is not in use yet: a host may have a size of its own.
    #[must_use]
    pub fn size_of(&self, vm: &VmId) -> Size {
        match &self.cloud {
            Cloud::Hosts(hosts) => {
                let host = hosts.iter().find(|host| host.name == *vm);
                host.map_or(self.vm, |host| host.size(self.vm))
            }
            Cloud::Nodes(nodes) => nodes
                .members
                .get(vm)
                .map_or(self.vm, |node| self.size_of_node(node)),
            Cloud::Embedded | Cloud::AutoScaling(_) => self.vm,
        }
    }

    fn size_of_node(&self, node: &Registration) -> Size {
        let (cpu, mem) = node.offers(self.mem_unit_mb);
        let (disk_gb, gpus) = node.further();
        let step = self.cpu_mode.step();
        // A node does not know in which steps cores are given here.
        let whole_steps = |cpu: Cpu| Cpu::hundredths(cpu.in_hundredths() / step * step);
        Size {
            cpu: cpu.map_or(self.vm.cpu, whole_steps),
            mem: mem.unwrap_or(self.vm.mem),
            disk_gb: disk_gb.unwrap_or(self.vm.disk_gb),
            gpus: gpus.unwrap_or(self.vm.gpus),
        }
    }

    /// Whether any VM has a size of its own.
    #[must_use]
    pub fn sizes_differ(&self) -> bool {
        match &self.cloud {
            Cloud::Hosts(hosts) => hosts.iter().any(|host| host.size(self.vm) != self.vm),
            Cloud::Nodes(_) => true,
            Cloud::Embedded | Cloud::AutoScaling(_) => false,
        }
    }

    pub(in crate::model::topology) fn read(notes: &mut Notes, mut fields: Fields<'_>) -> Option<Self> {
        let hooks = read_hooks(notes, &mut fields);
        let cpu_mode: CpuMode = read_choice(notes, &mut fields, "cpu_mode");
        let cloud = Cloud::read(notes, fields.get("cloud_driver"), cpu_mode.step());
        let (vm, shapes) = match fields.get("shapes") {
            None => (read_shape(notes, &mut fields, cpu_mode), Vec::new()),
            Some(at) => {
                let shapes = Shape::read_all(notes, &at, cpu_mode.step());
                if matches!(cloud, Some(Cloud::Hosts(_))) {
                    let problem = "can't be given together with hosts, which exist already: a host may have cpu_cores and \
                                   mem_units of its own";
                    notes.problem(&at.path, problem);
                }
                if matches!(cloud, Some(Cloud::Nodes(_))) {
                    let problem =
                        "can't stand beside nodes, which exist already and say themselves what they have";
                    notes.problem(&at.path, problem);
                }
                for name in ["cpu_cores", "mem_units", "disk_gb", "gpus"] {
                    if let Some(beside) = fields.get(name) {
                        notes.problem(
                            &beside.path,
                            "can't be given together with shapes: keep one of them",
                        );
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
