//! The independent checker: constraints and objective, computed again from instance and answer
//! alone.
//!
//! It must share no code with the search (only the two data types), so that a mistake there can't
//! hide here. It uses plain loops and maps.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::answer::{PlacedVm, VmRef};
use super::evidence::Prover;
use super::instance::{Amount, Instance, PerVm, Protocol, Resource};

mod bounds;

pub use bounds::certified;

/// A promise that a placement, or a bound, breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The same VM is listed twice.
    #[error("VM {0:?} is listed twice")]
    DuplicateVm(VmRef),
    /// A VM or tier that the instance does not have, or a gap in the numbers of new VMs.
    #[error("VM {0:?} or one of its tiers is not part of the question")]
    Unknown(VmRef),
    /// A VM in use without containers.
    #[error("VM {0:?} is in use but empty")]
    EmptyVm(VmRef),
    /// A tier twice on one VM.
    #[error("tier {tier} is twice on VM {vm:?}")]
    DuplicateContainer {
        /// Where.
        vm: VmRef,
        /// Which tier.
        tier: usize,
    },
    /// A container without cpu or without memory.
    #[error("the container of tier {tier} on VM {vm:?} lacks cpu or memory")]
    HollowContainer {
        /// Where.
        vm: VmRef,
        /// Which tier.
        tier: usize,
    },
    /// More on a VM than it has.
    #[error("VM {0:?} holds more than it has")]
    OverCapacity(VmRef),
    /// Two tiers that publish the same host port share a VM.
    #[error("tiers {first} and {second} publish the same port on VM {vm:?}")]
    PortConflict {
        /// Where.
        vm: VmRef,
        /// Lower tier index.
        first: usize,
        /// Higher tier index.
        second: usize,
    },
    /// A tier is where it may not be.
    #[error("tier {tier} may not be on VM {vm:?}")]
    NotAllowed {
        /// Where.
        vm: VmRef,
        /// Which tier.
        tier: usize,
    },
    /// A tier has two containers in one failure domain.
    #[error("tier {tier} has more than one container in failure domain {domain}")]
    SameDomain {
        /// Which tier.
        tier: usize,
        /// Which domain.
        domain: u32,
    },
    /// A VM that takes nothing new holds more than it did.
    #[error("VM {0:?} is cordoned, but holds more than before")]
    Cordoned(VmRef),
    /// A tier's containers do not add up to its demand.
    #[error("tier {0} is not given exactly what it demands")]
    WrongTotal(usize),
    /// A tier is on too few or too many VMs.
    #[error("tier {tier} is on {nodes} VMs, outside its limits")]
    Spread {
        /// Which tier.
        tier: usize,
        /// On how many VMs.
        nodes: usize,
    },
    /// More VMs, or more new VMs, than allowed.
    #[error("{0} VMs are used, more than allowed")]
    TooManyVms(usize),
    /// Fewer VMs than there must be.
    #[error("{0} VMs are kept, fewer than there have to be")]
    TooFewVms(usize),
    /// The stated objective or bound is wrong.
    #[error("the stated objective {stated} is not the true one {true_one}")]
    WrongObjective {
        /// What the answer says.
        stated: u64,
        /// What the checker found.
        true_one: u64,
    },
    /// The bound does not follow from the evidence of its method.
    #[error("the bound does not follow from what {} says proves it", .by.as_str())]
    BoundUnfounded {
        /// The method.
        by: Prover,
    },
    /// The bound is above the objective.
    #[error("the bound {bound} is above the objective {objective}")]
    BoundAboveObjective {
        /// Stated bound.
        bound: u64,
        /// Stated objective.
        objective: u64,
    },
}

