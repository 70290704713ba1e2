//! One placement question in whole numbers, and nothing else.
//!
//! The solver's own vocabulary: tiers with a total demand, VMs with a capacity, and what runs on
//! them now. It knows no names of clouds or engines, and no units: a cpu step is one core in cpuset
//! mode and 0.01 core in quota mode, a memory step is one `mem_unit`, a step of disk is a gigabyte.
//! The service's `pose` turns topologies and plans into this form, never this module.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The price list of the objective. The defaults are those of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The same, if the tier has `max_node` 1.
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

/// Index of a tier in [`Instance::tiers`].
pub type TierIx = usize;

/// What VMs have and containers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Processor.
    Cpu,
    /// Memory.
    Mem,
    /// Disk.
    Disk,
    /// Graphics processors.
    Gpus,
}

impl Resource {
    /// All of them, in the order in which the solver counts them.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Mem, Self::Disk, Self::Gpus];

    /// The fewest steps that a container has.
    #[must_use]
    pub const fn least(self) -> u32 {
        match self {
            Self::Cpu | Self::Mem => 1,
            Self::Disk | Self::Gpus => 0,
        }
    }
}

/// An amount of every resource, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount {
    /// Cpu steps (one core in cpuset mode, 0.01 core in quota mode).
    pub cpu: u32,
    /// Memory units.
    pub mem: u32,
    /// Gigabytes of disk.
    pub disk: u32,
    /// Graphics processors.
    pub gpus: u32,
}

impl Amount {
    /// An amount of `cpu` steps and `mem` units, and of nothing else.
    #[must_use]
    pub const fn new(cpu: u32, mem: u32) -> Self {
        Self {
            cpu,
            mem,
            disk: 0,
            gpus: 0,
        }
    }

    /// The part that is of one resource.
    #[must_use]
    pub const fn of(self, resource: Resource) -> u32 {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Mem => self.mem,
            Resource::Disk => self.disk,
            Resource::Gpus => self.gpus,
        }
    }

    /// Sets the part that is of one resource.
    pub const fn set(&mut self, resource: Resource, steps: u32) {
        match resource {
            Resource::Cpu => self.cpu = steps,
            Resource::Mem => self.mem = steps,
            Resource::Disk => self.disk = steps,
            Resource::Gpus => self.gpus = steps,
        }
    }

    /// The same with another part of one resource.
    #[must_use]
    pub const fn with(mut self, resource: Resource, steps: u32) -> Self {
        self.set(resource, steps);
        self
    }

    /// Whether all parts are zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.cpu == 0 && self.mem == 0 && self.disk == 0 && self.gpus == 0
    }

    /// Most containers that it can be divided over, by its steps.
    #[must_use]
    pub fn most_parts(self) -> u32 {
        let least = |resource: &Resource| resource.least() > 0;
        let parts = Resource::ALL
            .into_iter()
            .filter(least)
            .map(|resource| self.of(resource));
        parts.min().unwrap_or(0)
    }
}

/// Transport protocol of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port that a tier's containers publish on the VM they run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Port number on the VM.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address bound on the VM; `None` binds every address.
    pub address: Option<IpAddr>,
}

/// A value for every existing VM and for every shape of new ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerVm<T> {
    /// For each of [`Instance::vms`].
    pub vms: Vec<T>,
    /// For each of [`Instance::shapes`].
    pub shapes: Vec<T>,
}

/// Conditions that tiers may have on their VMs. Tiers with the same rules share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Where the tier may be; `None`: anywhere.
    pub allowed: Option<Arc<PerVm<bool>>>,
    /// Failure domains, each of which may have one container of the tier; a VM without a domain may
    /// have none. `None`: each VM is a domain of its own.
    pub domains: Option<Arc<PerVm<Option<u32>>>>,
    /// How much each VM is disliked, at most [`MOST_DISLIKED`]. This decides among placements with
    /// equal cost and equally many actions. `None`: all VMs are equal.
    pub dislikes: Option<Arc<PerVm<u32>>>,
}

/// Most that a VM can be disliked.
pub const MOST_DISLIKED: u32 = 100;

