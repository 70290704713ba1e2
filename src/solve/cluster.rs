//! Exact placement on a handful of VMs, by depth-first search over the sets of VMs each tier is on.
//!
//! Whether amounts exist for sets decided so far is asked of [`super::loads`], so no flow is
//! computed during the search. It is used on whole small instances and on neighbourhoods.
//!
//! It must not allocate in the search itself, and counts its work in nodes, never in time.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // masks and ranks are made here and bounded by the array sizes

use super::loads::{Loads, bits};
use super::options::{candidates, floor_of};
use super::problem::Pair;

pub use super::loads::Set;

/// Most VMs in a cluster: one table has 2^MAX_VMS rows.
pub const MAX_VMS: usize = 18;
/// Most sets of VMs that all tiers together may choose from.
const MAX_OPTIONS: usize = 2_000_000;

/// A VM of the cluster.
#[derive(Debug, Clone)]
pub struct ClusterVm {
    /// What it offers to the tiers of the cluster.
    pub capacity: Pair,
    /// Price of having any container on it.
    pub cost: i64,
    /// VMs of the same class (and no existing container) are interchangeable; `None`: unlike any.
    pub class: Option<u32>,
}

/// A tier of the cluster.
#[derive(Debug, Clone)]
pub struct ClusterTier {
    /// Amount to be placed on the cluster's VMs.
    pub demand: Pair,
    /// Fewest containers in the cluster.
    pub min: usize,
    /// Most containers in the cluster.
    pub max: usize,
    /// Price of a container on each VM.
    pub cost: Vec<i64>,
    /// Positions of the tiers it must not share a VM with.
    pub conflicts: Vec<usize>,
}

/// A question: place all tiers on the VMs at a price below `ceiling`.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// At most [`MAX_VMS`].
    pub vms: Vec<ClusterVm>,
    /// Any number.
    pub tiers: Vec<ClusterTier>,
    /// Most VMs used.
    pub max_used: usize,
}

/// What the search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Price of the best placement below the ceiling, and for each tier its set of VMs.
    pub best: Option<(i64, Vec<Set>)>,
    /// A placement at exactly the tie price asked for, met on the way.
    pub tie: Option<Vec<Set>>,
    /// Whether the search was complete: nothing below the ceiling was missed.
    pub complete: bool,
    /// Nodes visited.
    pub nodes: u64,
}

/// How far to search.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// Only placements below this price count.
    pub ceiling: i64,
    /// A placement at exactly this price is remembered, but not improved on.
    pub tie_at: Option<i64>,
    /// Nodes to visit.
    pub nodes: u64,
    /// Asked now and then whether to give up.
    pub cut: &'a (dyn Fn() -> bool + Sync),
    /// Which half of the tree is searched; `None`: all of it.
    pub half: Option<Half>,
}

/// Half of a tree. Which one a branch belongs to depends on the branch alone, so that together
/// the two leave nothing out, whatever else each of them knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// One half.
    Even,
    /// The other.
    Odd,
}

/// Searches both halves at once, and joins what they found. The answer does not depend on which
/// is quicker.
#[must_use]
pub fn search_by_two(cluster: &Cluster, reach: Reach<'_>) -> Found {
    let half = |half| {
        search(
            cluster,
            Reach {
                half: Some(half),
                ..reach
            },
        )
    };
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(Half::Odd));
        let mut found = half(Half::Even);
        // A search that panicked has found nothing, and proven nothing.
        let Ok(odd) = odd.join() else {
            found.complete = false;
            return found;
        };
        let price = |found: &Found| found.best.as_ref().map_or(i64::MAX, |b| b.0);
        Found {
            complete: found.complete && odd.complete,
            nodes: found.nodes + odd.nodes,
            best: if price(&odd) < price(&found) {
                odd.best
            } else {
                found.best
            },
            tie: found.tie.or(odd.tie),
        }
    })
}

struct Search<'a> {
    cluster: &'a Cluster,
    reach: Reach<'a>,
    order: Vec<usize>,
    /// Candidate sets of each tier (by rank in `order`), cheapest first.
    options: Vec<Vec<(i64, Set)>>,
    /// Least price of a candidate of two or more VMs (by rank).
    spread: Vec<i64>,
    /// Least price of VMs, given those used so far: the cheapest superset that can hold all.
    vm_floor: Vec<i64>,
    /// For each VM, those of its class with a lower index.
    before: Vec<Set>,
    chosen: Vec<Set>,
    loads: Loads,
    best: Option<(i64, Vec<Set>)>,
    tie: Option<Vec<Set>>,
    nodes: u64,
}

