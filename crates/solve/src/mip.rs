//! The whole placement as a mixed-integer program for HiGHS, through `good_lp`.
//!
//! Binary: VM used, tier on VM. Continuous: amounts, because once the binaries are fixed the
//! amounts are two transport problems, whose corners are whole numbers; [`super::amounts`] then
//! chooses them. Interchangeable new VMs are used in order. The price is cut off below the best
//! one known, so "infeasible" means that nothing is cheaper.

#![allow(clippy::indexing_slicing)] // columns are made in the loops that read them

use std::collections::{BTreeMap, BTreeSet};

use good_lp::solvers::highs::highs;
use good_lp::{Expression, ProblemVariables, SolverModel, constraint, variable};

use super::exact;
use super::highs::{self, End, Options};
use super::problem::Problem;
use super::resources::{Amounts, LEAST, smaller};
use super::rules::Origin;

/// The result of the program.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The cheapest placement found: for each slot (existing VMs, then new ones) the items on it.
    pub places: Option<Vec<Vec<usize>>>,
    /// What is proven.
    pub floor: Floor,
}

/// What is proven about placements below the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Floor {
    /// Nothing.
    #[default]
    Unknown,
    /// None is below this relative price.
    At {
        /// The price.
        floor: i64,
        /// The same before it was rounded up.
        raw: f64,
    },
    /// There are none.
    NothingBelow,
}

/// A limit on the price of the same placement at other prices.
pub type Limit<'a> = (&'a Problem, i64);

