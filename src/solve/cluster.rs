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

#![allow(clippy::indexing_slicing)] // masks and ranks are made here and bounded by the array sizes

use super::problem::Pair;

/// Most VMs in a cluster: the tables have 2^MAX_VMS rows.
pub const MAX_VMS: usize = 6;
const SETS: usize = 1 << MAX_VMS;

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
    pub cost: [i64; MAX_VMS],
    /// VMs it must not be on (a container outside the question publishes the same port).
    pub barred: u8,
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
    pub best: Option<(i64, Vec<u8>)>,
    /// A placement at exactly the tie price asked for, met on the way.
    pub tie: Option<Vec<u8>>,
    /// Whether the search was complete: nothing below the ceiling was missed.
    pub complete: bool,
    /// Nodes visited.
    pub nodes: u64,
}

struct Search<'a> {
    cluster: &'a Cluster,
    order: Vec<usize>,
    /// Candidate sets of each tier (by rank in `order`), cheapest first.
    options: Vec<Vec<(i64, u8)>>,
    /// Least price of all tiers from this rank on.
    rest: Vec<i64>,
    /// Least price of VMs, given those used so far: the cheapest superset that can hold all.
    vm_floor: [i64; SETS],
    room: [Pair; SETS],
    sets: usize,
    /// For each VM, those of its class with a lower index.
    before: [u8; MAX_VMS],
    chosen: Vec<u8>,
    ceiling: i64,
    tie_at: Option<i64>,
    best: Option<(i64, Vec<u8>)>,
    tie: Option<Vec<u8>>,
    nodes: u64,
    node_limit: u64,
    first_only: bool,
}

/// Searches for the cheapest placement below `ceiling`; with `first_only`, stops at the first one.
/// Placements that cost exactly `tie_at` are remembered once but not improved on.
#[must_use]
pub fn search(
    cluster: &Cluster,
    ceiling: i64,
    tie_at: Option<i64>,
    node_limit: u64,
    first_only: bool,
) -> Found {
    let Some(mut search) = Search::new(cluster, ceiling, tie_at, node_limit, first_only) else {
        return Found { best: None, tie: None, complete: true, nodes: 0 };
    };
    let loads = [[0i64; 2]; SETS];
    let complete = search.descend(0, 0, 0, &loads);
    let complete = complete || (search.first_only && search.best.is_some());
    Found { best: search.best, tie: search.tie, complete, nodes: search.nodes }
}