/// Searches for the cheapest placement below the ceiling.
#[must_use]
pub fn search(cluster: &Cluster, reach: Reach<'_>) -> Found {
    let mut search = match Search::new(cluster, reach) {
        Ok(search) => search,
        Err(complete) => {
            return Found {
                best: None,
                tie: None,
                complete,
                nodes: 0,
            };
        }
    };
    let complete = search.descend(0, 0, 0);
    Found {
        best: search.best,
        tie: search.tie,
        complete,
        nodes: search.nodes,
    }
}

/// So many tiers are decided before a branch belongs to a half of the tree.
const DIVIDED: usize = 4;

/// Prices that mean "never"; far from overflow when added to.
const NEVER: i64 = i64::MAX / 8;

impl<'a> Search<'a> {
    /// Otherwise, whether that answers the question: some tier has no candidate set at all, or all
    /// have too many.
    fn new(cluster: &'a Cluster, reach: Reach<'a>) -> Result<Self, bool> {
        let k = cluster.vms.len().min(MAX_VMS);
        let sets = 1usize << k;
        let mut room = vec![[0i64; 2]; sets];
        for set in 1..sets {
            let v = set.trailing_zeros() as usize;
            let rest = room[set & (set - 1)];
            let cap = cluster.vms[v].capacity;
            room[set] = [rest[0] + cap[0], rest[1] + cap[1]];
        }
        let total = cluster
            .tiers
            .iter()
            .fold([0i64; 2], |a, t| [a[0] + t.demand[0], a[1] + t.demand[1]]);
        let mut before = vec![0; k];
        for v in 0..k {
            for u in 0..v {
                if cluster.vms[v].class.is_some() && cluster.vms[u].class == cluster.vms[v].class {
                    before[v] |= 1 << u;
                }
            }
        }
        // Large and awkward tiers first: what is decided early prunes most.
        let mut order: Vec<usize> = (0..cluster.tiers.len()).collect();
        let full = room[sets - 1];
        let weight = |t: usize| {
            let d = cluster.tiers[t].demand;
            (0..2)
                .map(|r| d[r] * 1_000_000 / full[r].max(1))
                .max()
                .unwrap_or(0)
        };
        order.sort_by_key(|&t| {
            let tier = &cluster.tiers[t];
            (std::cmp::Reverse(tier.min), std::cmp::Reverse(weight(t)), t)
        });
        let vm_floor = vm_floor(cluster, k, &room, total);
        // A tier alone can cost no more than what the ceiling leaves when all others are cheapest.
        let least: Vec<i64> = order.iter().map(|&t| floor_of(&cluster.tiers[t])).collect();
        let spare = reach.ceiling.max(reach.tie_at.map_or(i64::MIN, |t| t + 1))
            - least.iter().sum::<i64>()
            - vm_floor[0];
        let mut left = MAX_OPTIONS;
        let mut options = Vec::with_capacity(order.len());
        let mut spread = Vec::with_capacity(order.len());
        for (rank, &t) in order.iter().enumerate() {
            let dearest = least[rank].saturating_add(spare);
            let Some(list) = candidates(&cluster.tiers[t], cluster, dearest, left) else {
                return Err(false);
            };
            if list.is_empty() {
                return Err(true);
            }
            left -= list.len();
            let wide = list.iter().find(|o| o.1.count_ones() > 1);
            spread.push(wide.map_or(NEVER, |o| o.0));
            options.push(list);
        }
        Ok(Self {
            cluster,
            reach,
            chosen: vec![0; cluster.tiers.len()],
            loads: Loads::new(cluster.vms.iter().take(k).map(|v| v.capacity).collect()),
            order,
            options,
            spread,
            vm_floor,
            before,
            best: None,
            tie: None,
            nodes: 0,
        })
    }

