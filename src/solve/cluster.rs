//! Exact placement on a handful of VMs, by depth-first search over the sets of VMs each tier is on.
//!
//! Once it is decided *on which* VMs each tier has a container, amounts that fit exist if and
//! only if, in each resource on its own, no set `U` of the VMs is asked for more than it has:
//! tiers that are only on VMs of `U` bring all their demand, every other container on a VM of
//! `U` at least one step (max-flow min-cut with lower bounds of one). With at most
//! [`MAX_VMS`] VMs that is a small table of sums, kept up as tiers are decided, so no flow is
//! computed during the search. It is used on whole small instances and on neighbourhoods.
//!
//! It must not allocate in the search itself, and counts its work in nodes, never in time.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // masks and ranks are made here and bounded by the array sizes

use super::problem::Pair;

/// Most VMs in a cluster: the tables have 2^MAX_VMS rows.
pub const MAX_VMS: usize = 14;

/// A set of VMs of the cluster, one bit each.
pub type Set = u16;

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
    pub cut: &'a dyn Fn() -> bool,
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
    room: Vec<Pair>,
    sets: usize,
    /// For each VM, those of its class with a lower index.
    before: Vec<Set>,
    chosen: Vec<Set>,
    /// Sums asked of each set of VMs, one table for each rank.
    loads: Vec<Pair>,
    best: Option<(i64, Vec<Set>)>,
    tie: Option<Vec<Set>>,
    nodes: u64,
}

/// Searches for the cheapest placement below the ceiling.
#[must_use]
pub fn search(cluster: &Cluster, reach: Reach<'_>) -> Found {
    let Some(mut search) = Search::new(cluster, reach) else {
        return Found {
            best: None,
            tie: None,
            complete: true,
            nodes: 0,
        };
    };
    let complete = search.descend(0, 0, 0);
    Found {
        best: search.best,
        tie: search.tie,
        complete,
        nodes: search.nodes,
    }
}

/// Prices that mean "never"; far from overflow when added to.
const NEVER: i64 = i64::MAX / 8;

