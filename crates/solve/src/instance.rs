//! One placement question in whole numbers, and nothing else.
//!
//! The solver's own vocabulary: tiers with a total demand, VMs with a capacity, and what runs on
//! them now. It knows no names of clouds or engines and no units: a cpu step is one core in
//! cpuset mode and 0.01 core in quota mode, a memory step is one `mem_unit`. Turning topologies
//! and plans into this form is the job of the service's `pose`, never of this module.

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

/// Index of a tier in [`Instance::tiers`].
pub type TierIx = usize;

/// An amount of both resources, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount {
    /// Cpu steps (one core in cpuset mode, 0.01 core in quota mode).
    pub cpu: u32,
    /// Memory units.
    pub mem: u32,
}

impl Amount {
    /// An amount of `cpu` steps and `mem` units.
    #[must_use]
    pub const fn new(cpu: u32, mem: u32) -> Self {
        Self { cpu, mem }
    }

    /// Whether both parts are zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.cpu == 0 && self.mem == 0
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

/// Something said of every VM that exists and of every shape of new ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerVm<T> {
    /// Of each of [`Instance::vms`].
    pub vms: Vec<T>,
    /// Of each of [`Instance::shapes`].
    pub shapes: Vec<T>,
}

/// What tiers may ask of the VMs that they are on. Tiers of the same rules share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Where the tier may be; `None`: anywhere.
    pub allowed: Option<Arc<PerVm<bool>>>,
    /// Failure domains, of which each may have one container of the tier; a VM without one none. `None`: a
    /// VM is a domain of its own.
    pub domains: Option<Arc<PerVm<Option<u32>>>>,
    /// How unwelcome each VM is, at most [`MOST_DISLIKED`]. It decides among placements of equal cost and
    /// equally many actions. `None`: all are equally welcome.
    pub dislikes: Option<Arc<PerVm<u32>>>,
}

/// Most that a VM can be disliked.
pub const MOST_DISLIKED: u32 = 100;

/// A tier to place: a total demand, freely divisible between its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Flat name, for explanations only.
    pub name: String,
    /// Total over all containers. A tier whose demand is zero in both parts is not placed at all.
    pub demand: Amount,
    /// Fewest VMs that the tier may be on; 0 and 1 mean the same.
    pub min_node: u32,
    /// Most VMs that the tier may be on.
    pub max_node: Option<u32>,
    /// Host ports that each of its containers publishes.
    pub ports: BTreeSet<HostPort>,
    /// What it asks of VMs.
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
    /// Whether it takes nothing new: containers on it may stay, be resized within what they hold together
    /// now, or go.
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
    /// What one costs that is used, where that is not `vm_create`.
    pub price: Option<u32>,
    /// Most of them, where that is less than [`Instance::max_new`].
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
    /// What VMs still to be made can be like.
    pub shapes: Vec<Shape>,
    /// How many VMs can still be made, of all shapes together; `None` is as many as wanted.
    pub max_new: Option<u32>,
    /// Most VMs in use, existing and new together.
    pub max_vms: Option<u32>,
    /// Fewest VMs, with containers or without; as many as there can be, where that is less. Where there are
    /// several shapes, those made with nothing on them are of the cheapest one that has no `max`, and spares
    /// are not taken into use for that.
    pub min_vms: u32,
    /// Prices.
    pub weights: Weights,
    /// Hundredths of a core in one cpu step, for explanations only.
    pub cpu_step: u32,
    /// Whether a plan that asks for the current totals may be answered with "nothing changes".
    /// Not so when containers of tiers that the plan no longer has are to go.
    pub may_stay: bool,
}

impl Instance {
    /// What an existing VM has to give: where it is cordoned, no more than it holds of the plan's tiers.
    #[must_use]
    pub fn room(&self, vm: &Vm) -> Amount {
        if !vm.cordoned {
            return vm.capacity;
        }
        let wanted = |tier: TierIx| self.tiers.get(tier).is_some_and(|t| !t.demand.is_zero());
        let mut tiers = BTreeSet::new();
        let mut held = vm.held.clone();
        held.retain(|h| wanted(h.0) && tiers.insert(h.0));
        let sum = held.iter().fold(Amount::default(), |sum, (_, amount)| Amount {
            cpu: sum.cpu.saturating_add(amount.cpu),
            mem: sum.mem.saturating_add(amount.mem),
        });
        Amount {
            cpu: sum.cpu.min(vm.capacity.cpu),
            mem: sum.mem.min(vm.capacity.mem),
        }
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
