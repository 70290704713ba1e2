//! The instance in the form the search works on: signed sums, relative prices, lookups.
//!
//! Prices are taken relative to "everything that exists is deleted", which is a constant
//! ([`Problem::base_cost`]); what is left is a price for each VM used and each container
//! placed, and a container that exists already is merely a cheaper one. Tiers without demand
//! are left out here. Nothing is searched for in this module.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // indices are made by this module and checked in `new`

use std::collections::BTreeSet;
use std::sync::Arc;

use super::conflicts::Conflicts;
use super::idle::Idle;
use super::instance::{Instance, TierIx};

/// Both resources, cpu first, wide enough for any sum of `u32`.
pub type Pair = [i64; 2];

/// A tier as the search sees it.
#[derive(Debug, Clone)]
pub struct Item {
    /// Index in the instance.
    pub tier: TierIx,
    /// Total demand.
    pub demand: Pair,
    /// Fewest containers that can hold the demand or that `min_node` asks for.
    pub min_nodes: usize,
    /// Most containers: `max_node`, and never more than one for each step of demand.
    pub max_nodes: usize,
    /// Price of keeping a container that exists, relative to removing it.
    pub keep_cost: i64,
    /// Existing VMs that hold a container of it, ascending.
    pub held_on: Vec<usize>,
    /// Its position in [`Problem::conflicts`]; `None` if it publishes no port.
    pub port: Option<u32>,
    /// What goes to waste, of each resource, when it is on `min_nodes` VMs and fills them in the
    /// other resource to the last step: nothing else can then use those VMs.
    pub waste: Pair,
}

/// The prepared instance.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Tiers with demand, in instance order.
    pub items: Vec<Item>,
    /// Capacities of the existing VMs.
    pub existing: Vec<Pair>,
    /// What each existing VM holds now: (item, amount), ascending by item.
    pub held: Vec<Vec<(usize, Pair)>>,
    /// Shape of a new VM.
    pub new_vm: Pair,
    /// Most new VMs that may be used.
    pub max_new: usize,
    /// Most VMs that may be used.
    pub max_vms: usize,
    /// Price of a new VM used.
    pub new_cost: i64,
    /// Price of each existing VM used, relative to leaving it.
    pub use_costs: Vec<i64>,
    /// The least of them.
    pub use_cost: i64,
    /// Which existing VMs are not in use yet, so that taking one into use is like making one.
    pub spare: Vec<bool>,
    /// Price of a container that does not exist yet.
    pub create_cost: i64,
    /// Price of a container that is kept at another size. Nothing, except where actions are counted.
    pub resize_cost: i64,
    /// Cost of an empty placement.
    pub base_cost: i64,
    /// Sum of all demands.
    pub sum: Pair,
    /// Who publishes the same host port.
    pub conflicts: Arc<Conflicts>,
    /// VMs kept without containers.
    pub idle: Idle,
}

/// Sums of prices that count actions stay below this, far from overflow.
const MOST_COUNTED: i64 = i64::MAX / 64;

/// More VMs than this are not planned for; the memory of the search is bounded by it.
pub const VM_CAP: usize = 200_000;