    /// Decides the tier at `rank`. Returns whether the subtree was searched completely.
    fn descend(&mut self, rank: usize, used: Set, cost: i64) -> bool {
        if rank == self.order.len() {
            let price = cost + self.vm_price(used);
            if price < self.reach.ceiling {
                self.reach.ceiling = price;
                self.best = Some((price, self.chosen.clone()));
            } else if self.reach.tie_at == Some(price) && self.tie.is_none() {
                self.tie = Some(self.chosen.clone());
            }
            return true;
        }
        if rank == DIVIDED && self.reach.half.is_some_and(|half| half != self.half()) {
            return true;
        }
        self.nodes += 1;
        if self.nodes > self.reach.nodes || (self.nodes.is_multiple_of(1024) && (self.reach.cut)()) {
            return false;
        }
        let rest = (rank + 1..self.order.len())
            .map(|r| self.least_at(r))
            .fold(0i64, i64::saturating_add)
            .min(NEVER);
        if self.hopeless(cost + rest + self.least_at(rank) + self.vm_floor[used as usize]) {
            return true;
        }
        let tier = self.order[rank];
        let demand = self.cluster.tiers[tier].demand;
        let blocked = self.cluster.tiers[tier]
            .conflicts
            .iter()
            .fold(0, |mask, &other| mask | self.chosen[other]);
        for option in 0..self.options[rank].len() {
            let (price, set) = self.options[rank][option];
            // Dearer sets follow: VMs may be free already, so only the containers count here.
            if self.hopeless(cost + price + rest + self.vm_floor[used as usize]) {
                break;
            }
            let now_used = used | set;
            if set & blocked != 0
                || now_used.count_ones() as usize > self.cluster.max_used
                || self.hopeless(cost + price + rest + self.vm_floor[now_used as usize])
                || !self.canonical(used, set)
                || !self.loads.push(set, demand)
            {
                continue;
            }
            self.chosen[tier] = set;
            let complete = self.descend(rank + 1, now_used, cost + price);
            self.chosen[tier] = 0;
            self.loads.pop();
            if !complete {
                return false;
            }
        }
        true
    }

    /// Which half of the tree this branch is in.
    fn half(&self) -> Half {
        let mixed = self.order.iter().take(DIVIDED).fold(0u32, |mixed, &tier| {
            (mixed ^ self.chosen[tier]).wrapping_mul(0x9E37_79B1)
        });
        if mixed >> 31 == 0 { Half::Even } else { Half::Odd }
    }

    /// Whether a placement that costs at least `floor` is of no interest.
    fn hopeless(&self, floor: i64) -> bool {
        let ties = self.tie.is_none() && self.reach.tie_at.is_some_and(|t| floor <= t);
        floor >= self.reach.ceiling && !ties
    }

    /// Least price of the tier at `rank`: on one VM that still has room for all of it, if there is
    /// one, else spread.
    fn least_at(&self, rank: usize) -> i64 {
        let tier = &self.cluster.tiers[self.order[rank]];
        let mut least = self.spread[rank];
        if tier.min > 1 {
            return least;
        }
        for (v, &price) in tier.cost.iter().enumerate() {
            if price < least && self.loads.fits(v, tier.demand) {
                least = price;
            }
        }
        least
    }

    /// Of interchangeable VMs that are still empty, the first ones are taken.
    fn canonical(&self, used: Set, set: Set) -> bool {
        bits(set & !used).all(|v| self.before[v] & !(used | set) == 0)
    }

    fn vm_price(&self, used: Set) -> i64 {
        self.cluster
            .vms
            .iter()
            .enumerate()
            .filter(|(v, _)| used >> v & 1 == 1)
            .map(|(_, vm)| vm.cost)
            .sum()
    }
}

/// For each set of VMs used: the least price of VMs of any allowed superset that holds `total`.
fn vm_floor(cluster: &Cluster, k: usize, room: &[Pair], total: Pair) -> Vec<i64> {
    let sets = 1usize << k;
    let mut floor = vec![NEVER; sets];
    for (set, slot) in floor.iter_mut().enumerate() {
        let fits = room[set][0] >= total[0] && room[set][1] >= total[1];
        if fits && set.count_ones() as usize <= cluster.max_used {
            *slot = (0..k)
                .filter(|v| set >> v & 1 == 1)
                .map(|v| cluster.vms[v].cost)
                .sum();
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
