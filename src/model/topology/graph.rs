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