impl Problem {
    /// Prepares an instance. Containers of tiers without demand are dropped with their price.
    #[must_use]
    pub fn new(instance: &Instance) -> Self {
        let weights = &instance.weights;
        let mut item_of = vec![None; instance.tiers.len()];
        let mut items = Vec::new();
        for (tier, spec) in instance.tiers.iter().enumerate() {
            if spec.demand.is_zero() {
                continue;
            }
            item_of[tier] = Some(items.len());
            let pinned = spec.max_node == Some(1);
            let delete = if pinned {
                weights.container_delete_pinned
            } else {
                weights.container_delete
            };
            let steps = spec.demand.cpu.min(spec.demand.mem);
            items.push(Item {
                tier,
                demand: [i64::from(spec.demand.cpu), i64::from(spec.demand.mem)],
                min_nodes: spec.min_node.max(1) as usize,
                max_nodes: spec.max_node.unwrap_or(u32::MAX).min(steps) as usize,
                keep_cost: i64::from(weights.container_set) - i64::from(delete),
                held_on: Vec::new(),
                port: None,
                waste: [0, 0],
            });
        }
        let mut ports = Vec::new();
        for item in &mut items {
            let published = &instance.tiers[item.tier].ports;
            if !published.is_empty() {
                item.port = u32::try_from(ports.len()).ok();
                ports.push(published);
            }
        }
        let conflicts = Arc::new(Conflicts::new(&ports));
        let prices = instance.vms.iter().map(|vm| vm.prices(weights));
        let mut base_cost: i64 = prices.clone().map(|(_, left)| i64::from(left)).sum();
        let use_costs: Vec<i64> = prices
            .map(|(used, left)| i64::from(used) - i64::from(left))
            .collect();
        let least = use_costs.iter().min().copied();
        let mut held = Vec::with_capacity(instance.vms.len());
        for (vm, spec) in instance.vms.iter().enumerate() {
            let mut seen = BTreeSet::new();
            let mut here = Vec::new();
            for &(tier, amount) in &spec.held {
                let Some(item) = item_of.get(tier).copied().flatten() else {
                    continue;
                };
                if seen.insert(item) {
                    here.push((item, [i64::from(amount.cpu), i64::from(amount.mem)]));
                    items[item].held_on.push(vm);
                    base_cost += i64::from(weights.container_set) - items[item].keep_cost;
                }
            }
            here.sort_unstable();
            held.push(here);
        }
        let limit = instance.new_vm_limit().map_or(VM_CAP, |n| n as usize).min(VM_CAP);
        let new_vm = [i64::from(instance.new_vm.cpu), i64::from(instance.new_vm.mem)];
        let mut problem = Self {
            items,
            existing: instance
                .vms
                .iter()
                .map(|v| [i64::from(v.capacity.cpu), i64::from(v.capacity.mem)])
                .collect(),
            held,
            new_vm,
            max_new: if new_vm[0] > 0 && new_vm[1] > 0 { limit } else { 0 },
            max_vms: instance.max_vms.map_or(usize::MAX, |n| n as usize),
            new_cost: i64::from(weights.vm_create),
            use_cost: least.unwrap_or(i64::from(weights.vm_use) - i64::from(weights.vm_delete)),
            use_costs,
            spare: instance.vms.iter().map(|vm| vm.spare).collect(),
            create_cost: i64::from(weights.container_create),
            resize_cost: 0,
            base_cost,
            sum: [0, 0],
            conflicts,
            idle: Idle::default(),
        };
        let spares = problem.spare.iter().filter(|&&spare| spare).count();
        problem.idle = Idle {
            least: (instance.min_vms as usize).min(problem.max_vms),
            standing: problem.existing.len() - spares,
            spares,
            max_new: problem.max_new,
            use_cost: i64::from(weights.vm_use) - i64::from(weights.vm_delete),
            new_cost: problem.new_cost,
        };
        problem.sum = problem.total();
        problem.raise_min_nodes();
        problem.find_waste();
        problem
    }

    /// The same question at other prices: `scale` times each price, and one for each action, so that among
    /// placements of equal price the one with fewer actions is cheaper. `None` where the price of so many
    /// `places` could overflow.
    ///
    /// As prices are, actions are counted relative to deleting every VM and removing every container.
    #[must_use]
    pub fn counting_actions(&self, scale: i64, places: usize) -> Option<Self> {
        let single = [
            self.new_cost,
            self.create_cost,
            self.idle.use_cost,
            self.idle.new_cost,
        ];
        let keeps = self.items.iter().map(|it| it.keep_cost);
        let all = single
            .into_iter()
            .chain(keeps)
            .chain(self.use_costs.iter().copied());
        let dearest = all.map(i64::abs).max().unwrap_or(0).saturating_add(1);
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        if scale.saturating_mul(dearest).saturating_mul(places) > MOST_COUNTED {
            return None;
        }
        let priced = |price: i64, action: i64| price * scale + action;
        let mut counting = self.clone();
        for (price, &spare) in counting.use_costs.iter_mut().zip(&self.spare) {
            *price = priced(*price, if spare { 1 } else { -1 });
        }
        counting.use_cost = match counting.use_costs.iter().min() {
            Some(&least) => least,
            None => priced(self.use_cost, -1),
        };
        counting.new_cost = priced(self.new_cost, 1);
        counting.create_cost = priced(self.create_cost, 1);
        counting.resize_cost = 1;
        for it in &mut counting.items {
            it.keep_cost = priced(it.keep_cost, -1);
        }
        counting.idle.use_cost = priced(self.idle.use_cost, -1);
        counting.idle.new_cost = priced(self.idle.new_cost, 1);
        Some(counting)
    }

    /// Limits and prices without tiers and VMs. How many VMs there must be is a matter of the whole.
    #[must_use]
    pub fn shape(&self) -> Self {
        Self {
            idle: Idle::default(),
            items: Vec::new(),
            existing: Vec::new(),
            use_costs: Vec::new(),
            spare: Vec::new(),
            held: Vec::new(),
            conflicts: Arc::clone(&self.conflicts),
            ..*self
        }
    }

