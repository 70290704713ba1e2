//! Between the model and the solver: a plan becomes an instance, an answer becomes a target
//! allocation.
//!
//! Nothing else that concerns placement knows topologies, names and units, and nothing in here
//! decides about placement.

use std::collections::BTreeMap;

use super::conditions::Conditions;
use super::{Amount, Answer, HostPort, Instance, Protocol, Rules, Shape, Tier, Vm, VmRef, Weights};
use crate::model::topology::{self, Protocol as PortProtocol};
use crate::model::{self, Allocation, Cpu, Plan, Size, TierId, Topology, VmId};

/// How an instance's numbers map back to names and units.
#[derive(Debug, Clone)]
pub struct Posed {
    /// The question.
    pub instance: Instance,
    tiers: Vec<TierId>,
    vms: Vec<VmId>,
    spares: BTreeMap<VmId, model::Vm>,
    shapes: Vec<topology::Shape>,
    /// How many of the solver's price steps make one of the topology's.
    unit: u64,
    /// Hundredths of a core in one cpu step.
    step: u64,
}

/// Why a plan cannot be posed as a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoseError {
    /// A tier of the plan is not in the topology.
    #[error("{0} is in the plan but not in the topology")]
    UnknownTier(TierId),
    /// An amount that is not a whole number of steps, or too large to count.
    #[error("{what} holds {}, which cannot be counted in the topology's steps", size.in_words(" and "))]
    Uncountable {
        /// Tier or VM.
        what: String,
        /// What it holds.
        size: Size,
    },
    /// A price that is too high to be counted beside the others.
    #[error(
        "shape {shape}: vm_create times its price is too high to count beside prices with decimals; \
         give lower weights, or prices with fewer decimals"
    )]
    TooDear {
        /// Name of the shape.
        shape: String,
    },
}

/// Poses the question of carrying `plan` out from `allocation`.
///
/// `spares` are VMs that could be taken into use and have less room than a new VM, because of what
/// others run there. `max_new` is how many more VMs can still be made or taken into use (`None`: no
/// limit); `max_vms` limits the VMs in use, together with the topology's own `max_vms`.
/// `conditions` are further conditions of tiers and VMs; cordoned spares are left out.
pub fn pose(
    topology: &Topology,
    allocation: &Allocation,
    spares: &BTreeMap<VmId, model::Vm>,
    plan: &Plan,
    max_new: Option<u32>,
    max_vms: Option<u32>,
    conditions: &Conditions,
) -> Result<Posed, PoseError> {
    let infrastructure = &topology.infrastructure;
    let step = infrastructure.cpu_mode.step();
    let mut tiers = Vec::new();
    let mut names = Vec::new();
    let mut index = BTreeMap::new();
    for (id, size) in &plan.tiers {
        if *size == Size::ZERO {
            continue;
        }
        let spec = topology
            .tiers
            .get(id)
            .ok_or_else(|| PoseError::UnknownTier(id.clone()))?;
        index.insert(id, tiers.len());
        names.push(id.clone());
        tiers.push(Tier {
            name: id.to_string(),
            demand: amount(*size, step).ok_or_else(|| uncountable(id, *size))?,
            min_node: spec.min_node,
            max_node: spec.max_node,
            ports: spec.ports.iter().map(host_port).collect(),
            rules: Rules::default(),
        });
    }
    let mut vms = Vec::new();
    let mut vm_names = Vec::new();
    let mut may_stay = true;
    for (name, vm) in &allocation.vms {
        let mut held = Vec::new();
        for (id, container) in &vm.used {
            match index.get(id) {
                Some(&tier) => {
                    // A container that is not in whole steps (made under another cpu mode) counts
                    // as resized in any case.
                    let now = amount(container.size, step).unwrap_or_default();
                    held.push((tier, now));
                }
                None => may_stay = false,
            }
        }
        vms.push(Vm {
            name: name.to_string(),
            capacity: room(vm.room(), step).ok_or_else(|| uncountable(name, vm.capacity))?,
            held,
            spare: false,
            cordoned: conditions.cordoned.contains(name),
        });
        vm_names.push(name.clone());
    }
    for (name, vm) in spares
        .iter()
        .filter(|spare| !conditions.cordoned.contains(spare.0))
    {
        vms.push(Vm {
            name: name.to_string(),
            capacity: room(vm.room(), step).ok_or_else(|| uncountable(name, vm.capacity))?,
            held: Vec::new(),
            spare: true,
            cordoned: false,
        });
        vm_names.push(name.clone());
    }
    let kinds = infrastructure.kinds();
    let rules = conditions.rules(names.iter(), &vm_names, &kinds);
    for (tier, rules) in tiers.iter_mut().zip(rules) {
        tier.rules = rules;
    }
    let unit = unit(&kinds, infrastructure.weights.vm_create);
    let shapes = kinds
        .iter()
        .map(|kind| shape(kind, infrastructure.weights.vm_create, unit, step))
        .collect::<Result<_, _>>()?;
    let max_vms = match (infrastructure.max_vms, max_vms) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Ok(Posed {
        instance: Instance {
            tiers,
            vms,
            shapes,
            max_new,
            max_vms,
            min_vms: infrastructure.min_vms,
            weights: weights(infrastructure.weights, unit),
            cpu_step: u32::try_from(step).unwrap_or(100),
            may_stay,
        },
        tiers: names,
        vms: vm_names,
        spares: spares.clone(),
        shapes: kinds,
        unit,
        step,
    })
}