/// Solves for the cheapest placement with relative price below `ceiling` (`None`: any) and within `limit`,
/// using at most `news` new VMs of each kind.
#[must_use]
pub fn solve(
    problem: &Problem,
    ceiling: Option<i64>,
    limit: Option<Limit<'_>>,
    news: &[usize],
    seconds: f64,
) -> Outcome {
    let existing = (0..problem.existing.len()).map(Origin::Existing);
    let origins: Vec<Origin> = existing.chain(exact::each(news).map(Origin::New)).collect();
    let slots = origins.len();
    let n = problem.items.len();
    let origin = |s: usize| origins[s];
    let mut vars = ProblemVariables::new();
    let used: Vec<_> = (0..slots).map(|_| vars.add(variable().binary())).collect();
    let mut on = vec![Vec::with_capacity(n); slots];
    let mut amount = vec![Vec::with_capacity(n); slots];
    for s in 0..slots {
        let cap = problem.capacity(origin(s));
        for (i, it) in problem.items.iter().enumerate() {
            // If a tier may not be there, the flag is 0.
            let may = if problem.allows(i, origin(s)) { 1.0 } else { 0.0 };
            on[s].push(vars.add(variable().integer().min(0).max(may)));
            let most = most(it.demand, cap);
            let each = problem.asked.iter();
            let each = each.map(|&r| vars.add(variable().min(0).max(most[r] as f64)));
            amount[s].push(each.collect::<Vec<_>>());
        }
    }
    // VMs kept without containers: existing ones, and fresh ones.
    let rule = problem.idle;
    let idle_most = [rule.standing, rule.spares + problem.max_new];
    let idle = idle_most.map(|most| vars.add(variable().min(0).max(most.min(rule.least) as f64)));
    let price_at = |prices: &Problem| {
        let mut price = Expression::from(0.0);
        for s in 0..slots {
            price += prices.vm_cost(origin(s)) as f64 * used[s];
            for (i, &x) in on[s].iter().enumerate() {
                price += prices.container_cost(i, origin(s)) as f64 * x;
            }
        }
        price += prices.idle.use_cost as f64 * idle[0];
        price += prices.idle.new_cost as f64 * idle[1];
        price
    };
    let mut price = price_at(problem);
    // Containers that may keep their size, and whether they do.
    let mut kept = Vec::new();
    if problem.resize_cost > 0 {
        for (s, held) in problem.held.iter().enumerate() {
            for &(i, now) in held {
                let same = vars.add(variable().binary());
                price += problem.resize_cost as f64 * (on[s][i] - same);
                kept.push((s, i, now, same));
            }
        }
    }
    let objective = price.clone();
    let mut model = vars.minimise(objective).using(highs);
    if let Some(ceiling) = ceiling {
        model.add_constraint(constraint!(price <= (ceiling - 1) as f64));
    }
    if let Some((prices, most)) = limit {
        model.add_constraint(constraint!(price_at(prices) <= most as f64));
    }
    for (s, i, now, same) in kept {
        let most = most(problem.items[i].demand, problem.capacity(origin(s)));
        model.add_constraint(constraint!(same <= on[s][i]));
        for (at, &r) in problem.asked.iter().enumerate() {
            let (amount, now, most) = (amount[s][i][at], now[r] as f64, most[r] as f64);
            model.add_constraint(constraint!(amount >= now * same));
            model.add_constraint(constraint!(amount <= most + (now - most) * same));
        }
    }
    if rule.least > 0 {
        let sum = |fresh: bool| {
            let kind = (0..slots).filter(|&s| problem.is_fresh(origin(s)) == fresh);
            kind.map(|s| used[s]).sum::<Expression>()
        };
        let least = rule.least.min(idle_most[0] + idle_most[1]) as f64;
        model.add_constraint(constraint!(sum(false) + sum(true) + idle[0] + idle[1] >= least));
        model.add_constraint(constraint!(sum(false) + idle[0] <= idle_most[0] as f64));
        model.add_constraint(constraint!(sum(true) + idle[1] <= idle_most[1] as f64));
    }
    let cliques = cliques(problem);
    for s in 0..slots {
        let cap = problem.capacity(origin(s));
        let mut any = Expression::from(0.0);
        for (i, it) in problem.items.iter().enumerate() {
            let x = on[s][i];
            any += x;
            let most = most(it.demand, cap);
            model.add_constraint(constraint!(x <= used[s]));
            for (at, &r) in problem.asked.iter().enumerate() {
                model.add_constraint(constraint!(amount[s][i][at] <= most[r] as f64 * x));
                if LEAST[r] > 0 {
                    model.add_constraint(constraint!(amount[s][i][at] >= LEAST[r] as f64 * x));
                }
            }
        }
        model.add_constraint(constraint!(used[s] <= any));
        for (at, &r) in problem.asked.iter().enumerate() {
            let load: Expression = amount[s].iter().map(|a| a[at]).sum();
            model.add_constraint(constraint!(load <= cap[r] as f64 * used[s]));
        }
        for clique in &cliques {
            let load: Expression = clique.iter().map(|&i| on[s][i]).sum();
            model.add_constraint(constraint!(load <= 1));
        }
        if s > problem.existing.len() && origin(s) == origin(s - 1) {
            model.add_constraint(constraint!(used[s] <= used[s - 1]));
        }
    }
    for (i, it) in problem.items.iter().enumerate() {
        for (at, &r) in problem.asked.iter().enumerate() {
            let sum: Expression = amount.iter().map(|a| a[i][at]).sum();
            model.add_constraint(constraint!(sum == it.demand[r] as f64));
        }
        let nodes: Expression = on.iter().map(|x| x[i]).sum();
        model.add_constraint(constraint!(nodes.clone() >= it.min_nodes as f64));
        if it.max_nodes < slots {
            model.add_constraint(constraint!(nodes <= it.max_nodes as f64));
        }
    }
    for (i, it) in problem
        .items
        .iter()
        .enumerate()
        .filter(|(_, it)| it.rule.spreads())
    {
        let mut domains: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for s in 0..slots {
            if let Some(domain) = it.rule.domain(origin(s)) {
                domains.entry(domain).or_default().push(s);
            }
        }
        for slots in domains.values().filter(|slots| slots.len() > 1) {
            let nodes: Expression = slots.iter().map(|&s| on[s][i]).sum();
            model.add_constraint(constraint!(nodes <= 1));
        }
    }
    let new = slots - problem.existing.len();
    if problem.max_new < new {
        let made: Expression = used.iter().skip(problem.existing.len()).copied().sum();
        model.add_constraint(constraint!(made <= problem.max_new as f64));
    }
    if problem.max_vms < slots {
        let all: Expression = used.iter().copied().sum();
        model.add_constraint(constraint!(all <= problem.max_vms as f64));
    }
    let Some(run) = highs::run(
        model,
        Options {
            seconds,
            integer: true,
        },
    ) else {
        return Outcome::default();
    };
    // Used flags come first, then for each slot, for each item, one flag and an amount of each resource.
    let flag = |s: usize, i: usize| slots + (s * n + i) * (1 + problem.asked.len());
    let places = (!run.values.is_empty()).then(|| {
        let on = |s: usize, i: usize| run.values.get(flag(s, i)).is_some_and(|&x| x > 0.5);
        (0..slots)
            .map(|s| (0..n).filter(|&i| on(s, i)).collect())
            .collect()
    });
    let floor = match (run.end, ceiling) {
        (End::Infeasible, _) => Floor::NothingBelow,
        _ => highs::round_up(run.bound).map_or(Floor::Unknown, |floor| Floor::At {
            floor,
            raw: run.bound,
        }),
    };
    Outcome { places, floor }
}

/// Most that one container of a tier can hold on a VM.
fn most(demand: Amounts, cap: Amounts) -> Amounts {
    smaller(demand, cap)
}

/// Sets of tiers of which at most one can be on a VM, which together cover every port conflict:
/// each pair that is not covered yet is extended as far as possible.
#[must_use]
pub fn cliques(problem: &Problem) -> Vec<Vec<usize>> {
    let publishing: Vec<usize> = (0..problem.items.len())
        .filter(|&i| problem.items[i].port.is_some())
        .collect();
    let mut covered = BTreeSet::new();
    let mut result = Vec::new();
    for (at, &a) in publishing.iter().enumerate() {
        for &b in &publishing[at + 1..] {
            if covered.contains(&(a, b)) || !problem.conflict(a, b) {
                continue;
            }
            let mut clique = vec![a, b];
            for &c in &publishing {
                if clique.iter().all(|&i| problem.conflict(i, c)) {
                    clique.push(c);
                }
            }
            clique.sort_unstable();
            for (at, &x) in clique.iter().enumerate() {
                covered.extend(clique[at + 1..].iter().map(|&y| (x, y)));
            }
            result.push(clique);
        }
    }
    result
}
