//! What each tier needs on its own: how many containers it must have, and what then goes to waste.

#![allow(clippy::indexing_slicing)] // items and resources are those of the problem

use std::collections::{BTreeMap, BTreeSet};

use super::{Item, Problem, VM_CAP};
use crate::resources::{Amounts, LEAST, NOTHING, RESOURCES};
use crate::rules::{Origin, Rule};

/// Sizes of one resource, the largest first, and how many VMs have that much.
type Sizes = Vec<(i64, usize)>;

impl Problem {
    /// A tier needs at least as many containers as the largest VMs that together hold its demand; of each
    /// failure domain, one.
    pub(super) fn raise_min_nodes(&mut self) {
        let all = self.every_size(None);
        // Tiers that share a rule share what it leaves.
        let mut known: BTreeMap<_, Vec<Sizes>> = BTreeMap::new();
        for item in &self.items {
            if item.rule.restricts() {
                let own = known.entry(item.rule.key());
                own.or_insert_with(|| self.every_size(Some(&item.rule)));
            }
        }
        let least = |item: &Item| {
            let sizes = known.get(&item.rule.key()).filter(|_| item.rule.restricts());
            let sizes = sizes.unwrap_or(&all).iter().zip(&self.asked);
            sizes.map(|(sizes, &r)| fewest(sizes, item.demand[r])).max()
        };
        let least: Vec<Option<usize>> = self.items.iter().map(least).collect();
        for (item, least) in self.items.iter_mut().zip(least) {
            item.min_nodes = item.min_nodes.max(least.unwrap_or(0));
        }
    }

    /// The sizes in each resource that is asked for.
    fn every_size(&self, rule: Option<&Rule>) -> Vec<Sizes> {
        self.asked.iter().map(|&r| self.sizes(r, rule)).collect()
    }

    /// How much VMs have of one resource, the largest first, and how many have that much; only the
    /// VMs on which a rule allows a tier.
    fn sizes(&self, dim: usize, rule: Option<&Rule>) -> Sizes {
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

    /// If a tier's demand is exactly `min_nodes` of the largest VMs in a resource of which every
    /// container has some, nobody can use what those VMs have of the others, unless the tier is on
    /// one VM more.
    pub(super) fn find_waste(&mut self) {
        for full in (0..RESOURCES).filter(|&r| LEAST[r] > 0) {
            let Some((largest, beside)) = self.beside_largest(full) else {
                return;
            };
            for it in &mut self.items {
                let n = it.min_nodes as i64;
                if n >= VM_CAP as i64 || it.demand[full] != n * largest {
                    continue;
                }
                for other in (0..RESOURCES).filter(|&r| r != full) {
                    let waste = n * beside[other] - it.demand[other];
                    it.waste[other] = it.waste[other].max(waste);
                }
            }
        }
    }

    /// The most of a resource that one VM has, and the least that VMs which have as much have of the others.
    fn beside_largest(&self, full: usize) -> Option<(i64, Amounts)> {
        let new = self.kinds.iter().filter(|_| self.max_new > 0);
        let shapes = self.existing.iter().copied().chain(new.map(|kind| kind.capacity));
        let largest = shapes
            .clone()
            .map(|has| has[full])
            .max()
            .filter(|&most| most > 0)?;
        let beside = shapes
            .filter(|has| has[full] == largest)
            .reduce(crate::resources::smaller);
        Some((largest, beside.unwrap_or(NOTHING)))
    }
}

/// Fewest VMs whose sizes add up to `demand`, the largest first. A result above the number of VMs
/// means that even all are not enough.
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
