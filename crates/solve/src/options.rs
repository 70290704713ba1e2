//! The sets of VMs that one tier of a cluster can be on, with their prices.
//!
//! It looks at each tier alone, as if the VMs were empty.

#![allow(clippy::indexing_slicing)] // VMs are bounded by the list that is gone through

use super::cluster::{Cluster, ClusterTier, ClusterVm, MAX_VMS};
use super::loads::{Set, bits};
use super::meter::Meter;
use super::resources::{Amounts, LEAST, NOTHING, RESOURCES, plus, sum, within};

/// Least price of a tier, regardless of sizes: the cheapest VMs, as many as it must be on, and more
/// if that pays off.
#[must_use]
pub fn floor_of(tier: &ClusterTier) -> i64 {
    let prices = tier.cost.iter().enumerate();
    let mut prices: Vec<i64> = prices
        .filter(|(v, _)| tier.may >> v & 1 == 1)
        .map(|(_, &price)| price)
        .collect();
    prices.sort_unstable();
    let forced: i64 = prices.iter().take(tier.min).sum();
    let paid: i64 = prices.iter().skip(tier.min).filter(|&&p| p < 0).sum();
    forced + paid
}

/// The sets of VMs that a tier can be on for at most `dearest`, cheapest first. `None` if there are
/// more than `limit`, or if the meter runs out first.
#[must_use]
pub fn candidates(
    tier: &ClusterTier,
    cluster: &Cluster,
    dearest: i64,
    limit: usize,
    meter: &mut Meter<'_>,
) -> Option<Vec<(i64, Set)>> {
    let steps = (0..RESOURCES)
        .filter(|&r| LEAST[r] > 0)
        .map(|r| tier.demand[r] / LEAST[r]);
    let steps = steps.min().unwrap_or(0);
    let most = tier.max.min(cluster.max_used);
    // The most that VMs from here on can save.
    let mut paid = vec![0i64; tier.cost.len() + 1];
    for (v, &price) in tier.cost.iter().enumerate().rev() {
        let may = tier.may >> v & 1 == 1;
        paid[v] = paid[v + 1] + if may { price.min(0) } else { 0 };
    }
    let mut choice = Choice {
        tier,
        vms: &cluster.vms,
        paid,
        most: most.min(usize::try_from(steps).unwrap_or(0)),
        dearest,
        limit,
        list: Vec::new(),
    };
    if !choice.extend(0, 0, 0, NOTHING, meter) {
        return None;
    }
    let mut list = choice.list;
    if cluster.resize_cost > 0 {
        for (price, set) in &mut list {
            *price += resized(tier, *set) as i64 * cluster.resize_cost;
        }
        list.retain(|&(price, _)| price <= dearest);
    }
    list.sort_by_key(|&(price, set)| (price, set.count_ones(), set));
    Some(list)
}

/// How many of the containers that a tier keeps on a set of VMs are resized at least, as if the VMs
/// had room for whatever it holds there.
#[must_use]
pub fn resized(tier: &ClusterTier, set: Set) -> usize {
    let kept = || bits(set).map(|v| tier.now[v]).filter(|now| *now != NOTHING);
    let (count, keeps) = (set.count_ones() as usize, kept().count());
    let sum = sum(kept());
    if keeps == count && sum == tier.demand {
        return 0;
    }
    let fits = |r: usize| {
        let mut sizes: Vec<i64> = kept().map(|now| now[r]).collect();
        sizes.sort_unstable();
        let mut least = count as i64 * LEAST[r];
        // Each of the others has what it must have.
        let fit = sizes.iter().take_while(|&&size| {
            least += size - LEAST[r];
            least <= tier.demand[r]
        });
        fit.count()
    };
    // If all are kept and do not add up, one of them is resized.
    let most = keeps.min(count - 1);
    let fits = (0..RESOURCES).map(fits).min().unwrap_or(0);
    keeps - fits.min(most)
}

/// The sets of one tier, made VM by VM.
struct Choice<'a> {
    tier: &'a ClusterTier,
    vms: &'a [ClusterVm],
    paid: Vec<i64>,
    most: usize,
    dearest: i64,
    limit: usize,
    list: Vec<(i64, Set)>,
}

impl Choice<'_> {
    /// All sets that are `set` and VMs from `from` on. False if a limit is reached.
    fn extend(&mut self, from: usize, set: Set, price: i64, room: Amounts, meter: &mut Meter<'_>) -> bool {
        if !meter.spend(1) {
            return false;
        }
        let n = set.count_ones() as usize;
        let demand = self.tier.demand;
        if n >= self.tier.min.max(1) && price <= self.dearest && within(demand, room) {
            if self.list.len() >= self.limit {
                return false;
            }
            self.list.push((price, set));
        }
        if n >= self.most {
            return true;
        }
        for v in from..self.vms.len().min(MAX_VMS) {
            let barred =
                self.tier.may >> v & 1 == 0 || self.tier.apart.get(v).is_some_and(|others| others & set != 0);
            if barred || price + self.tier.cost[v] + self.paid[v + 1] > self.dearest {
                continue;
            }
            let cap = self.vms[v].capacity;
            if !within(LEAST, cap) {
                continue;
            }
            let wider = plus(room, cap);
            if !self.extend(v + 1, set | 1 << v, price + self.tier.cost[v], wider, meter) {
                return false;
            }
        }
        true
    }
}
