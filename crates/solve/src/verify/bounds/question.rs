//! What all bounds need of a question.

use std::collections::BTreeSet;

use crate::instance::{Amount, Instance, Resource, Tier, Vm, Weights};

/// How many resources there are.
pub const RESOURCES: usize = Resource::ALL.len();

/// A question with what all its bounds need.
pub struct Question<'a> {
    pub instance: &'a Instance,
    pub weights: &'a Weights,
    /// Tiers with demand: position, tier, containers that exist.
    pub tiers: Vec<(usize, &'a Tier, u64)>,
    /// What can be made: shapes on which a container fits.
    pub shapes: Vec<Made>,
    /// Existing VMs by size in each resource, the largest first, summed up.
    pub sums: [Vec<u64>; RESOURCES],
    /// What each existing VM has to give.
    pub rooms: Vec<Amount>,
    /// All VMs there can be by size in each resource, the largest first: size and number.
    pub sizes: [Vec<(u64, u64)>; RESOURCES],
    /// Most new VMs.
    pub news: u64,
}

/// A shape of which VMs can be made.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// Its position among all shapes.
    pub at: usize,
    /// What one has.
    pub capacity: Amount,
    /// What one costs.
    pub price: i64,
    /// Most of them.
    pub most: u64,
}

/// What an existing VM has to give: where it is cordoned, no more than what it holds of the plan's tiers.
fn room_of(instance: &Instance, vm: &Vm) -> Amount {
    if !vm.cordoned {
        return vm.capacity;
    }
    let mut seen = BTreeSet::new();
    let placed = |tier: usize| instance.tiers.get(tier).is_some_and(|t| !t.demand.is_zero());
    let held: Vec<Amount> = vm
        .held
        .iter()
        .filter(|(tier, _)| placed(*tier) && seen.insert(*tier))
        .map(|held| held.1)
        .collect();
    let mut room = vm.capacity;
    for resource in Resource::ALL {
        let sum: u64 = held.iter().map(|amount| u64::from(amount.of(resource))).sum();
        let sum = u32::try_from(sum).unwrap_or(u32::MAX);
        room.set(resource, sum.min(vm.capacity.of(resource)));
    }
    room
}

/// VMs by size in one resource, the largest first, and how many there are of each. `at` says whether an existing
/// VM, or a shape, counts, and in which failure domain it is: of each domain, only the largest counts, once.
fn sizes_of(
    rooms: &[Amount],
    shapes: &[Made],
    r: Resource,
    at: impl Fn(bool, usize) -> Option<Option<u32>>,
) -> Vec<(u64, u64)> {
    let existing = rooms.iter().enumerate();
    let existing = existing.filter_map(|(v, room)| Some((part(*room, r), 1, at(true, v)?)));
    let new = shapes.iter();
    let new = new.filter_map(|shape| Some((part(shape.capacity, r), shape.most, at(false, shape.at)?)));
    let mut sizes: Vec<(u64, u64, Option<u32>)> = existing.chain(new).filter(|s| s.0 > 0).collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.0));
    let mut seen = BTreeSet::new();
    sizes
        .into_iter()
        .filter_map(|(size, many, domain)| match domain {
            None => Some((size, many)),
            Some(domain) => seen.insert(domain).then_some((size, 1)),
        })
        .collect()
}

/// The part of an amount that is of one resource.
pub const fn part(amount: Amount, r: Resource) -> u64 {
    amount.of(r) as u64
}