/// Checks every constraint and returns the true cost of a placement, and of VMs kept with nothing
/// on them.
pub fn cost_of(instance: &Instance, placement: &[PlacedVm], idle: &[VmRef]) -> Result<u64, Violation> {
    let mut seen = BTreeSet::new();
    let mut totals: BTreeMap<usize, ([u64; 4], usize)> = BTreeMap::new();
    let mut made: BTreeMap<usize, usize> = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    for placed in placement {
        let vm = placed.vm;
        if !seen.insert(vm) {
            return Err(Violation::DuplicateVm(vm));
        }
        let capacity = match vm {
            VmRef::Existing(ix) => instance.vms.get(ix).ok_or(Violation::Unknown(vm))?.capacity,
            VmRef::New { number, shape } => {
                *made.entry(shape).or_default() += 1;
                numbers.insert(number);
                instance.shapes.get(shape).ok_or(Violation::Unknown(vm))?.capacity
            }
        };
        check_vm(instance, placed, capacity)?;
        for &(tier, amount) in &placed.containers {
            let entry = totals.entry(tier).or_default();
            for (sum, resource) in entry.0.iter_mut().zip(Resource::ALL) {
                *sum += u64::from(amount.of(resource));
            }
            entry.1 += 1;
        }
    }
    for &vm in idle {
        if !seen.insert(vm) {
            return Err(Violation::DuplicateVm(vm));
        }
        match vm {
            VmRef::Existing(ix) if ix >= instance.vms.len() => return Err(Violation::Unknown(vm)),
            VmRef::New { shape, .. } if shape >= instance.shapes.len() => return Err(Violation::Unknown(vm)),
            VmRef::Existing(_) => {}
            VmRef::New { number, shape } => {
                *made.entry(shape).or_default() += 1;
                numbers.insert(number);
            }
        }
    }
    let new_vms: usize = made.values().sum();
    // Each number from 0 on once.
    if numbers.len() != new_vms || numbers.iter().copied().ne(0..new_vms) {
        let shape = 0;
        return Err(Violation::Unknown(VmRef::New {
            number: new_vms,
            shape,
        }));
    }
    check_rules(instance, placement)?;
    let over = |limit: Option<u32>, n: usize| limit.is_some_and(|l| n > l as usize);
    if over(instance.max_vms, placement.len()) {
        return Err(Violation::TooManyVms(placement.len()));
    }
    if over(instance.max_new, new_vms) {
        return Err(Violation::TooManyVms(new_vms));
    }
    for (shape, &count) in &made {
        if over(instance.shapes.get(*shape).and_then(|s| s.max), count) {
            return Err(Violation::TooManyVms(count));
        }
    }
    let there_can_be = instance
        .max_new
        .map_or(u64::MAX, |n| u64::from(n) + instance.vms.len() as u64);
    let least = u64::from(instance.min_vms)
        .min(there_can_be)
        .min(instance.max_vms.map_or(u64::MAX, u64::from));
    if (seen.len() as u64) < least {
        return Err(Violation::TooFewVms(seen.len()));
    }
    for (ix, tier) in instance.tiers.iter().enumerate() {
        let (sums, nodes) = totals.get(&ix).copied().unwrap_or_default();
        if sums != Resource::ALL.map(|resource| u64::from(tier.demand.of(resource))) {
            return Err(Violation::WrongTotal(ix));
        }
        if tier.demand.is_zero() {
            continue;
        }
        let too_many = tier.max_node.is_some_and(|max| nodes > max as usize);
        if nodes < tier.min_node.max(1) as usize || too_many {
            return Err(Violation::Spread { tier: ix, nodes });
        }
    }
    Ok(price(instance, placement, idle))
}

/// Whether every container is where it may be.
fn check_rules(instance: &Instance, placement: &[PlacedVm]) -> Result<(), Violation> {
    let mut domains = BTreeSet::new();
    for placed in placement {
        let vm = placed.vm;
        let existing = match vm {
            VmRef::Existing(ix) => instance.vms.get(ix),
            VmRef::New { .. } => None,
        };
        for &(tier, _) in &placed.containers {
            let rules = &instance.tiers.get(tier).ok_or(Violation::Unknown(vm))?.rules;
            if let Some(allowed) = &rules.allowed
                && said_of(allowed, vm) != Some(true)
            {
                return Err(Violation::NotAllowed { vm, tier });
            }
            if let Some(all) = &rules.domains {
                let Some(domain) = said_of(all, vm).flatten() else {
                    return Err(Violation::NotAllowed { vm, tier });
                };
                if !domains.insert((tier, domain)) {
                    return Err(Violation::SameDomain { tier, domain });
                }
            }
            if existing.is_some_and(|spec| spec.cordoned && spec.held.iter().all(|h| h.0 != tier)) {
                return Err(Violation::NotAllowed { vm, tier });
            }
        }
        if let Some(spec) = existing.filter(|spec| spec.cordoned) {
            let sum = |resource: Resource, amounts: &[(usize, Amount)]| {
                let placed = |tier: usize| instance.tiers.get(tier).is_some_and(|t| !t.demand.is_zero());
                let amounts = amounts.iter().filter(|a| placed(a.0));
                amounts.map(|a| u64::from(a.1.of(resource))).sum::<u64>()
            };
            let more = |resource| sum(resource, &placed.containers) > sum(resource, &spec.held);
            if Resource::ALL.into_iter().any(more) {
                return Err(Violation::Cordoned(vm));
            }
        }
    }
    Ok(())
}