    /// A tier needs at least as many containers as the largest VMs that together hold its demand.
    fn raise_min_nodes(&mut self) {
        let prefix = |dim: usize| {
            let mut sizes: Vec<i64> = self.existing.iter().map(|c| c[dim]).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            sizes
        };
        let sorted = [prefix(0), prefix(1)];
        for item in &mut self.items {
            for dim in 0..2 {
                let n = fewest(&sorted[dim], self.new_vm[dim], self.max_new, item.demand[dim]);
                item.min_nodes = item.min_nodes.max(n);
            }
        }
    }

    /// A tier whose demand is exactly `min_nodes` of the largest VMs in one resource leaves what
    /// those VMs have of the other to nobody, unless it is on one VM more.
    fn find_waste(&mut self) {
        let shapes = || {
            let new = (self.max_new > 0).then_some(self.new_vm);
            self.existing.iter().copied().chain(new)
        };
        for full in 0..2 {
            let other = 1 - full;
            let Some(largest) = shapes().map(|c| c[full]).max().filter(|&c| c > 0) else {
                return;
            };
            let least = shapes()
                .filter(|c| c[full] == largest)
                .map(|c| c[other])
                .min()
                .unwrap_or(0);
            let waste: Vec<i64> = self
                .items
                .iter()
                .map(|it| {
                    let n = it.min_nodes as i64;
                    let exact = n < VM_CAP as i64 && it.demand[full] == n * largest;
                    if exact {
                        (n * least - it.demand[other]).max(0)
                    } else {
                        0
                    }
                })
                .collect();
            for (it, waste) in self.items.iter_mut().zip(waste) {
                it.waste[other] = waste;
            }
        }
    }

    /// Price of one container of `item` on `vm` (`None`: a new VM).
    #[must_use]
    pub fn container_cost(&self, item: usize, vm: Option<usize>) -> i64 {
        let it = &self.items[item];
        match vm {
            Some(v) if it.held_on.binary_search(&v).is_ok() => it.keep_cost,
            _ => self.create_cost,
        }
    }

    /// Least price of any container that exists, or of a new one.
    #[must_use]
    pub fn least_keep(&self) -> i64 {
        let held = self.items.iter().filter(|it| !it.held_on.is_empty());
        held.map(|it| it.keep_cost).min().unwrap_or(self.create_cost)
    }

    /// Price of using `vm` (`None`: a new VM).
    #[must_use]
    pub fn vm_cost(&self, vm: Option<usize>) -> i64 {
        vm.map_or(self.new_cost, |v| self.use_costs[v])
    }

    /// Whether using `vm` (`None`: a new VM) means to take one more into use.
    #[must_use]
    pub fn is_fresh(&self, vm: Option<usize>) -> bool {
        vm.is_none_or(|v| self.spare[v])
    }

    /// Capacity of `vm` (`None`: a new VM).
    #[must_use]
    pub fn capacity(&self, vm: Option<usize>) -> Pair {
        vm.map_or(self.new_vm, |v| self.existing[v])
    }

    /// Whether two tiers publish the same host port.
    #[must_use]
    pub fn conflict(&self, a: usize, b: usize) -> bool {
        match (self.items[a].port, self.items[b].port) {
            (Some(a), Some(b)) => self.conflicts.between(a as usize, b as usize),
            _ => false,
        }
    }

    /// The other items among `items`, by position, that publish a port of the one at `at`.
    #[must_use]
    pub fn conflicting(&self, items: &[usize], at: usize) -> Vec<usize> {
        if self.items[items[at]].port.is_none() {
            return Vec::new();
        }
        (0..items.len())
            .filter(|&other| self.conflict(items[at], items[other]))
            .collect()
    }

    /// Sum of all demands.
    #[must_use]
    pub fn total(&self) -> Pair {
        self.items
            .iter()
            .fold([0, 0], |acc, it| [acc[0] + it.demand[0], acc[1] + it.demand[1]])
    }
}

/// Fewest VMs whose sizes add up to `demand`: the largest first, existing or new. More than
/// there are means that none do.
fn fewest(sorted: &[i64], new_size: i64, max_new: usize, demand: i64) -> usize {
    let mut left = demand;
    let mut count = 0usize;
    let larger = sorted.iter().take_while(|&&s| s >= new_size || max_new == 0);
    let mut taken = 0usize;
    for &size in larger {
        if left <= 0 {
            return count;
        }
        left -= size;
        count += 1;
        taken += 1;
    }
    if left > 0 && max_new > 0 && new_size > 0 {
        let wanted = (left + new_size - 1) / new_size;
        let news = usize::try_from(wanted).unwrap_or(usize::MAX).min(max_new);
        left -= new_size.saturating_mul(news as i64);
        count += news;
    }
    for &size in sorted.iter().skip(taken) {
        if left <= 0 {
            return count;
        }
        left -= size;
        count += 1;
    }
    if left > 0 {
        count.saturating_add(1).max(VM_CAP)
    } else {
        count
    }
}