impl<'a> Search<'a> {
    /// `None` if some tier has no candidate set at all.
    fn new(cluster: &'a Cluster, reach: Reach<'a>) -> Option<Self> {
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
        let mut options = Vec::with_capacity(order.len());
        let mut spread = Vec::with_capacity(order.len());
        for (rank, &t) in order.iter().enumerate() {
            let list = candidates(
                &cluster.tiers[t],
                cluster,
                k,
                &room,
                least[rank].saturating_add(spare),
            );
            if list.is_empty() {
                return None;
            }
            let wide = list.iter().find(|o| o.1.count_ones() > 1);
            spread.push(wide.map_or(NEVER, |o| o.0));
            options.push(list);
        }
        Some(Self {
            cluster,
            reach,
            chosen: vec![0; cluster.tiers.len()],
            loads: vec![[0; 2]; sets * (order.len() + 1)],
            order,
            options,
            spread,
            vm_floor,
            room,
            sets,
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
        self.nodes += 1;
        if self.nodes > self.reach.nodes || (self.nodes.is_multiple_of(1024) && (self.reach.cut)()) {
            return false;
        }
        let base = rank * self.sets;
        let rest = (rank + 1..self.order.len())
            .map(|r| self.least_at(r, base))
            .fold(0i64, i64::saturating_add)
            .min(NEVER);
        if self.hopeless(cost + rest + self.least_at(rank, base) + self.vm_floor[usize::from(used)]) {
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
            if self.hopeless(cost + price + rest + self.vm_floor[usize::from(used)]) {
                break;
            }
            let now_used = used | set;
            if set & blocked != 0
                || now_used.count_ones() as usize > self.cluster.max_used
                || self.hopeless(cost + price + rest + self.vm_floor[usize::from(now_used)])
                || !self.canonical(used, set)
                || !self.add(rank, set, demand)
            {
                continue;
            }
            self.chosen[tier] = set;
            let complete = self.descend(rank + 1, now_used, cost + price);
            self.chosen[tier] = 0;
            if !complete {
                return false;
            }
        }
        true
    }

    /// Whether a placement that costs at least `floor` is of no interest.
    fn hopeless(&self, floor: i64) -> bool {
        let ties = self.tie.is_none() && self.reach.tie_at.is_some_and(|t| floor <= t);
        floor >= self.reach.ceiling && !ties
    }

    /// Least price of the tier at `rank`, given the table that begins at `base`: on one VM that
    /// still has room for all of it, if there is one, else spread.
    fn least_at(&self, rank: usize, base: usize) -> i64 {
        let tier = &self.cluster.tiers[self.order[rank]];
        let mut least = self.spread[rank];
        if tier.min > 1 {
            return least;
        }
        for (v, &price) in tier.cost.iter().enumerate() {
            if price < least {
                let (load, room) = (self.loads[base + (1 << v)], self.room[1 << v]);
                if load[0] + tier.demand[0] <= room[0] && load[1] + tier.demand[1] <= room[1] {
                    least = price;
                }
            }
        }
        least
    }

    /// Writes the table after placing `demand` on `set`; false if some set of VMs is overloaded.
    fn add(&mut self, rank: usize, set: Set, demand: Pair) -> bool {
        let set = usize::from(set);
        let (done, open) = self.loads.split_at_mut((rank + 1) * self.sets);
        let now = &done[rank * self.sets..];
        let next = &mut open[..self.sets];
        // Single VMs first: they are the commonest reason.
        let inside = |u: usize| {
            if set & !u == 0 {
                demand
            } else {
                let n = i64::from((set & u).count_ones());
                [n, n]
            }
        };
        let mut bits = set;
        while bits != 0 {
            let u = bits & bits.wrapping_neg();
            bits &= bits - 1;
            let (load, more) = (now[u], inside(u));
            if load[0] + more[0] > self.room[u][0] || load[1] + more[1] > self.room[u][1] {
                return false;
            }
        }
        let mut fits = true;
        for u in 0..self.sets {
            let (load, more) = (now[u], inside(u));
            let sum = [load[0] + more[0], load[1] + more[1]];
            next[u] = sum;
            fits &= sum[0] <= self.room[u][0] && sum[1] <= self.room[u][1];
        }
        fits
    }

    /// Of interchangeable VMs that are still empty, the first ones are taken.
    fn canonical(&self, used: Set, set: Set) -> bool {
        let mut fresh = set & !used;
        while fresh != 0 {
            let v = fresh.trailing_zeros() as usize;
            fresh &= fresh - 1;
            if self.before[v] & !(used | set) != 0 {
                return false;
            }
        }
        true
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

/// Least price of a tier, sizes aside: the cheapest VMs, as many as it must be on, and more
/// where that is paid for.
fn floor_of(tier: &ClusterTier) -> i64 {
    let mut prices = tier.cost.clone();
    prices.sort_unstable();
    let forced: i64 = prices.iter().take(tier.min).sum();
    let paid: i64 = prices.iter().skip(tier.min).filter(|&&p| p < 0).sum();
    forced + paid
}

/// The sets of VMs that a tier can be on for at most `dearest`, cheapest first.
fn candidates(
    tier: &ClusterTier,
    cluster: &Cluster,
    k: usize,
    room: &[Pair],
    dearest: i64,
) -> Vec<(i64, Set)> {
    let most = tier.max.min(cluster.max_used);
    let mut list = Vec::new();
    for set in 1usize..1 << k {
        let n = set.count_ones() as usize;
        let steps = n as i64;
        if n < tier.min || n > most {
            continue;
        }
        if tier.demand[0] < steps || tier.demand[1] < steps {
            continue;
        }
        if room[set][0] < tier.demand[0] || room[set][1] < tier.demand[1] {
            continue;
        }
        let price = (0..k).filter(|v| set >> v & 1 == 1).map(|v| tier.cost[v]).sum();
        if price <= dearest {
            list.push((price, set as Set));
        }
    }
    list.sort_by_key(|&(price, set)| (price, set.count_ones(), set));
    list
}
