//! What room costs at least if there are several kinds of new VM.
//!
//! At a price for each step of room at which no kind of VM has more than it costs (a solution of
//! the dual of the linear program that covers the demand), room costs at least what it is worth.
//! Prices of two resources at a time are tried: the best of those are where two kinds, or a kind
//! and nothing, meet.

#![allow(clippy::indexing_slicing)] // resources are counted from 0

use crate::problem::{Kind, Problem};
use crate::resources::{Amounts, RESOURCES};

/// Prices of room, as fractions: of a step of each resource, over a common denominator.
#[derive(Debug, Clone, Copy)]
struct Tariff {
    step: [i128; RESOURCES],
    over: i128,
}

/// The tariffs that may be best.
pub struct Cover {
    tariffs: Vec<Tariff>,
    /// The least cost of any VM that counts towards those that must be there.
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
        for &r in &problem.asked {
            // The kind that has the most of it for its price.
            let best = kinds.iter().filter(|kind| kind.capacity[r] > 0).min_by(|a, b| {
                let cross = |x: &Kind, y: &Kind| i128::from(x.cost) * i128::from(y.capacity[r]);
                cross(a, b).cmp(&cross(b, a))
            });
            if let Some(kind) = best {
                let mut step = [0; RESOURCES];
                step[r] = i128::from(kind.cost);
                tariffs.push(Tariff {
                    step,
                    over: i128::from(kind.capacity[r]),
                });
            }
        }
        for (at, a) in kinds.iter().enumerate().take(MOST_PAIRED) {
            for b in &kinds[..at] {
                for (nth, &r) in problem.asked.iter().enumerate() {
                    let pairs = problem.asked[..nth].iter().filter_map(|&q| meet(a, b, [q, r]));
                    tariffs.extend(pairs.filter(|tariff| kinds.iter().all(|kind| tariff.holds(kind))));
                }
            }
        }
        let new = kinds.iter().map(|kind| kind.cost).min();
        let prices = [problem.use_cost, problem.idle.use_cost, problem.idle.new_cost];
        Self {
            tariffs,
            cheapest: prices.into_iter().chain(new).min().unwrap_or(0),
        }
    }

    /// The least cost of room for `left`.
    fn least(&self, left: Amounts) -> i64 {
        let worth = self.tariffs.iter().map(|tariff| tariff.worth(left));
        worth.max().unwrap_or(0).max(0)
    }

    /// The least cost of VMs if this many exist and the others have room for `left`.
    #[must_use]
    pub fn with_existing(&self, problem: &Problem, used: usize, left: Amounts) -> i64 {
        self.beside(problem, used, 0, 0, left)
    }

    /// The same with this many new VMs at a price, of which `left` is left over.
    #[must_use]
    pub fn beside(&self, problem: &Problem, used: usize, news: usize, price: i64, left: Amounts) -> i64 {
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
    /// Whether a kind costs at least as much as its room at this tariff.
    fn holds(&self, kind: &Kind) -> bool {
        let worth = self
            .step
            .iter()
            .zip(kind.capacity)
            .map(|(step, has)| step * i128::from(has));
        worth.sum::<i128>() <= i128::from(kind.cost) * self.over
    }

    /// What room is worth, rounded up.
    fn worth(&self, room: Amounts) -> i64 {
        let parts = self
            .step
            .iter()
            .zip(room)
            .map(|(step, room)| step * i128::from(room.max(0)));
        let sum: i128 = parts.sum();
        let up = (sum + self.over - 1).div_euclid(self.over);
        i64::try_from(up).unwrap_or(i64::MAX / 8)
    }
}

/// The tariff of two resources at which two kinds cost exactly what their room is worth, if there is one.
fn meet(a: &Kind, b: &Kind, resources: [usize; 2]) -> Option<Tariff> {
    let [a0, a1] = resources.map(|r| i128::from(a.capacity[r]));
    let [b0, b1] = resources.map(|r| i128::from(b.capacity[r]));
    let (pa, pb) = (i128::from(a.cost), i128::from(b.cost));
    let over = a0 * b1 - a1 * b0;
    let sign = over.signum();
    let mut step = [0; RESOURCES];
    for (r, price) in resources.into_iter().zip([pa * b1 - pb * a1, pb * a0 - pa * b0]) {
        step[r] = price * sign;
    }
    let tariff = Tariff {
        step,
        over: over * sign,
    };
    (over != 0 && tariff.step.iter().all(|&s| s >= 0)).then_some(tariff)
}
