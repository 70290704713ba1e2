//! What each tier's containers cost at least, and what goes to waste.

use super::question::{Question, part};
use crate::instance::{Resource, Tier};

/// More VMs than there can be: a tier that is not held by all of them is on no fewer.
const NEVER: u64 = 1_000_000;

impl Question<'_> {
    /// Fewest VMs that a tier can be on: as many of the largest ones as its demand fills.
    pub(super) fn fewest(&self, tier: &Tier) -> u64 {
        Resource::ALL
            .into_iter()
            .fold(u64::from(tier.min_node.max(1)), |most, r| {
                let mut left = part(tier.demand, r);
                let mut count = 0u64;
                let own = self.sizes_for(tier, r);
                let sizes = own
                    .as_deref()
                    .or_else(|| self.sizes.get(r as usize).map(Vec::as_slice));
                for &(size, many) in sizes.unwrap_or_default() {
                    if left == 0 {
                        break;
                    }
                    let taken = left.div_ceil(size).min(many);
                    left = left.saturating_sub(size.saturating_mul(taken));
                    count += taken;
                }
                most.max(if left > 0 { NEVER } else { count })
            })
    }

    /// The least that the containers of one tier cost, those removed included.
    pub(super) fn containers(&self, tier: &Tier, held: u64) -> i64 {
        let fewest = self.fewest(tier);
        let price = |count: u64, kept: u64| {
            kept as i64 * i64::from(self.weights.container_set)
                + (count - kept) as i64 * i64::from(self.weights.container_create)
                + (held - kept) as i64 * self.removal(tier)
        };
        let steps = tier.demand.most_parts();
        let most = u64::from(tier.max_node.unwrap_or(u32::MAX).min(steps));
        [fewest, held.min(most).max(fewest)]
            .into_iter()
            .flat_map(|count| [price(count, 0), price(count, count.min(held))])
            .min()
            .unwrap_or(0)
    }

    /// What goes to waste in resource `r` of VMs that a tier fills in one of which every container has some, where it is
    /// on as few as it can be; the largest first.
    pub(super) fn wastes(&self, r: Resource) -> Vec<u64> {
        let fulls = Resource::ALL
            .into_iter()
            .filter(|&full| full != r && full.least() > 0);
        let beside: Vec<(Resource, u64, u64)> = fulls
            .map(|full| {
                let largest = self.largest(full);
                let new = self.shapes.iter().map(|shape| shape.capacity);
                let as_large = self
                    .rooms
                    .iter()
                    .copied()
                    .chain(new)
                    .filter(|c| part(*c, full) == largest);
                (full, largest, as_large.map(|c| part(c, r)).min().unwrap_or(0))
            })
            .collect();
        let waste = |tier: &Tier| {
            let count = self.fewest(tier);
            let each = beside.iter().map(|&(full, largest, least)| {
                let fills = count.checked_mul(largest) == Some(part(tier.demand, full));
                let room = if fills { count * least } else { 0 };
                room.saturating_sub(part(tier.demand, r))
            });
            each.max().unwrap_or(0)
        };
        let wastes = self.tiers.iter().map(|(_, tier, _)| waste(tier));
        let mut wastes: Vec<u64> = wastes.filter(|&waste| waste > 0).collect();
        wastes.sort_unstable_by(|a, b| b.cmp(a));
        wastes
    }

    /// The least that all containers cost.
    pub(super) fn all_containers(&self) -> i64 {
        let tiers = self.tiers.iter();
        tiers.map(|(_, t, held)| self.containers(t, *held)).sum()
    }
}
