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
use super::instance::{Amount, Instance, MOST_DISLIKED, TierIx};
use super::rules::{Origin, Rule};

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
    /// What it asks of VMs.
    pub rule: Rule,
    /// Its position in [`Problem::conflicts`]; `None` if it publishes no port.
    pub port: Option<u32>,
    /// What goes to waste, of each resource, when it is on `min_nodes` VMs and fills them in the
    /// other resource to the last step: nothing else can then use those VMs.
    pub waste: Pair,
}

/// A kind of VM that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Index into [`Instance::shapes`].
    pub shape: usize,
    /// What such a VM has.
    pub capacity: Pair,
    /// Price of one used.
    pub cost: i64,
    /// Most of them.
    pub max: usize,
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
    /// Kinds of new VMs: those on which a container fits.
    pub kinds: Vec<Kind>,
    /// Most new VMs that may be used, of all kinds together.
    pub max_new: usize,
    /// Most VMs that may be used.
    pub max_vms: usize,
    /// Price of each existing VM used, relative to leaving it.
    pub use_costs: Vec<i64>,
    /// The least of them.
    pub use_cost: i64,
    /// Which existing VMs are not in use yet, so that taking one into use is like making one.
    pub spare: Vec<bool>,
    /// Which existing VMs take nothing new.
    pub cordoned: Vec<bool>,
    /// Price of a container that does not exist yet.
    pub create_cost: i64,
    /// Price of a container that is kept at another size. Nothing, except where actions are counted.
    pub resize_cost: i64,
    /// Price of each step by which a container's VM is unwelcome. Nothing, except where actions are counted.
    pub dislike_cost: i64,
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
        let limit = instance.new_vm_limit().map_or(VM_CAP, |n| n as usize).min(VM_CAP);
        let kinds = kinds(instance, limit);
        let shapes: Vec<usize> = kinds.iter().map(|kind| kind.shape).collect();
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
                rule: Rule::new(&spec.rules, &shapes),
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
        let pair = |amount: Amount| [i64::from(amount.cpu), i64::from(amount.mem)];
        let existing = instance.vms.iter().map(|vm| pair(instance.room(vm))).collect();
        let most_new = kinds
            .iter()
            .fold(0usize, |sum, kind| sum.saturating_add(kind.max));
        let mut problem = Self {
            items,
            existing,
            held,
            kinds,
            max_new: limit.min(most_new),
            max_vms: instance.max_vms.map_or(usize::MAX, |n| n as usize),
            use_cost: least.unwrap_or(i64::from(weights.vm_use) - i64::from(weights.vm_delete)),
            use_costs,
            spare: instance.vms.iter().map(|vm| vm.spare).collect(),
            cordoned: instance.vms.iter().map(|vm| vm.cordoned).collect(),
            create_cost: i64::from(weights.container_create),
            resize_cost: 0,
            dislike_cost: 0,
            base_cost,
            sum: [0, 0],
            conflicts,
            idle: Idle::default(),
        };
        problem.idle = problem.idle_rule(instance);
        problem.sum = problem.total();
        problem.raise_min_nodes();
        problem.find_waste();
        problem
    }

    /// What VMs kept without containers cost.
    fn idle_rule(&self, instance: &Instance) -> Idle {
        let weights = &instance.weights;
        let spares = self.spare.iter().filter(|&&spare| spare).count();
        let mut idle = Idle {
            least: (instance.min_vms as usize).min(self.max_vms),
            standing: self.existing.len() - spares,
            spares,
            max_new: self.max_new,
            use_cost: i64::from(weights.vm_use) - i64::from(weights.vm_delete),
            new_cost: i64::from(weights.vm_create),
            kind: 0,
        };
        let usual = |kind: &Kind| kind.cost == idle.new_cost;
        if self.kinds.len() > 1 || !self.kinds.iter().all(usual) {
            // Those made with nothing on them are of one kind, of which there are always enough.
            let lasting = |shape: usize| instance.shapes.get(shape).is_some_and(|s| s.max.is_none());
            let kinds = self.kinds.iter().enumerate();
            let kind = kinds
                .filter(|(_, kind)| lasting(kind.shape))
                .min_by_key(|(at, kind)| (kind.cost, *at));
            idle.spares = 0;
            match kind {
                Some((at, kind)) => (idle.kind, idle.new_cost) = (at, kind.cost),
                None => idle.max_new = 0,
            }
        }
        idle
    }

    /// The same question at other prices: `scale` times each price, and one for each action, so that among
    /// placements of equal price the one with fewer actions is cheaper. `None` where the price of so many
    /// `places` could overflow.
    ///
    /// As prices are, actions are counted relative to deleting every VM and removing every container. An
    /// action counts for more than all containers can be unwelcome where they are.
    #[must_use]
    pub fn counting_actions(&self, scale: i64, places: usize) -> Option<Self> {
        let single = [self.create_cost, self.idle.use_cost, self.idle.new_cost];
        let keeps = self.items.iter().map(|it| it.keep_cost);
        let all = single
            .into_iter()
            .chain(keeps)
            .chain(self.kinds.iter().map(|kind| kind.cost))
            .chain(self.use_costs.iter().copied());
        let dearest = all.map(i64::abs).max().unwrap_or(0).saturating_add(1);
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        let fine = i64::from(MOST_DISLIKED).saturating_mul(places).saturating_add(1);
        let fits = |each: i64| {
            let most = scale
                .saturating_mul(each)
                .saturating_mul(dearest)
                .saturating_add(each);
            most.saturating_mul(places) <= MOST_COUNTED
        };
        let dislikes = self.items.iter().any(|it| it.rule.prefers()) && fits(fine);
        let each = if dislikes { fine } else { 1 };
        if !fits(each) {
            return None;
        }
        let scale = scale * each;
        let priced = |price: i64, actions: i64| price * scale + actions * each;
        let mut counting = self.clone();
        for (price, &spare) in counting.use_costs.iter_mut().zip(&self.spare) {
            *price = priced(*price, if spare { 1 } else { -1 });
        }
        counting.use_cost = match counting.use_costs.iter().min() {
            Some(&least) => least,
            None => priced(self.use_cost, -1),
        };
        for kind in &mut counting.kinds {
            kind.cost = priced(kind.cost, 1);
        }
        counting.create_cost = priced(self.create_cost, 1);
        counting.resize_cost = each;
        counting.dislike_cost = i64::from(dislikes);
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
            cordoned: Vec::new(),
            held: Vec::new(),
            kinds: self.kinds.clone(),
            conflicts: Arc::clone(&self.conflicts),
            ..*self
        }
    }

    /// A tier needs at least as many containers as the largest VMs that together hold its demand; of each
    /// failure domain, one.
    fn raise_min_nodes(&mut self) {
        let all = [0, 1].map(|dim| self.sizes(dim, None));
        let least: Vec<usize> = self
            .items
            .iter()
            .map(|item| {
                let own = item.rule.restricts().then_some(&item.rule);
                let least = |dim: usize| match own {
                    Some(rule) => fewest(&self.sizes(dim, Some(rule)), item.demand[dim]),
                    None => fewest(&all[dim], item.demand[dim]),
                };
                least(0).max(least(1))
            })
            .collect();
        for (item, least) in self.items.iter_mut().zip(least) {
            item.min_nodes = item.min_nodes.max(least);
        }
    }

    /// How much VMs have of one resource, the largest first, and how many have so much; only the VMs on
    /// which a rule lets a tier be.
    fn sizes(&self, dim: usize, rule: Option<&Rule>) -> Vec<(i64, usize)> {
        let existing = self
            .existing
            .iter()
            .enumerate()
            .map(|(v, c)| (Origin::Existing(v), c[dim], 1));
        let new = self
            .kinds
            .iter()
            .enumerate()
            .map(|(k, kind)| (Origin::New(k), kind.capacity[dim], kind.max.min(self.max_new)));
        let mut list: Vec<(Origin, i64, usize)> = existing.chain(new).collect();
        if let Some(rule) = rule {
            list.retain(|&(vm, ..)| rule.allows(vm));
        }
        list.sort_by_key(|&(_, size, _)| std::cmp::Reverse(size));
        if let Some(rule) = rule.filter(|rule| rule.spreads()) {
            let mut seen = BTreeSet::new();
            list.retain_mut(|(vm, _, count)| {
                *count = 1;
                seen.insert(rule.domain(*vm))
            });
        }
        list.into_iter().map(|(_, size, count)| (size, count)).collect()
    }

    /// A tier whose demand is exactly `min_nodes` of the largest VMs in one resource leaves what
    /// those VMs have of the other to nobody, unless it is on one VM more.
    fn find_waste(&mut self) {
        let shapes = || {
            let new = self.kinds.iter().filter(|_| self.max_new > 0);
            self.existing.iter().copied().chain(new.map(|kind| kind.capacity))
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

    /// Price of one container of `item` on `vm`.
    #[must_use]
    pub fn container_cost(&self, item: usize, vm: Origin) -> i64 {
        let it = &self.items[item];
        let price = match vm {
            Origin::Existing(v) if it.held_on.binary_search(&v).is_ok() => it.keep_cost,
            _ => self.create_cost,
        };
        match self.dislike_cost {
            0 => price,
            each => price + each * it.rule.dislike(vm),
        }
    }

    /// Whether `item` may be on `vm`, whatever else is there.
    #[must_use]
    pub fn allows(&self, item: usize, vm: Origin) -> bool {
        let it = &self.items[item];
        let shut = |v: usize| self.cordoned[v] && it.held_on.binary_search(&v).is_err();
        !vm.existing().is_some_and(shut) && (!it.rule.restricts() || it.rule.allows(vm))
    }

    /// How unwelcome a container of `item` is on `vm`.
    #[must_use]
    pub fn dislike(&self, item: usize, vm: Origin) -> i64 {
        self.items[item].rule.dislike(vm)
    }

    /// The one kind of new VM there is, or one of which there are none; not where there are several.
    #[must_use]
    pub fn only_kind(&self) -> Option<Kind> {
        match self.kinds.as_slice() {
            [] => Some(Kind {
                shape: 0,
                capacity: [0, 0],
                cost: self.idle.new_cost,
                max: 0,
            }),
            [kind] => Some(*kind),
            _ => None,
        }
    }

    /// The most of each resource that a new VM has.
    #[must_use]
    pub fn largest_new(&self) -> Pair {
        let sizes = self.kinds.iter().map(|kind| kind.capacity);
        sizes.fold([0, 0], |a, c| [a[0].max(c[0]), a[1].max(c[1])])
    }

    /// Least price of any container that exists, or of a new one.
    #[must_use]
    pub fn least_keep(&self) -> i64 {
        let held = self.items.iter().filter(|it| !it.held_on.is_empty());
        held.map(|it| it.keep_cost).min().unwrap_or(self.create_cost)
    }

    /// Price of using `vm`.
    #[must_use]
    pub fn vm_cost(&self, vm: Origin) -> i64 {
        match vm {
            Origin::Existing(v) => self.use_costs[v],
            Origin::New(k) => self.kinds[k].cost,
        }
    }

    /// Whether using `vm` means to take one more into use.
    #[must_use]
    pub fn is_fresh(&self, vm: Origin) -> bool {
        vm.existing().is_none_or(|v| self.spare[v])
    }

    /// Capacity of `vm`.
    #[must_use]
    pub fn capacity(&self, vm: Origin) -> Pair {
        match vm {
            Origin::Existing(v) => self.existing[v],
            Origin::New(k) => self.kinds[k].capacity,
        }
    }

    /// What `vm` holds now: (item, amount), ascending by item.
    #[must_use]
    pub fn held_by(&self, vm: Origin) -> &[(usize, Pair)] {
        vm.existing().map_or(&[], |v| &self.held[v])
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

/// The shapes on which a container fits, and of which one may be made.
fn kinds(instance: &Instance, limit: usize) -> Vec<Kind> {
    let shapes = instance.shapes.iter().enumerate();
    shapes
        .map(|(shape, spec)| Kind {
            shape,
            capacity: [i64::from(spec.capacity.cpu), i64::from(spec.capacity.mem)],
            cost: i64::from(spec.price(&instance.weights)),
            max: spec.max.map_or(limit, |max| limit.min(max as usize)),
        })
        .filter(|kind| kind.capacity[0] > 0 && kind.capacity[1] > 0 && kind.max > 0)
        .collect()
}

/// Fewest VMs whose sizes add up to `demand`: the largest first. More than there are means that none do.
fn fewest(sizes: &[(i64, usize)], demand: i64) -> usize {
    let mut left = demand;
    let mut count = 0usize;
    for &(size, many) in sizes {
        if left <= 0 {
            return count;
        }
        if size <= 0 {
            break;
        }
        let wanted = usize::try_from((left + size - 1) / size).unwrap_or(usize::MAX);
        let taken = wanted.min(many);
        left -= size.saturating_mul(taken as i64);
        count += taken;
    }
    if left > 0 {
        count.saturating_add(1).max(VM_CAP)
    } else {
        count
    }
}
