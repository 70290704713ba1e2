//! The allocation: the VMs that exist and what each container on them holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::addresses::Addresses;
use super::ids::{RevisionId, TierId, VmId};
use super::units::{Cpu, Held, Size};

/// The VMs in use, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(example = json!({ "vm1": { "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } } } }))]
pub struct Allocation {
    /// The VMs.
    #[schema(value_type = BTreeMap<String, Vm>)]
    pub vms: BTreeMap<VmId, Vm>,
}

/// A VM: what it has, and what each container on it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "ip": "10.0.0.1", "cpu_cores": 2, "mem_units": 8,
    "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } } }))]
pub struct Vm {
    /// The address at which its published ports are reached; null for a VM that is still to be
    /// made.
    #[serde(default)]
    #[schema(pattern = r"\S", example = "10.0.0.1")]
    pub ip: Option<String>,
    /// What the VM has.
    #[serde(flatten)]
    #[schema(value_type = Held)]
    pub capacity: Size,
    /// What each container on it holds, by flat name.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, Container>>)]
    pub used: BTreeMap<TierId, Container>,
    /// What all other containers on it hold. Not in the JSON answers, which have the predecessor's
    /// shape.
    #[serde(skip)]
    pub foreign: Foreign,
    /// Tiers in `used` whose container needs an update even if its size is right: it was seen to
    /// hold its part without running (paused, or between two restarts), or with limits that are not
    /// whole units; or it is to be restarted. Known only right after a look.
    #[serde(skip)]
    pub stalled: BTreeSet<TierId>,
}

/// What containers on a VM hold that are not part of the allocation: those of other programs and of
/// other installations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// Everything that they hold. In cpuset mode these are whole cores, including `cores`.
    #[serde(flatten)]
    pub size: Size,
    /// The cores of the VM that they are pinned to, in cpuset mode.
    pub cores: CoreSet,
}

/// What a container, the part of one tier on one VM, holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "cpu_cores": 1, "mem_units": 2 }))]
pub struct Container {
    /// What it holds.
    #[serde(flatten)]
    #[schema(value_type = Held)]
    pub size: Size,
    /// The cores that it is pinned to, in cpuset mode. Not in the JSON answers, where only sizes
    /// are promised; `inspect` reads the live value from the engine.
    #[serde(skip)]
    pub cores: CoreSet,
    /// The hooks that are still to run in it. Not in the JSON answers, like the cores; translate
    /// shows them as actions.
    #[serde(skip)]
    pub owed: Owed,
    /// What it was made from; None if that is not known. Not in the JSON answers, like the cores;
    /// `inspect` shows it.
    #[serde(skip)]
    pub revision: Option<RevisionId>,
    /// The addresses of dependencies that it was made with; None if they are not known. In a target,
    /// the ones that it is to have, if that matters. Not in the JSON answers, like the cores.
    #[serde(skip)]
    pub addresses: Option<Addresses>,
    /// The digest of the image that it was made from, where its tag was looked up. In a target, the one that it is to be made
    /// from, where that matters. Kept out of the JSON answers, as the cores are.
    #[serde(skip)]
    pub digest: Option<String>,
}

/// The hooks that a container is owed: there was a reason for them, and they have not succeeded since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Its scale hooks: it was created or updated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scale: bool,
    /// Its dependency hook: a dependency has changed; this is the first change that it has not been
    /// told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Since>,
}

/// One direction of an execution. The execution's record has what was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Which execution.
    pub execution: Uuid,
    /// Whether it was on its way back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

impl Container {
    /// Whether a container in its place would be made from something else than this one was, such as
    /// another image under the same tag, or would find its dependencies at other addresses, as far as
    /// both are known.
    #[must_use]
    pub fn is_replaced_by(&self, other: &Self) -> bool {
        let made_otherwise = matches!((&self.revision, &other.revision), (Some(was), Some(is)) if was != is);
        let stale = matches!((&self.addresses, &other.addresses), (Some(was), Some(is)) if was != is);
        made_otherwise || stale || self.is_of_other_image(other)
    }

