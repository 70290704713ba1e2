//! A bound where every tier is on one VM: what VMs can hold counts, not only what they have.
//!
//! Every tier gets a value. However the values are chosen, a VM is worth at most the most valuable
//! load that it has room for, so that all values, less what the loads of all VMs are worth beyond their price,
//! is below the price of every placement (Lagrange's way with the condition that every tier is
//! somewhere). The most valuable load is a knapsack with two sizes, those of the resources of which
//! most is asked for, solved by a table for all VMs at once; the values are moved towards tiers that too few of the best loads have.
//!
//! Sizes may be rounded down to keep the table small. That only lowers the bound.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // rows and columns are those of the table made here

use super::bound;
use super::evidence::{Bound, Certificate, Prover};
use super::problem::{Kind, Problem};
use super::resources::Amounts;

/// Most entries of the table for one tier.
const STATES: usize = 1 << 16;
/// Most entries of the tables of all tiers.
const ENTRIES: usize = 1 << 24;
/// Entries that are worked out at most, over all rounds: about a second's work.
const WORK: usize = 6_000_000_000;
/// Most rounds.
const ROUNDS: usize = 2_500;
/// The first step, as a share of the way to the price known.
const REACH: f64 = 0.3;
/// Each step is this much of the one before.
const SHRINK: f64 = 0.998;
/// This much of the direction comes from the rounds before: one load says little.
const TREND: f64 = 0.8;
/// Values are multiples of one over this, or more, so that sums are exact.
const FINENESS: f64 = 16_384.0;

/// No placement with a relative price below `below` costs less than this. `None` if tiers may be
/// divided, or if the tables would be too large. It ends after a limited amount of work, or when
/// nobody wants the result any more.
#[must_use]
pub fn floor(problem: &Problem, below: i64, unwanted: &dyn Fn() -> bool) -> Option<Bound> {
    let mut search = Search::new(problem, below)?;
    let mut values = search.first_values();
    let mut best = f64::NEG_INFINITY;
    let mut proof = Vec::new();
    let mut trend = vec![0.0; values.len()];
    let mut reach = REACH;
    for _ in 0..ROUNDS.min(WORK / search.entries.max(1)).max(1) {
        let (bound, taken) = search.evaluate(&values);
        if bound > best {
            best = bound;
            proof.clone_from(&values);
        }
        if search.round_up(best) >= below || unwanted() {
            break;
        }
        let mut length = 0.0;
        for (trend, taken) in trend.iter_mut().zip(&taken) {
            *trend = TREND * *trend + (1.0 - TREND) * (1.0 - taken);
            length += *trend * *trend;
        }
        if length < 1e-9 {
            break;
        }
        let step = reach * (below as f64 - bound).max(1.0) / length;
        for (value, trend) in values.iter_mut().zip(&trend) {
            *value = (*value + step * trend).clamp(search.least, search.most);
        }
        reach *= SHRINK;
    }
    let idle = problem.idle.floor();
    let scale = search.scale;
    best.is_finite().then(|| Bound {
        // More expensive placements were not asked about.
        value: (search.round_up(best) + idle).min(below),
        by: Prover::Knapsack,
        certificate: Certificate::Values {
            scale: scale as i64,
            resources: search.resources,
            news: vec![search.news],
            values: proof.iter().map(|value| (value * scale).round() as i64).collect(),
        },
    })
}

/// Whether every tier is on one VM, and new VMs are all alike.
#[must_use]
pub fn applies(problem: &Problem) -> bool {
    let single = problem
        .items
        .iter()
        .all(|it| it.max_nodes == 1 && it.min_nodes == 1);
    single && problem.only_kind().is_some()
}

struct Search<'a> {
    problem: &'a Problem,
    kind: Kind,
    /// The two resources that count.
    resources: [usize; 2],
    /// Rows and columns of the table, by the first and the second of them, less one.
    size: [usize; 2],
    demand: Vec<[usize; 2]>,
    existing: Vec<[usize; 2]>,
    new_vm: [usize; 2],
    /// Most new VMs of a placement below the price asked for.
    news: usize,
    scale: f64,
    /// Larger values do not improve a bound.
    least: f64,
    most: f64,
    /// Entries worked out for one bound.
    entries: usize,
    /// The tables of all tiers, one after the other: the most that the first tiers are worth in each
    /// amount of room. In steps of one over `scale`.
    table: Vec<f32>,
    /// The same for an existing VM, on which what it holds has another price.
    own: Vec<f32>,
}

