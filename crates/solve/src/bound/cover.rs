//! What room costs at least, where new VMs are of several kinds.
//!
//! A price for each step of room at which no kind of VM has more than it costs (a solution of the dual of
//! the linear program that covers the demand): so much room costs at least what it is worth at these prices.
//! With two resources the best prices are where two kinds, or a kind and nothing, meet, so all are tried.

#![allow(clippy::indexing_slicing)] // the two resources are counted 0 and 1

use crate::problem::{Kind, Pair, Problem};

/// Prices of room, as fractions: of a step of each resource, over a common denominator.
#[derive(Debug, Clone, Copy)]
struct Tariff {
    step: [i128; 2],
    over: i128,
}

/// The tariffs that may be best.
pub struct Cover {
    tariffs: Vec<Tariff>,
    /// The least that a VM costs of any sort that is counted for VMs that have to be there.
    cheapest: i64,
}

/// Most kinds of which all pairs are tried; of more, each resource by itself.
const MOST_PAIRED: usize = 40;

impl Cover {
    /// For a problem.
    #[must_use]
    pub fn new(problem: &Problem) -> Self {
        let kinds = &problem.kinds;
        let mut tariffs = Vec::new();
        for r in 0..2 {
            // The kind that has the most of it for its price.
            let best = kinds.iter().min_by(|a, b| {
                let cross = |x: &Kind, y: &Kind| i128::from(x.cost) * i128::from(y.capacity[r]);
                cross(a, b).cmp(&cross(b, a))
            });
            if let Some(kind) = best {
                let mut step = [0, 0];
                step[r] = i128::from(kind.cost);
                tariffs.push(Tariff {
                    step,
                    over: i128::from(kind.capacity[r]),
                });
            }
        }
        for (at, a) in kinds.iter().enumerate().take(MOST_PAIRED) {
            for b in &kinds[..at] {
                let tariff = meet(a, b).filter(|tariff| kinds.iter().all(|kind| tariff.holds(kind)));
                tariffs.extend(tariff);
            }
        }
        let new = kinds.iter().map(|kind| kind.cost).min();
        let prices = [problem.use_cost, problem.idle.use_cost, problem.idle.new_cost];
        Self {
            tariffs,
            cheapest: prices.into_iter().chain(new).min().unwrap_or(0),
        }
    }

    /// The least that room for `left` costs.
    fn least(&self, left: Pair) -> i64 {
        let worth = self.tariffs.iter().map(|tariff| tariff.worth(left));
        worth.max().unwrap_or(0).max(0)
    }

    /// The least that VMs cost of which so many exist and the others have room for `left`.
    #[must_use]
    pub fn with_existing(&self, problem: &Problem, used: usize, left: Pair) -> i64 {
        self.beside(problem, used, 0, 0, left)
    }

    /// The same with so many new VMs at a price, of which `left` is left over.
    #[must_use]
    pub fn beside(&self, problem: &Problem, used: usize, news: usize, price: i64, left: Pair) -> i64 {
        let there = problem.existing.len().saturating_add(problem.idle.max_new);
        let missing = problem.idle.least.min(there).saturating_sub(used + news) as i64;
        let more = if self.cheapest > 0 {
            // Those that are missing have some room, or none.
            self.least(left).max(missing * self.cheapest)
        } else {
            self.least(left) + problem.idle.floor()
        };
        used as i64 * problem.use_cost + news as i64 * price + more
    }
}

impl Tariff {
    /// Whether a kind costs no less than its room at this tariff.
    fn holds(&self, kind: &Kind) -> bool {
        self.step[0] * i128::from(kind.capacity[0]) + self.step[1] * i128::from(kind.capacity[1])
            <= i128::from(kind.cost) * self.over
    }

    /// What room is worth, rounded up.
    fn worth(&self, room: Pair) -> i64 {
        let part = |r: usize| self.step[r] * i128::from(room[r].max(0));
        let sum = part(0) + part(1);
        let up = (sum + self.over - 1).div_euclid(self.over);
        i64::try_from(up).unwrap_or(i64::MAX / 8)
    }
}

/// The tariff at which two kinds cost exactly what their room is worth, if there is one.
fn meet(a: &Kind, b: &Kind) -> Option<Tariff> {
    let [a0, a1] = a.capacity.map(i128::from);
    let [b0, b1] = b.capacity.map(i128::from);
    let (pa, pb) = (i128::from(a.cost), i128::from(b.cost));
    let over = a0 * b1 - a1 * b0;
    let step = [pa * b1 - pb * a1, pb * a0 - pa * b0];
    let sign = over.signum();
    let tariff = Tariff {
        step: step.map(|s| s * sign),
        over: over * sign,
    };
    (over != 0 && tariff.step.iter().all(|&s| s >= 0)).then_some(tariff)
}
