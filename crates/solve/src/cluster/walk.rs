//! Walks through the tree: tier after tier is put on a set of VMs, the cheapest sets first.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // masks and ranks are made here and bounded by the array sizes

use super::floors::{alone_on, first, vm_floor};
use super::{Cluster, Found, Half, MAX_OPTIONS, MAX_VMS, Reach, Set};
use crate::loads::{Loads, bits};
use crate::meter::{Meter, UNLIMITED};
use crate::options::{candidates, floor_of, resized};
use crate::resizes;
use crate::resources::{Amounts, NOTHING, RESOURCES, plus, sum};

struct Search<'a, const R: usize> {
    cluster: &'a Cluster,
    /// What each tier demands of the resources that are needed.
    demands: Vec<[i64; R]>,
    reach: Reach<'a>,
    order: Vec<usize>,
    /// Candidate sets of each tier (by rank in `order`), cheapest first.
    options: Vec<Vec<(i64, Set)>>,
    /// Least price of a candidate of two or more VMs (by rank).
    spread: Vec<i64>,
    /// Price on each VM alone (by rank).
    alone: Vec<Vec<i64>>,
    /// Least price of all tiers from a rank on, as if the VMs were empty.
    beyond: Vec<i64>,
    /// Least price of VMs, given those used so far: the cheapest superset that can hold all.
    vm_floor: Vec<i64>,
    /// For each VM, those of its class with a lower index.
    before: Vec<Set>,
    chosen: Vec<Set>,
    loads: Loads<R>,
    best: Option<(i64, Vec<Set>)>,
    ties: Vec<Vec<Set>>,
    nodes: u64,
    /// Whether a placement was given up because nobody could say how many containers it resizes.
    unsure: bool,
}

/// A tier that is being decided: the one whose rank is the frame's position on the stack.
struct Frame {
    used: Set,
    cost: i64,
    /// Least price of all tiers after this one.
    rest: i64,
    /// VMs on which it would meet a tier with the same port.
    blocked: Set,
    /// Which of its sets is tried next.
    option: usize,
}

/// The result of a decision.
enum Enter {
    /// The next tier to decide.
    Tier(Frame),
    /// Nothing more: a placement, or nothing of interest.
    Back,
    /// The search must end.
    Cut,
}

/// How many resources most questions need: the first ones. With only those, a search has less to
/// add up.
const USUAL: usize = 2;

/// Searches for the cheapest placement below the ceiling.
#[must_use]
pub fn search(cluster: &Cluster, reach: Reach<'_>) -> Found {
    let further = |demand: Amounts| demand.iter().skip(USUAL).any(|&steps| steps > 0);
    if cluster.tiers.iter().any(|tier| further(tier.demand)) {
        search_among::<RESOURCES>(cluster, reach)
    } else {
        search_among::<USUAL>(cluster, reach)
    }
}

/// The same, with only the first `R` resources.
fn search_among<const R: usize>(cluster: &Cluster, reach: Reach<'_>) -> Found {
    let mut meter = reach.watch.meter(UNLIMITED);
    let mut search = match Search::<R>::new(cluster, reach, &mut meter) {
        Ok(search) => search,
        Err(complete) => {
            return Found {
                best: None,
                ties: Vec::new(),
                complete,
                nodes: 0,
            };
        }
    };
    let complete = search.walk(&mut meter) && !search.unsure;
    Found {
        best: search.best,
        ties: search.ties,
        complete,
        nodes: search.nodes,
    }
}

/// For this many tiers ahead, their least cost is worked out from the room that is left; for those
/// beyond, from empty VMs. Questions that the tree can solve completely have fewer.
const AHEAD: usize = 64;

/// How many tiers are decided before a branch belongs to a half of the tree.
const DIVIDED: usize = 4;

/// Prices that mean "never"; far from overflow when added to.
pub const NEVER: i64 = i64::MAX / 8;