impl<'a> Search<'a> {
    fn new(problem: &'a Problem, below: i64) -> Option<Self> {
        if !applies(problem) {
            return None;
        }
        let kind = problem.only_kind()?;
        let resources = problem.tightest();
        let unit = units(problem, kind, resources)?;
        let part =
            |amounts: Amounts, nth: usize| usize::try_from(amounts[resources[nth]] / unit[nth]).unwrap_or(0);
        let cut = |amounts: Amounts| [0, 1].map(|nth| part(amounts, nth));
        let existing: Vec<[usize; 2]> = problem.existing.iter().map(|&c| cut(c)).collect();
        let new_vm = cut(kind.capacity);
        let size = existing
            .iter()
            .fold(new_vm, |a, c| [a[0].max(c[0]), a[1].max(c[1])]);
        let demand: Vec<[usize; 2]> = problem.items.iter().map(|it| cut(it.demand)).collect();
        let states = (size[0] + 1) * (size[1] + 1);
        let tables = demand.len() + 1;
        let held: usize = problem.held.iter().map(Vec::len).sum();
        if states.checked_mul(tables)? > ENTRIES {
            return None;
        }
        let cheapest = problem.items.iter().map(|it| it.keep_cost).min().unwrap_or(0);
        let least = cheapest.min(problem.create_cost).min(0) as f64;
        let vms = problem.use_costs.iter().copied().fold(kind.cost, i64::max);
        let dearest = vms.max(0) + problem.create_cost.max(0);
        let most = dearest as f64;
        // A load is worth no more than all tiers, and 24 bits must hold it.
        let worth = (most - least + 1.0) * demand.len() as f64;
        let scale = FINENESS.min((16_000_000.0 / worth).floor());
        if scale < 16.0 {
            return None;
        }
        Some(Self {
            problem,
            kind,
            resources,
            size,
            demand,
            existing,
            new_vm,
            news: bound::most_news(problem, Some(below))
                .first()
                .copied()
                .unwrap_or(0),
            scale,
            least,
            most,
            entries: states * (tables + held),
            table: vec![0.0; states * tables],
            own: Vec::new(),
        })
    }

    /// What each tier is worth by volume alone.
    fn first_values(&self) -> Vec<f64> {
        let problem = self.problem;
        let total = problem.total();
        let room = self.kind.capacity;
        let share = |r: usize| total[r] as f64 / room[r].max(1) as f64;
        let [first, second] = self.resources;
        let r = if share(second) > share(first) {
            second
        } else {
            first
        };
        let value = |d: Amounts| {
            let part = d[r] as f64 / room[r].max(1) as f64;
            problem.create_cost as f64 + self.kind.cost as f64 * part
        };
        let items = problem.items.iter();
        items
            .map(|it| value(it.demand).clamp(self.least, self.most))
            .collect()
    }

    /// The bound that these values give, and how often the best loads have each tier.
    fn evaluate(&mut self, values: &[f64]) -> (f64, Vec<f64>) {
        let problem = self.problem;
        let values: Vec<f64> = values.iter().map(|v| (v * self.scale).round()).collect();
        let create = problem.create_cost as f64 * self.scale;
        let gains: Vec<f32> = values.iter().map(|v| (v - create) as f32).collect();
        self.fill(&gains);
        let mut bound: f64 = values.iter().sum();
        let mut taken = vec![0.0; values.len()];
        if self.news > 0 {
            let worth =
                f64::from(self.at(self.demand.len(), self.new_vm)) - self.kind.cost as f64 * self.scale;
            if worth > 0.0 {
                bound -= worth * self.news as f64;
                self.load(self.new_vm, &gains, self.news as f64, &mut taken);
            }
        }
        for vm in 0..self.existing.len() {
            let held: Vec<(usize, f32)> = problem.held[vm]
                .iter()
                .map(|&(item, _)| {
                    let keep = problem.items[item].keep_cost as f64 * self.scale;
                    (item, (values[item] - keep) as f32)
                })
                .collect();
            let room = self.existing[vm];
            let worth = self.with_held(&held, room) - problem.use_costs[vm] as f64 * self.scale;
            if worth > 0.0 {
                bound -= worth;
                let left = self.load_held(&held, room, &mut taken);
                self.load(left, &gains, 1.0, &mut taken);
            }
        }
        (bound / self.scale, taken)
    }

    /// Where a table has the entry for this much room.
    fn entry(&self, room: [usize; 2]) -> usize {
        room[0] * (self.size[1] + 1) + room[1]
    }

    fn states(&self) -> usize {
        (self.size[0] + 1) * (self.size[1] + 1)
    }

    fn at(&self, items: usize, room: [usize; 2]) -> f32 {
        self.table[items * self.states() + self.entry(room)]
    }

