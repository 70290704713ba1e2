//! The dependency graph of tiers.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::TierId;

use super::Tier;

/// All tiers, each after the tiers that it depends on; ties by flat name. Tiers on a cycle, which
/// a valid topology has none of, come last.
pub fn dependencies_first(tiers: &BTreeMap<TierId, Tier>) -> Vec<&Tier> {
    let mut done: BTreeSet<&TierId> = BTreeSet::new();
    let mut order = Vec::with_capacity(tiers.len());
    let mut waiting: Vec<&Tier> = tiers.values().collect();
    loop {
        let (ready, rest): (Vec<&Tier>, Vec<&Tier>) = waiting.into_iter().partition(|tier| {
            tier.depends_on
                .iter()
                .all(|id| done.contains(id) || !tiers.contains_key(id))
        });
        if ready.is_empty() {
            order.extend(rest);
            return order;
        }
        done.extend(ready.iter().map(|tier| &tier.id));
        order.extend(ready);
        waiting = rest;
    }
}

/// The members of each cycle, in order, once each.
pub fn cycles(tiers: &BTreeMap<TierId, Tier>) -> Vec<Vec<TierId>> {
    let mut finished: BTreeSet<&TierId> = BTreeSet::new();
    let mut found = Vec::new();
    for start in tiers.keys() {
        // The way from `start` to where we are, each with the dependencies still to look at. A
        // loop instead of recursion: depth is the author's choice, the stack is ours.
        let mut way: Vec<(&TierId, std::slice::Iter<'_, TierId>)> = Vec::new();
        let mut next = Some(start);
        loop {
            if let Some(id) = next.take() {
                if let Some(begin) = way.iter().position(|(on_way, _)| *on_way == id) {
                    found.push(
                        way.iter()
                            .skip(begin)
                            .map(|(member, _)| (*member).clone())
                            .collect(),
                    );
                } else if let Some(tier) = tiers.get(id)
                    && !finished.contains(id)
                {
                    way.push((&tier.id, tier.depends_on.iter()));
                }
            }
            let Some((here, rest)) = way.last_mut() else { break };
            match rest.next() {
                Some(id) => next = Some(id),
                None => {
                    finished.insert(here);
                    way.pop();
                }
            }
        }
    }
    found
}
