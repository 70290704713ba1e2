//! A bound where tiers may only be on some VMs: what room costs at least, of the VMs that each tier may be on.
//!
//! Every group of tiers with the same rule is given a price for a step of each resource. A VM can ask no more for its
//! room than the dearest of the groups that may be on it pay. However the prices are chosen, as long as no new VM asks
//! for more than it costs, all tiers together pay no more than the VMs cost, but for what existing VMs ask beyond
//! their price (the dual of the linear program that covers the demands with VMs). HiGHS finds the best prices; they are
//! rounded down, and the bound is worked out from them in whole numbers, as the checker does again.

#![allow(clippy::indexing_slicing)] // groups, sites and resources are those made here

use std::collections::BTreeMap;

use good_lp::solvers::highs::highs;
use good_lp::{Expression, ProblemVariables, SolverModel, Variable, constraint, variable};

use super::bound;
use super::evidence::{Bound, Certificate, Prover};
use super::highs::{self, End, Options};
use super::problem::Problem;
use super::resources::{Amounts, NOTHING, RESOURCES, plus};
use super::rules::Origin;

/// Most groups of tiers, and most sorts of VM: the linear program has a row for each pair.
const GROUPS: usize = 64;
/// See [`GROUPS`].
const SORTS: usize = 500;
/// Prices are multiples of one over this.
const SCALE: i64 = 1 << 20;
/// Prices are lowered by so much before they are rounded down: HiGHS keeps its rows only nearly.
const NEARLY: f64 = 1.0 - 1e-6;

/// Whether there is anything to say beyond what volume does.
#[must_use]
pub fn applies(problem: &Problem) -> bool {
    problem.items.iter().any(|it| it.rule.restricts())
}

/// VMs that are alike.
struct Sort {
    room: Amounts,
    /// Price of using one.
    price: i64,
    /// How many exist; `None` for VMs that can be made, of which there are enough.
    count: Option<i64>,
    /// Which groups may be on one.
    admits: Vec<bool>,
}

/// A bound from the best prices. `None` where there are too many groups or sorts, or where HiGHS finds none in time.
#[must_use]
pub fn solve(problem: &Problem, seconds: f64) -> Option<Bound> {
    let mut groups: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut demands: Vec<Amounts> = Vec::new();
    let mut first: Vec<usize> = Vec::new();
    let mut group_of = Vec::with_capacity(problem.items.len());
    for (item, it) in problem.items.iter().enumerate() {
        let group = *groups.entry(it.rule.key()).or_insert_with(|| {
            demands.push(NOTHING);
            first.push(item);
            demands.len() - 1
        });
        demands[group] = plus(demands[group], it.demand);
        group_of.push(group);
    }
    if demands.len() > GROUPS {
        return None;
    }
    let sorts = sorts(problem, &first)?;
    let prices = best_prices(problem, &demands, &sorts, seconds)?;
    let value = value(&demands, &sorts, &prices)?;
    Some(Bound {
        value: bound::containers(problem) + value + problem.idle.floor(),
        by: Prover::Tariff,
        certificate: Certificate::Prices {
            scale: SCALE,
            prices: group_of.iter().map(|&group| prices[group]).collect(),
        },
    })
}

/// The sorts of VM there are; `first` is a tier of each group.
fn sorts(problem: &Problem, first: &[usize]) -> Option<Vec<Sort>> {
    // A VM that takes nothing new takes what it holds, whichever group that is of.
    let admits = |vm: Origin| -> Vec<bool> {
        let all = first.iter().map(|&item| problem.items[item].rule.allows(vm));
        all.collect()
    };
    let mut known: BTreeMap<(Amounts, i64, Vec<bool>), usize> = BTreeMap::new();
    let mut sorts: Vec<Sort> = Vec::new();
    for (v, &room) in problem.existing.iter().enumerate() {
        let (price, admits) = (problem.use_costs[v], admits(Origin::Existing(v)));
        let at = *known.entry((room, price, admits.clone())).or_insert_with(|| {
            sorts.push(Sort {
                room,
                price,
                count: Some(0),
                admits,
            });
            sorts.len() - 1
        });
        if let Some(count) = &mut sorts[at].count {
            *count += 1;
        }
    }
    for (k, kind) in problem.kinds.iter().enumerate() {
        sorts.push(Sort {
            room: kind.capacity,
            price: kind.cost,
            count: None,
            admits: admits(Origin::New(k)),
        });
    }
    (sorts.len() <= SORTS).then_some(sorts)
}