impl<'a, const R: usize> Search<'a, R> {
    /// Otherwise, whether that answers the question: some tier has no candidate set at all, or all
    /// have too many.
    fn new(cluster: &'a Cluster, reach: Reach<'a>, meter: &mut Meter<'_>) -> Result<Self, bool> {
        let k = cluster.vms.len().min(MAX_VMS);
        let sets = 1usize << k;
        let mut room = vec![NOTHING; sets];
        for set in 1..sets {
            let v = set.trailing_zeros() as usize;
            let rest = room[set & (set - 1)];
            let cap = cluster.vms[v].capacity;
            room[set] = plus(rest, cap);
        }
        let total = sum(cluster.tiers.iter().map(|t| t.demand));
        let mut before = vec![0; k];
        for v in 0..k {
            for u in 0..v {
                if cluster.vms[v].class.is_some() && cluster.vms[u].class == cluster.vms[v].class {
                    before[v] |= 1 << u;
                }
            }
        }
        // Large and awkward tiers first: early decisions prune most.
        let mut order: Vec<usize> = (0..cluster.tiers.len()).collect();
        let full = room[sets - 1];
        let weight = |t: usize| {
            let d = cluster.tiers[t].demand;
            (0..R)
                .map(|r| d[r] * 1_000_000 / full[r].max(1))
                .max()
                .unwrap_or(0)
        };
        order.sort_by_key(|&t| {
            let tier = &cluster.tiers[t];
            let free = tier.conflicts.is_empty();
            (free, std::cmp::Reverse(tier.min), std::cmp::Reverse(weight(t)), t)
        });
        if !meter.spend(sets as u64 * k as u64) {
            return Err(false);
        }
        let vm_floor = vm_floor(cluster, k, &room, total);
        // A tier alone can cost no more than what the ceiling leaves when all others are cheapest.
        let least: Vec<i64> = order.iter().map(|&t| floor_of(&cluster.tiers[t])).collect();
        let spare = reach.ceiling.max(reach.tie_at.map_or(i64::MIN, |t| t + 1))
            - least.iter().sum::<i64>()
            - vm_floor[0];
        let mut left = MAX_OPTIONS;
        let mut options = Vec::with_capacity(order.len());
        let mut spread = Vec::with_capacity(order.len());
        let mut alone = Vec::with_capacity(order.len());
        for (rank, &t) in order.iter().enumerate() {
            let dearest = least[rank].saturating_add(spare);
            let Some(list) = candidates(&cluster.tiers[t], cluster, dearest, left, meter) else {
                return Err(false);
            };
            if list.is_empty() {
                return Err(true);
            }
            left -= list.len();
            let wide = list.iter().find(|o| o.1.count_ones() > 1);
            spread.push(wide.map_or(NEVER, |o| o.0));
            alone.push(alone_on(&cluster.tiers[t], cluster.resize_cost));
            options.push(list);
        }
        let mut beyond = vec![0i64];
        for &least in least.iter().rev() {
            let after = beyond.last().copied().unwrap_or(0);
            beyond.push(after.saturating_add(least));
        }
        beyond.reverse();
        Ok(Self {
            cluster,
            reach,
            beyond,
            chosen: vec![0; cluster.tiers.len()],
            loads: Loads::new(cluster.vms.iter().take(k).map(|v| first(v.capacity)).collect()),
            demands: cluster.tiers.iter().map(|t| first(t.demand)).collect(),
            order,
            options,
            spread,
            alone,
            vm_floor,
            before,
            best: None,
            ties: Vec::new(),
            nodes: 0,
            unsure: false,
        })
    }

    /// Walks the tree. Returns whether it was walked completely.
    fn walk(&mut self, meter: &mut Meter<'_>) -> bool {
        let mut frames: Vec<Frame> = Vec::new();
        match self.enter(0, 0, 0, meter) {
            Enter::Tier(frame) => frames.push(frame),
            Enter::Back => return true,
            Enter::Cut => return false,
        }
        loop {
            let rank = frames.len().saturating_sub(1);
            let Some(frame) = frames.last_mut() else {
                return true;
            };
            let tier = self.order[rank];
            if self.chosen[tier] != 0 {
                self.chosen[tier] = 0;
                self.loads.pop();
            }
            let Some((set, cost)) = self.decide(rank, frame, meter) else {
                if meter.cut().is_some() {
                    return false;
                }
                frames.pop();
                continue;
            };
            let used = frame.used | set;
            match self.enter(rank + 1, used, cost, meter) {
                Enter::Tier(frame) => frames.push(frame),
                Enter::Back => {}
                Enter::Cut => return false,
            }
        }
    }

    /// Puts the tier at `rank` on the next set of VMs that may lead to something. `None` if there
    /// is none, or if the meter ran out.
    fn decide(&mut self, rank: usize, frame: &mut Frame, meter: &mut Meter<'_>) -> Option<(Set, i64)> {
        let tier = self.order[rank];
        let demand = self.demands[tier];
        while let Some(&(price, set)) = self.options[rank].get(frame.option) {
            frame.option += 1;
            if !meter.spend(1) {
                return None;
            }
            let cost = frame.cost + price;
            // More expensive sets follow: VMs may be free already, so only the containers count
            // here.
            if self.hopeless(cost + frame.rest + self.vm_floor[frame.used as usize]) {
                return None;
            }
            let used = frame.used | set;
            if set & frame.blocked != 0
                || !self.cluster.few_enough(used)
                || self.hopeless(cost + frame.rest + self.vm_floor[used as usize])
                || !self.canonical(frame.used, set)
                || !self.loads.push(set, demand)
            {
                continue;
            }
            self.chosen[tier] = set;
            return Some((set, cost));
        }
        None
    }

