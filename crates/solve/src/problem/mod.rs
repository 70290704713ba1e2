//! The instance in the form the search works on: signed sums, relative prices, lookups.
//!
//! Prices are relative to "everything that exists is deleted", which is a constant
//! ([`Problem::base_cost`]). What is left is a price for each VM used and each container placed; a
//! container that already exists is just a cheaper one. Tiers without demand are left out here.
//! Nothing is searched for in this module.
//!
//! | part | what it does |
//! |---|---|
//! | `prepare` | makes a problem of a question |
//! | `least` | in how many containers each tier has to be, and what goes to waste then |
//! | `counting` | the same problem at prices that count actions |

#![allow(clippy::indexing_slicing)] // indices are made by this module and checked in `new`

use std::sync::Arc;

use super::conflicts::Conflicts;
use super::idle::Idle;
use super::instance::TierIx;
use super::resources::{Amounts, NOTHING, larger, sum};
use super::rules::{Origin, Rule};

mod counting;
mod least;
mod prepare;

/// A tier as the search sees it.
#[derive(Debug, Clone)]
pub struct Item {
    /// Index in the instance.
    pub tier: TierIx,
    /// Total demand.
    pub demand: Amounts,
    /// Fewest containers that can hold the demand or that `min_node` asks for.
    pub min_nodes: usize,
    /// Most containers: `max_node`, and never more than one for each step of demand.
    pub max_nodes: usize,
    /// Price of keeping a container that exists, relative to removing it.
    pub keep_cost: i64,
    /// Existing VMs that hold a container of it, ascending.
    pub held_on: Vec<usize>,
    /// Its conditions on VMs.
    pub rule: Rule,
    /// Its position in [`Problem::conflicts`]; `None` if it publishes no port.
    pub port: Option<u32>,
    /// What goes to waste, of each resource, when it is on `min_nodes` VMs and fills them in the
    /// other resource to the last step: nothing else can then use those VMs.
    pub waste: Amounts,
}

/// A kind of VM that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Index into [`Instance::shapes`].
    pub shape: usize,
    /// What such a VM has.
    pub capacity: Amounts,
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
    pub existing: Vec<Amounts>,
    /// What each existing VM holds now: (item, amount), ascending by item.
    pub held: Vec<Vec<(usize, Amounts)>>,
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
    /// Price of a container that is kept at another size; 0 unless actions are counted.
    pub resize_cost: i64,
    /// Price of each step of a VM's dislike for a container; 0 unless actions are counted.
    pub dislike_cost: i64,
    /// Cost of an empty placement.
    pub base_cost: i64,
    /// Sum of all demands.
    pub sum: Amounts,
    /// The resources that are asked for: those of which every container has some, and others that a tier wants.
    pub asked: Vec<usize>,
    /// Who publishes the same host port.
    pub conflicts: Arc<Conflicts>,
    /// VMs kept without containers.
    pub idle: Idle,
}

/// More VMs than this are not planned for; this limits the memory of the search.
pub const VM_CAP: usize = 200_000;

impl Problem {
    /// Limits and prices without tiers and VMs. How many VMs there must be concerns only the whole.
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
            asked: self.asked.clone(),
            conflicts: Arc::clone(&self.conflicts),
            ..*self
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

    /// How much a container of `item` is disliked on `vm`.
    #[must_use]
    pub fn dislike(&self, item: usize, vm: Origin) -> i64 {
        self.items[item].rule.dislike(vm)
    }

    /// The only kind of new VM, or one of which there are none; None if there are several.
    #[must_use]
    pub fn only_kind(&self) -> Option<Kind> {
        match self.kinds.as_slice() {
            [] => Some(Kind {
                shape: 0,
                capacity: NOTHING,
                cost: self.idle.new_cost,
                max: 0,
            }),
            [kind] => Some(*kind),
            _ => None,
        }
    }

    /// The most of each resource that a new VM has.
    #[must_use]
    pub fn largest_new(&self) -> Amounts {
        self.kinds.iter().map(|kind| kind.capacity).fold(NOTHING, larger)
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
    pub fn capacity(&self, vm: Origin) -> Amounts {
        match vm {
            Origin::Existing(v) => self.existing[v],
            Origin::New(k) => self.kinds[k].capacity,
        }
    }

    /// What `vm` holds now: (item, amount), ascending by item.
    #[must_use]
    pub fn held_by(&self, vm: Origin) -> &[(usize, Amounts)] {
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

    /// The two resources of which the most is asked for, counted in the most that one VM has, in order. Methods for two
    /// sizes overlook the others, which only makes their bounds lower.
    #[must_use]
    pub fn tightest(&self) -> [usize; 2] {
        let largest = self.existing.iter().copied().fold(self.largest_new(), larger);
        let share = |r: usize| self.sum[r].saturating_mul(1_000) / largest[r].max(1);
        let mut order = self.asked.clone();
        order.sort_by_key(|&r| std::cmp::Reverse(share(r)));
        let [a, b] = [0, 1].map(|nth| order.get(nth).copied().unwrap_or(nth));
        [a.min(b), a.max(b)]
    }

    /// Sum of all demands.
    #[must_use]
    pub fn total(&self) -> Amounts {
        sum(self.items.iter().map(|it| it.demand))
    }
}