impl<'a> Question<'a> {
    /// Counts it.
    pub(super) fn new(instance: &'a Instance) -> Self {
        let mut held = vec![0u64; instance.tiers.len()];
        for vm in &instance.vms {
            let mut tiers: Vec<usize> = vm.held.iter().map(|h| h.0).collect();
            tiers.sort_unstable();
            tiers.dedup();
            for tier in tiers {
                if let Some(count) = held.get_mut(tier) {
                    *count += 1;
                }
            }
        }
        let rooms: Vec<Amount> = instance.vms.iter().map(|vm| room_of(instance, vm)).collect();
        let with_demand = instance.tiers.iter().zip(held).enumerate();
        let sums = Resource::ALL.map(|r| {
            let mut sizes: Vec<u64> = rooms.iter().map(|room| part(*room, r)).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let mut sums = vec![0];
            for size in sizes {
                sums.push(sums.last().copied().unwrap_or(0) + size);
            }
            sums
        });
        let limit = instance.new_vm_limit().map_or(u64::from(u32::MAX), u64::from);
        let shapes: Vec<Made> = instance
            .shapes
            .iter()
            .enumerate()
            .map(|(at, shape)| Made {
                at,
                capacity: shape.capacity,
                price: i64::from(shape.price.unwrap_or(instance.weights.vm_create)),
                most: shape.max.map_or(limit, |max| limit.min(u64::from(max))),
            })
            .filter(|shape| shape.capacity.most_parts() > 0 && shape.most > 0)
            .collect();
        let sizes = Resource::ALL.map(|r| sizes_of(&rooms, &shapes, r, |_, _| Some(None)));
        let news = shapes.iter().map(|shape| shape.most).sum::<u64>().min(limit);
        Self {
            shapes,
            sizes,
            rooms,
            instance,
            weights: &instance.weights,
            tiers: with_demand
                .filter(|(_, (tier, _))| !tier.demand.is_zero())
                .map(|(ix, (tier, held))| (ix, tier, held))
                .collect(),
            sums,
            news,
        }
    }

    pub(super) fn vms(&self) -> u64 {
        self.instance.vms.len() as u64
    }

    pub(super) const fn removal(&self, tier: &Tier) -> i64 {
        match tier.max_node {
            Some(1) => self.weights.container_delete_pinned as i64,
            _ => self.weights.container_delete as i64,
        }
    }

    /// What it costs to delete every VM and every container.
    pub(super) fn delete_all(&self) -> i64 {
        let containers: i64 = self
            .tiers
            .iter()
            .map(|(_, t, held)| self.removal(t) * *held as i64)
            .sum();
        containers + self.left_alone()
    }

    /// What it costs to use none of the VMs.
    pub(super) fn left_alone(&self) -> i64 {
        let vms = self
            .instance
            .vms
            .iter()
            .map(|vm| i64::from(vm.prices(self.weights).1));
        vms.sum()
    }

    /// What it costs to use each existing VM, relative to leaving it alone.
    pub(super) fn use_prices(&self) -> impl Iterator<Item = i64> {
        let prices = self.instance.vms.iter().map(|vm| vm.prices(self.weights));
        prices.map(|(used, left)| i64::from(used) - i64::from(left))
    }

    /// The largest VM there can be, in one resource.
    pub(super) fn largest(&self, r: Resource) -> u64 {
        let sizes = self.sizes.get(r as usize).and_then(|sizes| sizes.first());
        sizes.map_or(0, |size| size.0)
    }

    /// The sum of all demands.
    pub(super) fn demand(&self) -> [u64; RESOURCES] {
        Resource::ALL.map(|r| self.tiers.iter().map(|(_, t, _)| part(t.demand, r)).sum())
    }

    /// The VMs that a tier may be on, by size in one resource, of each failure domain the largest. `None`: any.
    pub(super) fn sizes_for(&self, tier: &Tier, r: Resource) -> Option<Vec<(u64, u64)>> {
        let (allowed, domains) = (tier.rules.allowed.as_deref(), tier.rules.domains.as_deref());
        if allowed.is_none() && domains.is_none() {
            return None;
        }
        let sizes = sizes_of(&self.rooms, &self.shapes, r, |existing, at| {
            let may = allowed.is_none_or(|all| {
                let list = if existing { &all.vms } else { &all.shapes };
                list.get(at).copied().unwrap_or(false)
            });
            let domain = domains.map(|all| {
                let list = if existing { &all.vms } else { &all.shapes };
                list.get(at).copied().flatten()
            });
            match domain {
                None => may.then_some(None),
                Some(None) => None,
                Some(known) => may.then_some(known),
            }
        });
        Some(sizes)
    }

    /// The most new VMs that a placement can use: each has a container.
    pub(super) fn most_news(&self) -> u64 {
        let containers = self.tiers.iter().map(|(_, t, _)| {
            let steps = t.demand.most_parts();
            u64::from(t.max_node.unwrap_or(u32::MAX).min(steps))
        });
        self.news.min(containers.sum())
    }
}