/// A tier to place: a total demand, freely divisible between its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Flat name, for explanations only.
    pub name: String,
    /// Total over all containers. A tier whose demand is zero in all parts is not placed at all.
    pub demand: Amount,
    /// Fewest VMs that the tier may be on; 0 and 1 mean the same.
    pub min_node: u32,
    /// Most VMs that the tier may be on.
    pub max_node: Option<u32>,
    /// Host ports that each of its containers publishes.
    pub ports: BTreeSet<HostPort>,
    /// Its conditions on VMs.
    pub rules: Rules,
}

/// A VM that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Name, for explanations only.
    pub name: String,
    /// What it has in all.
    pub capacity: Amount,
    /// Containers on it, of tiers in the instance, at most one for each tier.
    pub held: Vec<(TierIx, Amount)>,
    /// Whether it is not in use yet: using it then costs as much as a new VM, and leaving it alone
    /// costs nothing.
    pub spare: bool,
    /// Whether it takes nothing new: containers on it may stay, be resized within what they now
    /// hold together, or be removed.
    pub cordoned: bool,
}

impl Vm {
    /// What it costs when it is used, and when it is not.
    #[must_use]
    pub fn prices(&self, weights: &Weights) -> (u32, u32) {
        if self.spare {
            (weights.vm_create, 0)
        } else {
            (weights.vm_use, weights.vm_delete)
        }
    }
}

/// A kind of VM that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Name, for explanations only.
    pub name: String,
    /// What such a VM has in all.
    pub capacity: Amount,
    /// The cost of a used one, if that is not `vm_create`.
    pub price: Option<u32>,
    /// Most of them, if that is less than [`Instance::max_new`].
    pub max: Option<u32>,
}

impl Shape {
    /// A VM of this size at the usual price, as many as there may be.
    #[must_use]
    pub const fn of(capacity: Amount) -> Self {
        Self {
            name: String::new(),
            capacity,
            price: None,
            max: None,
        }
    }

    /// What one costs.
    #[must_use]
    pub fn price(&self, weights: &Weights) -> u32 {
        self.price.unwrap_or(weights.vm_create)
    }
}

/// One placement question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Tiers of the plan.
    pub tiers: Vec<Tier>,
    /// VMs that exist.
    pub vms: Vec<Vm>,
    /// The shapes of VMs that are still to be made.
    pub shapes: Vec<Shape>,
    /// How many VMs can still be made, of all shapes together; `None` is as many as wanted.
    pub max_new: Option<u32>,
    /// Most VMs in use, existing and new together.
    pub max_vms: Option<u32>,
    /// Fewest VMs, with containers or without; or as many as there can be, if that is less. If
    /// there are several shapes, those made with nothing on them are of the cheapest one that has
    /// no `max`, and spares are not taken into use for that.
    pub min_vms: u32,
    /// Prices.
    pub weights: Weights,
    /// Hundredths of a core in one cpu step, for explanations only.
    pub cpu_step: u32,
    /// Whether a plan that asks for the current totals may be answered with "nothing changes".
    /// Not if containers of tiers that the plan no longer has are to be removed.
    pub may_stay: bool,
}

impl Instance {
    /// What an existing VM can give: if it is cordoned, no more than it holds of the plan's tiers.
    #[must_use]
    pub fn room(&self, vm: &Vm) -> Amount {
        if !vm.cordoned {
            return vm.capacity;
        }
        let wanted = |tier: TierIx| self.tiers.get(tier).is_some_and(|t| !t.demand.is_zero());
        let mut tiers = BTreeSet::new();
        let mut held = vm.held.clone();
        held.retain(|h| wanted(h.0) && tiers.insert(h.0));
        let mut room = vm.capacity;
        for resource in Resource::ALL {
            let sizes = held.iter().map(|(_, amount)| amount.of(resource));
            let sum = sizes.fold(0, u32::saturating_add);
            room.set(resource, sum.min(vm.capacity.of(resource)));
        }
        room
    }

    /// Number of VMs that may still be made, whatever is deleted: `max_new` and `max_vms` together.
    #[must_use]
    pub fn new_vm_limit(&self) -> Option<u32> {
        match (self.max_new, self.max_vms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