/// The finest unit in which every kind has a whole price: the number of parts that `vm_create` is
/// divided into.
fn unit(kinds: &[topology::Shape], vm_create: u32) -> u64 {
    let whole = |unit: u64| {
        let mut prices = kinds.iter().map(|kind| thousandths(kind, vm_create) * unit);
        prices.all(|price| price.is_multiple_of(1_000))
    };
    [1, 10, 100]
        .into_iter()
        .find(|&unit| whole(unit))
        .unwrap_or(1_000)
}

/// The price of a VM of a kind, in thousandths of `vm_create`.
fn thousandths(kind: &topology::Shape, vm_create: u32) -> u64 {
    u64::from(vm_create) * u64::from(kind.price.thousandths)
}

fn shape(kind: &topology::Shape, vm_create: u32, unit: u64, step: u64) -> Result<Shape, PoseError> {
    let what = if kind.name.is_empty() {
        "infrastructure".to_owned()
    } else {
        format!("shape {}", kind.name)
    };
    let price =
        u32::try_from(thousandths(kind, vm_create) * unit / 1_000).map_err(|_| PoseError::TooDear {
            shape: kind.name.clone(),
        })?;
    Ok(Shape {
        name: kind.name.clone(),
        capacity: room(kind.size, step).ok_or_else(|| uncountable(what, kind.size))?,
        price: (kind.price != topology::Price::ONE).then_some(price),
        max: kind.max,
    })
}

fn weights(given: topology::Weights, unit: u64) -> Weights {
    // Weights are at most a million, and there are at most a thousand steps for one.
    let scaled = |weight: u32| u32::try_from(u64::from(weight) * unit).unwrap_or(u32::MAX);
    Weights {
        vm_create: scaled(given.vm_create),
        vm_use: scaled(given.vm_use),
        vm_delete: scaled(given.vm_delete),
        container_create: scaled(given.container_create),
        container_set: scaled(given.container_set),
        container_delete: scaled(given.container_delete),
        container_delete_pinned: scaled(given.container_delete_pinned),
    }
}

impl Posed {
    /// How many of the solver's price steps make one of the topology's.
    #[must_use]
    pub const fn unit(&self) -> u64 {
        self.unit
    }

    /// A VM of a kind that is still to be made.
    fn new_vm(&self, shape: usize) -> model::Vm {
        let size = self.shapes.get(shape).map_or(Size::ZERO, |shape| shape.size);
        model::Vm::empty(None, size)
    }

    /// The allocation that `answer` asks for. `new_name` names the k-th VM to be made, which has no
    /// address yet. VMs in use keep address and capacity. VMs that are to be deleted are left out,
    /// unless the answer is that nothing changes. No hook is owed in it: hooks that are owed now
    /// are run on the way, whatever else changes.
    pub fn target(
        &self,
        answer: &Answer,
        current: &Allocation,
        mut new_name: impl FnMut(usize) -> VmId,
    ) -> Allocation {
        if answer.unchanged {
            return current.clone().owing_nothing();
        }
        let mut target = Allocation::default();
        let known = |name: &VmId| current.vms.get(name).or(self.spares.get(name));
        for idle in &answer.idle {
            let (name, vm) = match idle {
                VmRef::New { number, shape } => (new_name(*number), self.new_vm(*shape)),
                VmRef::Existing(v) => {
                    let Some((name, vm)) = self.vms.get(*v).and_then(|name| Some((name, known(name)?)))
                    else {
                        continue;
                    };
                    (name.clone(), vm.emptied())
                }
            };
            target.vms.insert(name, vm);
        }
        for placed in &answer.placement {
            let (name, before, made) = match placed.vm {
                VmRef::New { number, shape } => (new_name(number), None, self.new_vm(shape)),
                VmRef::Existing(v) => {
                    let Some(name) = self.vms.get(v) else { continue };
                    let Some(known) = known(name) else { continue };
                    (name.clone(), Some(known), known.emptied())
                }
            };
            let mut vm = made;
            for &(tier, amount) in &placed.containers {
                let Some(id) = self.tiers.get(tier) else { continue };
                let size = Size {
                    cpu: Cpu::hundredths(u64::from(amount.cpu) * self.step),
                    mem: u64::from(amount.mem),
                    disk_gb: u64::from(amount.disk),
                    gpus: u64::from(amount.gpus),
                };
                // A container that is not resized keeps exactly the cores that it has.
                let kept = before.and_then(|b| b.used.get(id)).filter(|c| c.size == size);
                vm.used
                    .insert(id.clone(), kept.cloned().unwrap_or_else(|| size.into()));
            }
            target.vms.insert(name, vm);
        }
        target.owing_nothing()
    }
}

/// A size in steps, if it is a whole number of them.
fn amount(size: Size, step: u64) -> Option<Amount> {
    let cpu = size.cpu.in_hundredths();
    cpu.is_multiple_of(step).then_some(())?;
    room(size, step)
}

/// A capacity in steps, rounded down.
fn room(size: Size, step: u64) -> Option<Amount> {
    Some(Amount {
        cpu: u32::try_from(size.cpu.in_hundredths() / step).ok()?,
        mem: u32::try_from(size.mem).ok()?,
        disk: u32::try_from(size.disk_gb).ok()?,
        gpus: u32::try_from(size.gpus).ok()?,
    })
}

fn uncountable(what: impl ToString, size: Size) -> PoseError {
    PoseError::Uncountable {
        what: what.to_string(),
        size,
    }
}

fn host_port(binding: &model::topology::PortBinding) -> HostPort {
    HostPort {
        port: binding.host,
        protocol: match binding.protocol {
            PortProtocol::Tcp => Protocol::Tcp,
            PortProtocol::Udp => Protocol::Udp,
            PortProtocol::Sctp => Protocol::Sctp,
        },
        // 0.0.0.0 and :: bind every address too.
        address: binding.address.filter(|a| !a.is_unspecified()),
    }
}