/// The prices of each group, in steps of one over [`SCALE`].
fn best_prices(problem: &Problem, demands: &[Amounts], sorts: &[Sort], seconds: f64) -> Option<Vec<Amounts>> {
    let asked = problem.asked.as_slice();
    let mut vars = ProblemVariables::new();
    // A step costs no more than the dearest VM, or nobody can have it.
    let dearest = sorts.iter().map(|sort| sort.price).max().unwrap_or(0).max(1) as f64;
    let mut price = || -> Vec<Variable> {
        let each = asked.iter().map(|_| vars.add(variable().min(0).max(dearest)));
        each.collect()
    };
    let paid: Vec<Vec<Variable>> = demands.iter().map(|_| price()).collect();
    let asking: Vec<Vec<Variable>> = sorts.iter().map(|_| price()).collect();
    let beyond: Vec<Variable> = sorts.iter().map(|_| vars.add(variable().min(0))).collect();
    let mut gain = Expression::from(0.0);
    for (demand, paid) in demands.iter().zip(&paid) {
        for (&r, &step) in asked.iter().zip(paid) {
            gain += demand[r] as f64 * step;
        }
    }
    for (sort, &beyond) in sorts.iter().zip(&beyond) {
        gain += -(sort.count.unwrap_or(0) as f64) * beyond;
    }
    let mut model = vars.minimise(-gain).using(highs);
    for ((sort, asking), &beyond) in sorts.iter().zip(&asking).zip(&beyond) {
        for (group, _) in sort.admits.iter().enumerate().filter(|(_, admits)| **admits) {
            for (&asks, &pays) in asking.iter().zip(&paid[group]) {
                model.add_constraint(constraint!(asks >= pays));
            }
        }
        let room: Expression = asked
            .iter()
            .zip(asking)
            .map(|(&r, &step)| sort.room[r] as f64 * step)
            .sum();
        match sort.count {
            Some(_) => model.add_constraint(constraint!(room - beyond <= sort.price as f64)),
            None => model.add_constraint(constraint!(room <= sort.price as f64)),
        };
    }
    let integer = false;
    let run = highs::run(model, Options { seconds, integer })?;
    if run.end != End::Optimal || run.values.len() < demands.len() * asked.len() {
        return None;
    }
    let rounded = |at: usize| (run.values[at].max(0.0) * NEARLY * SCALE as f64).floor() as i64;
    let of_group = |group: usize| {
        let mut prices = NOTHING;
        for (nth, &r) in asked.iter().enumerate() {
            prices[r] = rounded(group * asked.len() + nth);
        }
        prices
    };
    Some((0..demands.len()).map(of_group).collect())
}

/// What VMs cost at least by these prices, rounded up. `None` where a new VM would ask for more than it costs.
fn value(demands: &[Amounts], sorts: &[Sort], prices: &[Amounts]) -> Option<i64> {
    let worth = |amounts: Amounts, prices: Amounts| -> i128 {
        let parts = amounts.iter().zip(prices);
        parts
            .map(|(&amount, price)| i128::from(amount) * i128::from(price))
            .sum()
    };
    let mut sum: i128 = demands
        .iter()
        .zip(prices)
        .map(|(&demand, &price)| worth(demand, price))
        .sum();
    for sort in sorts {
        let mut dearest = NOTHING;
        for (prices, _) in prices.iter().zip(&sort.admits).filter(|(_, admits)| **admits) {
            dearest = std::array::from_fn::<_, RESOURCES, _>(|r| dearest[r].max(prices[r]));
        }
        let beyond = worth(sort.room, dearest) - i128::from(sort.price) * i128::from(SCALE);
        match sort.count {
            Some(count) => sum -= beyond.max(0) * i128::from(count),
            None if beyond > 0 => return None,
            None => {}
        }
    }
    let scale = i128::from(SCALE);
    i64::try_from(sum.div_euclid(scale) + i128::from(sum.rem_euclid(scale) > 0)).ok()
}