    /// Begins the tier at `rank`, or takes the placement if all tiers are decided.
    fn enter(&mut self, rank: usize, used: Set, cost: i64, meter: &mut Meter<'_>) -> Enter {
        if rank == self.order.len() {
            self.take(cost + self.cluster.vm_price(used), meter);
            return Enter::Back;
        }
        if rank == DIVIDED && self.reach.half.is_some_and(|half| half != self.half()) {
            return Enter::Back;
        }
        self.nodes += 1;
        let ahead = (rank + 1 + AHEAD).min(self.order.len());
        let ticks = 1 + (ahead - rank) * self.cluster.vms.len() / 8;
        if self.nodes > self.reach.nodes || !meter.spend(ticks as u64) {
            return Enter::Cut;
        }
        let rest = (rank + 1..ahead)
            .map(|r| self.least_at(r))
            .fold(self.beyond[ahead], i64::saturating_add)
            .min(NEVER);
        if self.hopeless(cost + rest + self.least_at(rank) + self.vm_floor[used as usize]) {
            return Enter::Back;
        }
        let conflicts = &self.cluster.tiers[self.order[rank]].conflicts;
        Enter::Tier(Frame {
            used,
            cost,
            rest,
            blocked: conflicts.iter().fold(0, |mask, &other| mask | self.chosen[other]),
            option: 0,
        })
    }

    /// All tiers are decided, at this price or, if more containers are resized than each tier needs
    /// on its own, at a higher one.
    fn take(&mut self, price: i64, meter: &mut Meter<'_>) {
        if self.cluster.resize_cost > 0 {
            if price < self.reach.ceiling
                && let Some(price) = self.with_resizes(price, meter)
            {
                self.reach.ceiling = price;
                self.best = Some((price, self.chosen.clone()));
            }
            return;
        }
        let better = price < self.reach.ceiling;
        let tie = self.reach.tie_at == Some(price) && self.ties.len() < self.reach.ties;
        if !better && !tie || !self.loads.exact() && !self.cluster.has_amounts(&self.chosen, meter) {
            return;
        }
        if better {
            self.reach.ceiling = price;
            self.best = Some((price, self.chosen.clone()));
        } else {
            self.ties.push(self.chosen.clone());
        }
    }

    /// The price with the fewest containers resized, if that is below the ceiling.
    fn with_resizes(&mut self, price: i64, meter: &mut Meter<'_>) -> Option<i64> {
        let cluster = self.cluster;
        let tiers = cluster.tiers.iter().zip(&self.chosen);
        let counted: usize = tiers.map(|(tier, &set)| resized(tier, set)).sum();
        let without = price - counted as i64 * cluster.resize_cost;
        let left = (self.reach.ceiling - 1 - without) / cluster.resize_cost;
        let most = usize::try_from(left).ok()?;
        let demands: Vec<Amounts> = cluster.tiers.iter().map(|t| t.demand).collect();
        let rooms: Vec<Amounts> = cluster.vms.iter().map(|v| v.capacity).collect();
        let places = cluster.places(&self.chosen);
        let found = resizes::fewest(&demands, &rooms, &places, most, meter)?;
        self.nodes += found.tries;
        self.unsure |= !found.sure;
        found.amounts?;
        Some(without + found.resized as i64 * cluster.resize_cost)
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
        let ties = self.ties.len() < self.reach.ties && self.reach.tie_at.is_some_and(|t| floor <= t);
        floor >= self.reach.ceiling && !ties
    }

    /// Least price of the tier at `rank`: on one VM that still has room for all of it, if there is
    /// one, else spread.
    fn least_at(&self, rank: usize) -> i64 {
        let at = self.order[rank];
        let (tier, demand) = (&self.cluster.tiers[at], self.demands[at]);
        let mut least = self.spread[rank];
        if tier.min > 1 {
            return least;
        }
        for (v, &price) in self.alone[rank].iter().enumerate() {
            if price < least && self.loads.fits(v, demand) {
                least = price;
            }
        }
        least
    }

    /// Of interchangeable VMs that are still empty, the first ones are taken.
    fn canonical(&self, used: Set, set: Set) -> bool {
        bits(set & !used).all(|v| self.before[v] & !(used | set) == 0)
    }
}
