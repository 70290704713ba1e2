//! From a question to the form that the search works on.

#![allow(clippy::indexing_slicing)] // indices are made by this module

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Item, Kind, Problem, VM_CAP};
use crate::conflicts::Conflicts;
use crate::idle::Idle;
use crate::instance::Instance;
use crate::resources::{LEAST, NOTHING, RESOURCES, within};
use crate::rules::Rule;

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
            items.push(Item {
                tier,
                demand: spec.demand.into(),
                min_nodes: spec.min_node.max(1) as usize,
                max_nodes: spec.max_node.unwrap_or(u32::MAX).min(spec.demand.most_parts()) as usize,
                keep_cost: i64::from(weights.container_set) - i64::from(delete),
                held_on: Vec::new(),
                rule: Rule::new(&spec.rules, &shapes),
                port: None,
                waste: NOTHING,
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
                    here.push((item, amount.into()));
                    items[item].held_on.push(vm);
                    base_cost += i64::from(weights.container_set) - items[item].keep_cost;
                }
            }
            here.sort_unstable();
            held.push(here);
        }
        let existing = instance.vms.iter().map(|vm| instance.room(vm).into()).collect();
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
            sum: NOTHING,
            asked: Vec::new(),
            conflicts,
            idle: Idle::default(),
        };
        problem.idle = problem.idle_rule(instance);
        problem.sum = problem.total();
        problem.asked = (0..RESOURCES)
            .filter(|&r| LEAST[r] > 0 || problem.sum[r] > 0)
            .collect();
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
}

/// The shapes on which a container fits, and of which one may be made.
fn kinds(instance: &Instance, limit: usize) -> Vec<Kind> {
    let shapes = instance.shapes.iter().enumerate();
    shapes
        .map(|(shape, spec)| Kind {
            shape,
            capacity: spec.capacity.into(),
            cost: i64::from(spec.price(&instance.weights)),
            max: spec.max.map_or(limit, |max| limit.min(max as usize)),
        })
        .filter(|kind| within(LEAST, kind.capacity) && kind.max > 0)
        .collect()
}