    /// Works out the tables of one VM: the common one, and then what it holds. A tier may come twice
    /// there, which only lowers the bound.
    fn with_held(&mut self, held: &[(usize, f32)], room: [usize; 2]) -> f64 {
        let states = self.states();
        self.own.clear();
        self.own
            .extend_from_slice(&self.table[self.demand.len() * states..]);
        for &(item, gain) in held {
            let end = self.own.len();
            self.own.extend_from_within(end - states..);
            let (from, to) = self.own.split_at_mut(end);
            let from = &from[from.len() - states..];
            raise(from, to, self.size, self.demand[item], gain);
        }
        f64::from(self.own[held.len() * states + self.entry(room)])
    }

    /// Counts what it holds of its most valuable load, and returns the room for the rest.
    fn load_held(&self, held: &[(usize, f32)], mut room: [usize; 2], taken: &mut [f64]) -> [usize; 2] {
        let states = self.states();
        for (at, &(item, _)) in held.iter().enumerate().rev() {
            let entry = self.entry(room);
            if self.own[(at + 1) * states + entry] > self.own[at * states + entry] {
                taken[item] += 1.0;
                room = [
                    room[0] - self.demand[item][0].min(room[0]),
                    room[1] - self.demand[item][1].min(room[1]),
                ];
            }
        }
        room
    }

    fn fits(&self, item: usize, room: [usize; 2]) -> bool {
        self.demand[item][0] <= room[0] && self.demand[item][1] <= room[1]
    }

    fn fill(&mut self, gains: &[f32]) {
        let states = self.states();
        for (item, &gain) in gains.iter().enumerate() {
            let (done, open) = self.table.split_at_mut((item + 1) * states);
            let (from, to) = (&done[item * states..], &mut open[..states]);
            to.copy_from_slice(from);
            raise(from, to, self.size, self.demand[item], gain);
        }
    }

    /// Counts the tiers of the most valuable load of `room`.
    fn load(&self, mut room: [usize; 2], gains: &[f32], times: f64, taken: &mut [f64]) {
        for item in (0..gains.len()).rev() {
            let without = self.at(item, room);
            if self.at(item + 1, room) > without && self.fits(item, room) {
                taken[item] += times;
                room = [room[0] - self.demand[item][0], room[1] - self.demand[item][1]];
            }
        }
    }

    /// Prices differ by whole steps, so a bound between two of them is as good as the next one.
    fn round_up(&self, bound: f64) -> i64 {
        let problem = self.problem;
        let mut step = self.kind.cost.abs();
        for price in &problem.use_costs {
            step = gcd(step, price.abs());
        }
        for it in problem.items.iter().filter(|it| !it.held_on.is_empty()) {
            step = gcd(step, (problem.create_cost - it.keep_cost).abs());
        }
        let step = step.max(1);
        let constant = problem.create_cost * problem.items.len() as i64;
        let above = (bound - constant as f64 - 1e-3) / step as f64;
        constant + above.ceil() as i64 * step
    }
}

/// Raises `to`, a copy of `from`, to what one more tier makes of it.
fn raise(from: &[f32], to: &mut [f32], size: [usize; 2], [rows, shift]: [usize; 2], gain: f32) {
    let columns = size[1] + 1;
    if gain <= 0.0 || rows > size[0] || shift >= columns {
        return;
    }
    let pairs = to
        .chunks_exact_mut(columns)
        .skip(rows)
        .zip(from.chunks_exact(columns));
    for (to, from) in pairs {
        for (to, &from) in to[shift..].iter_mut().zip(from) {
            let with = from + gain;
            *to = if with > *to { with } else { *to };
        }
    }
}

/// Steps of the two resources: what all sizes are multiples of, or coarser.
fn units(problem: &Problem, kind: Kind, resources: [usize; 2]) -> Option<[i64; 2]> {
    let rooms = problem.existing.iter().chain([&kind.capacity]);
    let sizes = || problem.items.iter().map(|it| &it.demand).chain(rooms.clone());
    let mut unit = resources.map(|r| sizes().fold(0, |all, size| gcd(all, size[r])).max(1));
    let most = resources.map(|r| rooms.clone().map(|room| room[r]).max().unwrap_or(0));
    let states = |unit: [i64; 2]| {
        let rows = [0, 1].map(|r| {
            usize::try_from(most[r] / unit[r])
                .unwrap_or(usize::MAX)
                .saturating_add(1)
        });
        rows[0].saturating_mul(rows[1])
    };
    for _ in 0..64 {
        if states(unit) <= STATES {
            return Some(unit);
        }
        let finer = usize::from(most[1] / unit[1] > most[0] / unit[0]);
        unit[finer] = unit[finer].checked_mul(2)?;
    }
    None
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