impl<'a> Search<'a> {
    /// `None` if some tier has no candidate set at all.
    fn new(
        cluster: &'a Cluster,
        ceiling: i64,
        tie_at: Option<i64>,
        node_limit: u64,
        first_only: bool,
    ) -> Option<Self> {
        let k = cluster.vms.len().min(MAX_VMS);
        let sets = 1usize << k;
        let mut room = [[0i64; 2]; SETS];
        for (set, slot) in room.iter_mut().enumerate().take(sets) {
            for (v, vm) in cluster.vms.iter().enumerate().take(k) {
                if set >> v & 1 == 1 {
                    slot[0] += vm.capacity[0];
                    slot[1] += vm.capacity[1];
                }
            }
        }
        let total = cluster.tiers.iter().fold([0i64; 2], |a, t| {
            [a[0] + t.demand[0], a[1] + t.demand[1]]
        });
        let vm_floor = vm_floor(cluster, k, &room, total);
        let mut before = [0u8; MAX_VMS];
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
            (0..2).map(|r| d[r] * 1_000_000 / full[r].max(1)).max().unwrap_or(0)
        };
        order.sort_by_key(|&t| {
            let tier = &cluster.tiers[t];
            (std::cmp::Reverse(tier.min), std::cmp::Reverse(weight(t)), t)
        });
        let mut options = Vec::with_capacity(order.len());
        for &t in &order {
            let list = candidates(&cluster.tiers[t], cluster, k, &room);
            if list.is_empty() {
                return None;
            }
            options.push(list);
        }
        let mut rest = vec![0i64; order.len() + 1];
        for rank in (0..order.len()).rev() {
            let least = options[rank].iter().map(|o| o.0).min().unwrap_or(0);
            rest[rank] = rest[rank + 1] + least;
        }
        Some(Self {
            cluster,
            chosen: vec![0; cluster.tiers.len()],
            order,
            options,
            rest,
            vm_floor,
            room,
            sets,
            before,
            ceiling,
            tie_at,
            best: None,
            tie: None,
            nodes: 0,
            node_limit,
            first_only,
        })
    }

    /// Decides the tier at `rank`. Returns whether the subtree was searched completely.
    fn descend(&mut self, rank: usize, used: u8, cost: i64, loads: &[Pair; SETS]) -> bool {
        if rank == self.order.len() {
            let price = cost + self.vm_price(used);
            if price < self.ceiling {
                self.ceiling = price;
                self.best = Some((price, self.chosen.clone()));
            } else if self.tie_at == Some(price) && self.tie.is_none() {
                self.tie = Some(self.chosen.clone());
            }
            return true;
        }
        self.nodes += 1;
        if self.nodes > self.node_limit {
            return false;
        }
        let tier = self.order[rank];
        let demand = self.cluster.tiers[tier].demand;
        let blocked = self.cluster.tiers[tier]
            .conflicts
            .iter()
            .fold(0u8, |mask, &other| mask | self.chosen[other]);
        for option in 0..self.options[rank].len() {
            let (price, set) = self.options[rank][option];
            let floor = cost + price + self.rest[rank + 1];
            let now_used = used | set;
            let worth = floor + self.vm_floor[usize::from(now_used)];
            let ties = self.tie.is_none() && self.tie_at == Some(worth);
            if worth >= self.ceiling && !ties {
                continue;
            }
            if set & blocked != 0
                || now_used.count_ones() as usize > self.cluster.max_used
                || !self.canonical(used, set)
            {
                continue;
            }
            let mut next = *loads;
            if !self.add(&mut next, set, demand) {
                continue;
            }
            self.chosen[tier] = set;
            let complete = self.descend(rank + 1, now_used, cost + price, &next);
            self.chosen[tier] = 0;
            if !complete || (self.first_only && self.best.is_some()) {
                return false;
            }
        }
        true
    }

    fn add(&self, loads: &mut [Pair; SETS], set: u8, demand: Pair) -> bool {
        let set = usize::from(set);
        let mut fits = true;
        for u in 1..self.sets {
            let inside = if set & !u == 0 {
                demand
            } else {
                let n = i64::from((set & u).count_ones());
                [n, n]
            };
            let load = &mut loads[u];
            load[0] += inside[0];
            load[1] += inside[1];
            fits &= load[0] <= self.room[u][0] && load[1] <= self.room[u][1];
        }
        fits
    }

    /// Of interchangeable VMs that are still empty, the first ones are taken.
    fn canonical(&self, used: u8, set: u8) -> bool {
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

    fn vm_price(&self, used: u8) -> i64 {
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
fn vm_floor(cluster: &Cluster, k: usize, room: &[Pair; SETS], total: Pair) -> [i64; SETS] {
    const NEVER: i64 = i64::MAX / 4;
    let mut floor = [NEVER; SETS];
    let sets = 1usize << k;
    for (set, slot) in floor.iter_mut().enumerate().take(sets) {
        let fits = room[set][0] >= total[0] && room[set][1] >= total[1];
        if fits && set.count_ones() as usize <= cluster.max_used {
            *slot = (0..k).filter(|v| set >> v & 1 == 1).map(|v| cluster.vms[v].cost).sum();
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

fn candidates(
    tier: &ClusterTier,
    cluster: &Cluster,
    k: usize,
    room: &[Pair; SETS],
) -> Vec<(i64, u8)> {
    let most = tier.max.min(cluster.max_used);
    let mut list = Vec::new();
    for set in 1usize..1 << k {
        let n = set.count_ones() as usize;
        let steps = n as i64;
        if n < tier.min || n > most || set as u8 & tier.barred != 0 {
            continue;
        }
        if tier.demand[0] < steps || tier.demand[1] < steps {
            continue;
        }
        if room[set][0] < tier.demand[0] || room[set][1] < tier.demand[1] {
            continue;
        }
        let price = (0..k).filter(|v| set >> v & 1 == 1).map(|v| tier.cost[v]).sum();
        list.push((price, set as u8));
    }
    list.sort_by_key(|&(price, set)| (price, set.count_ones(), set));
    list
}
