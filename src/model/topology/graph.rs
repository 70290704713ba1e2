//! The dependency graph of tiers.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::TierId;

use super::Tier;

/// All tiers, each after the tiers that it depends on; ties are broken by flat name. Tiers on a
/// cycle, which a valid topology does not have, come last.
pub fn dependencies_first(tiers: &BTreeMap<TierId, Tier>) -> Vec<&Tier> {
    let mut dependents: BTreeMap<&TierId, Vec<&Tier>> = BTreeMap::new();
    // How many dependencies of each are still to come.
    let mut open: BTreeMap<&TierId, usize> = BTreeMap::new();
    for tier in tiers.values() {
        let known = tier.depends_on.iter().filter(|id| tiers.contains_key(*id));
        let count = known
            .map(|id| dependents.entry(id).or_default().push(tier))
            .count();
        open.insert(&tier.id, count);
    }
    let mut order = Vec::with_capacity(tiers.len());
    let mut ready: Vec<&Tier> = tiers
        .values()
        .filter(|tier| open.get(&tier.id) == Some(&0))
        .collect();
    while !ready.is_empty() {
        let mut next = Vec::new();
        for dependent in ready.iter().flat_map(|tier| dependents.get(&tier.id)).flatten() {
            if let Some(count) = open.get_mut(&dependent.id) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    next.push(*dependent);
                }
            }
        }
        order.append(&mut ready);
        next.sort_unstable_by_key(|tier| &tier.id);
        ready = next;
    }
    let on_cycles = tiers
        .values()
        .filter(|tier| open.get(&tier.id).is_some_and(|count| *count > 0));
    order.extend(on_cycles);
    order
}

/// The members of each cycle, in order, once each.
pub fn cycles(tiers: &BTreeMap<TierId, Tier>) -> Vec<Vec<TierId>> {
    let mut finished: BTreeSet<&TierId> = BTreeSet::new();
    let mut found = Vec::new();
    for start in tiers.keys() {
        // The path from `start` to here, each tier with the dependencies still to look at. A loop
        // instead of recursion, because the author decides the depth, and the stack is limited.
        let mut way: Vec<(&TierId, std::slice::Iter<'_, TierId>)> = Vec::new();
        let mut places: BTreeMap<&TierId, usize> = BTreeMap::new();
        let mut next = Some(start);
        loop {
            if let Some(id) = next.take() {
                if let Some(begin) = places.get(id) {
                    found.push(
                        way.iter()
                            .skip(*begin)
                            .map(|(member, _)| (*member).clone())
                            .collect(),
                    );
                } else if let Some(tier) = tiers.get(id)
                    && !finished.contains(id)
                {
                    places.insert(&tier.id, way.len());
                    way.push((&tier.id, tier.depends_on.iter()));
                }
            }
            let Some((here, rest)) = way.last_mut() else { break };
            match rest.next() {
                Some(id) => next = Some(id),
                None => {
                    finished.insert(here);
                    places.remove(here);
                    way.pop();
                }
            }
        }
    }
    found
}
