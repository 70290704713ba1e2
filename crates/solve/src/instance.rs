//! One placement question in whole numbers, and nothing else.
//!
//! The solver's own vocabulary: tiers with a total demand, VMs with a capacity, and what runs on
//! them now. It knows no names of clouds or engines and no units: a cpu step is one core in
//! cpuset mode and 0.01 core in quota mode, a memory step is one `mem_unit`. Turning topologies
//! and plans into this form is the job of the service's `pose`, never of this module.

use std::collections::BTreeSet;
use std::net::IpAddr;

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

/// One placement question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Tiers of the plan.
    pub tiers: Vec<Tier>,
    /// VMs that exist.
    pub vms: Vec<Vm>,
    /// Shape of a VM still to be made.
    pub new_vm: Amount,
    /// How many VMs can still be made; `None` is as many as wanted.
    pub max_new: Option<u32>,
    /// Most VMs in use, existing and new together.
    pub max_vms: Option<u32>,
    /// Fewest VMs, with containers or without; as many as there can be, where that is less.
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
    /// Number of VMs that may still be made, whatever is deleted: `max_new` and `max_vms` together.
    #[must_use]
    pub fn new_vm_limit(&self) -> Option<u32> {
        match (self.max_new, self.max_vms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