/// The rule's value for a VM.
fn said_of<T: Copy>(all: &PerVm<T>, vm: VmRef) -> Option<T> {
    match vm {
        VmRef::Existing(ix) => all.vms.get(ix).copied(),
        VmRef::New { shape, .. } => all.shapes.get(shape).copied(),
    }
}

/// An address that a port is published on, where it is not every one, and the tier that does.
type Published = (Option<IpAddr>, usize);

fn check_vm(instance: &Instance, placed: &PlacedVm, capacity: Amount) -> Result<(), Violation> {
    let vm = placed.vm;
    if placed.containers.is_empty() {
        return Err(Violation::EmptyVm(vm));
    }
    let mut sums = [0u64; 4];
    let mut seen = BTreeSet::new();
    let mut published: BTreeMap<(u16, Protocol), Vec<Published>> = BTreeMap::new();
    for &(tier, amount) in &placed.containers {
        let spec = instance.tiers.get(tier).ok_or(Violation::Unknown(vm))?;
        if amount.cpu == 0 || amount.mem == 0 {
            return Err(Violation::HollowContainer { vm, tier });
        }
        if !seen.insert(tier) {
            return Err(Violation::DuplicateContainer { vm, tier });
        }
        for (sum, resource) in sums.iter_mut().zip(Resource::ALL) {
            *sum += u64::from(amount.of(resource));
        }
        for port in &spec.ports {
            let others = published.entry((port.port, port.protocol)).or_default();
            // No address means every address.
            let same =
                |theirs: Option<IpAddr>| theirs == port.address || theirs.is_none() || port.address.is_none();
            if let Some(&(_, other)) = others.iter().find(|o| o.1 != tier && same(o.0)) {
                return Err(Violation::PortConflict {
                    vm,
                    first: tier.min(other),
                    second: tier.max(other),
                });
            }
            others.push((port.address, tier));
        }
    }
    let mut all = sums.into_iter().zip(Resource::ALL);
    if all.any(|(sum, resource)| sum > u64::from(capacity.of(resource))) {
        return Err(Violation::OverCapacity(vm));
    }
    Ok(())
}

/// The weighted sum of contract section 5.
fn price(instance: &Instance, placement: &[PlacedVm], idle: &[VmRef]) -> u64 {
    let w = &instance.weights;
    let mut used: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut total = 0u64;
    let made = |shape: usize| {
        let price = instance.shapes.get(shape).and_then(|s| s.price);
        u64::from(price.unwrap_or(w.vm_create))
    };
    for placed in placement {
        let tiers: BTreeSet<usize> = placed.containers.iter().map(|&(t, _)| t).collect();
        match placed.vm {
            VmRef::New { shape, .. } => {
                total += made(shape);
                total += u64::from(w.container_create) * tiers.len() as u64;
            }
            VmRef::Existing(ix) => {
                used.insert(ix, tiers);
            }
        }
    }
    for vm in idle {
        match vm {
            VmRef::New { shape, .. } => total += made(*shape),
            VmRef::Existing(ix) => {
                used.insert(*ix, BTreeSet::new());
            }
        }
    }
    for (ix, vm) in instance.vms.iter().enumerate() {
        let held: BTreeSet<usize> = vm.held.iter().map(|&(t, _)| t).collect();
        let now = used.get(&ix);
        total += u64::from(match (vm.spare, now.is_some()) {
            (false, true) => w.vm_use,
            (false, false) => w.vm_delete,
            (true, true) => w.vm_create,
            (true, false) => 0,
        });
        let nothing = BTreeSet::new();
        let now = now.unwrap_or(&nothing);
        for tier in held.difference(now) {
            let dropped = instance.tiers.get(*tier).is_none_or(|t| t.demand.is_zero());
            let pinned = instance.tiers.get(*tier).is_some_and(|t| t.max_node == Some(1));
            total += u64::from(match (dropped, pinned) {
                (true, _) => 0,
                (false, true) => w.container_delete_pinned,
                (false, false) => w.container_delete,
            });
        }
        total += u64::from(w.container_set) * held.intersection(now).count() as u64;
        total += u64::from(w.container_create) * now.difference(&held).count() as u64;
    }
    total
}

/// A bound is false if a placement costs less.
pub fn bound_holds(objective: u64, bound: u64) -> Result<(), Violation> {
    if bound > objective {
        return Err(Violation::BoundAboveObjective { bound, objective });
    }
    Ok(())
}
