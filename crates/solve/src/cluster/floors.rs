//! What a walk works out before it begins: the least prices of tiers and of VMs.

#![allow(clippy::indexing_slicing)] // sets are bounded by the number of VMs

use super::walk::NEVER;
use super::{Cluster, ClusterTier, Set};
use crate::options::resized;
use crate::resources::{Amounts, within};

/// The amounts of the first `R` resources.
pub fn first<const R: usize>(amounts: Amounts) -> [i64; R] {
    std::array::from_fn(|r| amounts[r])
}

/// The price of a tier on each VM alone.
pub fn alone_on(tier: &ClusterTier, resize_cost: i64) -> Vec<i64> {
    let prices = tier.cost.iter().enumerate();
    prices
        .map(|(v, &price)| match tier.may >> v & 1 {
            0 => NEVER,
            _ => price + resized(tier, 1 << v) as i64 * resize_cost,
        })
        .collect()
}

/// For each set of VMs used: the least price of VMs of any allowed superset that holds `total`.
pub fn vm_floor(cluster: &Cluster, k: usize, room: &[Amounts], total: Amounts) -> Vec<i64> {
    let sets = 1usize << k;
    let mut floor = vec![NEVER; sets];
    for (set, slot) in floor.iter_mut().enumerate() {
        let fits = within(total, room[set]);
        if fits && cluster.few_enough(set as Set) {
            *slot = cluster.vm_price(set as Set);
        }
    }
    // Supersets carry down to subsets one VM at a time.
    for v in 0..k {
        for set in 0..sets {
            if set >> v & 1 == 0 {
                floor[set] = floor[set].min(floor[set | 1 << v]);
            }
        }
    }
    floor
}