    /// Whether one of its place is to be made from another image, as far as both are known.
    #[must_use]
    pub fn is_of_other_image(&self, other: &Self) -> bool {
        matches!((&self.digest, &other.digest), (Some(was), Some(is)) if was != is)
    }
}

impl Owed {
    /// Whether no hook is owed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Foreign {
    /// Everything that either of two looks has found.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self {
            size: self.size.max(other.size),
            cores: CoreSet(self.cores.0.union(&other.cores.0).copied().collect()),
        }
    }
}

impl From<Size> for Container {
    fn from(size: Size) -> Self {
        Self {
            size,
            cores: CoreSet::default(),
            owed: Owed::default(),
            revision: None,
            addresses: None,
            digest: None,
        }
    }
}

/// A set of core numbers of one VM; empty if containers are not pinned (quota mode).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CoreSet(pub BTreeSet<u32>);

/// As Docker writes it in `CpusetCpus`: `0,2,3`.
impl fmt::Display for CoreSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, core) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str(",")?;
            }
            write!(out, "{core}")?;
        }
        Ok(())
    }
}

impl CoreSet {
    /// Reads Docker's notation, ranges included: `0-2,5`. None if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut cores = BTreeSet::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (
                    first.trim().parse::<u32>().ok()?,
                    last.trim().parse::<u32>().ok()?,
                ),
                None => {
                    let core = part.parse::<u32>().ok()?;
                    (core, core)
                }
            };
            if last < first || last - first > 100_000 {
                return None;
            }
            cores.extend(first..=last);
        }
        Some(Self(cores))
    }
}

impl Vm {
    /// A VM with nothing on it.
    #[must_use]
    pub fn empty(ip: Option<String>, capacity: Size) -> Self {
        Self {
            ip,
            capacity,
            used: BTreeMap::new(),
            foreign: Foreign::default(),
            stalled: BTreeSet::new(),
        }
    }

    /// The same VM without the allocation's containers.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self {
            foreign: self.foreign.clone(),
            ..Self::empty(self.ip.clone(), self.capacity)
        }
    }

    /// What the containers of the allocation may hold together: the capacity minus what others
    /// hold.
    #[must_use]
    pub fn room(&self) -> Size {
        self.capacity - self.foreign.size
    }

    /// What its containers hold together.
    #[must_use]
    pub fn held(&self) -> Size {
        self.used.values().map(|container| container.size).sum()
    }
}

impl Allocation {
    /// What each tier holds over all VMs.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<TierId, Size> {
        let mut totals = BTreeMap::new();
        for vm in self.vms.values() {
            for (tier, container) in &vm.used {
                *totals.entry(tier.clone()).or_insert(Size::ZERO) += container.size;
            }
        }
        totals
    }

    /// The same with no hook owed: what a plan asks for.
    #[must_use]
    pub fn owing_nothing(mut self) -> Self {
        for container in self.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
            container.owed = Owed::default();
        }
        self
    }

    /// The container of `tier` on `vm`, if there is one.
    #[must_use]
    pub fn container(&self, vm: &VmId, tier: &TierId) -> Option<&Container> {
        self.vms.get(vm)?.used.get(tier)
    }

    /// The VMs that hold a container of `tier`, with what it holds there, in order of name.
    pub fn places<'a>(&'a self, tier: &'a TierId) -> impl Iterator<Item = (&'a VmId, &'a Container)> {
        self.vms
            .iter()
            .filter_map(move |(id, vm)| vm.used.get(tier).map(|container| (id, container)))
    }

    /// Of the VM's cores `0..n`, those that no container on `vm` is pinned to, whoever made it.
    #[must_use]
    pub fn free_cores(vm: &Vm) -> CoreSet {
        let ours = vm.used.values().map(|container| &container.cores);
        let taken: BTreeSet<u32> = ours
            .chain([&vm.foreign.cores])
            .flat_map(|cores| cores.0.iter().copied())
            .collect();
        let count =
            u32::try_from(vm.capacity.cpu.in_hundredths() / Cpu::CORE.in_hundredths()).unwrap_or(u32::MAX);
        CoreSet(
            (0..count.min(100_000))
                .filter(|core| !taken.contains(core))
                .collect(),
        )
    }
}
