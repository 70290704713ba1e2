//! The whole placement as a mixed-integer program for HiGHS, through `good_lp`.
//!
//! Binary: VM used, tier on VM. Continuous: amounts, because once the binaries are fixed the
//! amounts are two transport problems, whose corners are whole numbers; [`super::amounts`] then
//! chooses them. Interchangeable new VMs are used in order. The price is cut off below the best
//! one known, so "infeasible" means that nothing is cheaper.

#![allow(clippy::indexing_slicing)] // columns are made in the loops that read them

use good_lp::solvers::highs::highs;
use good_lp::{Expression, ProblemVariables, SolverModel, constraint, variable};

use super::highs::{self, End, Options};
use super::problem::{Pair, Problem};

/// What came out of the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The cheapest placement found: for each slot (existing VMs, then new ones) the items on it.
    pub places: Option<Vec<Vec<usize>>>,
    /// What is proven.
    pub floor: Floor,
}

/// What is proven about placements below the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Floor {
    /// Nothing.
    #[default]
    Unknown,
    /// None is below this relative price.
    At(i64),
    /// There are none.
    NothingBelow,
}

/// Solves for the cheapest placement with relative price below `ceiling` (`None`: any), using at
/// most `news` new VMs.
#[must_use]
pub fn solve(problem: &Problem, ceiling: Option<i64>, news: usize, seconds: f64) -> Outcome {
    let slots = problem.existing.len() + news;
    let n = problem.items.len();
    let origin = |s: usize| (s < problem.existing.len()).then_some(s);
    let mut vars = ProblemVariables::new();
    let used: Vec<_> = (0..slots).map(|_| vars.add(variable().binary())).collect();
    let mut on = vec![Vec::with_capacity(n); slots];
    let mut amount = vec![Vec::with_capacity(n); slots];
    for s in 0..slots {
        let cap = problem.capacity(origin(s));
        for it in &problem.items {
            on[s].push(vars.add(variable().binary()));
            let most = most(it.demand, cap);
            amount[s].push([0, 1].map(|r| vars.add(variable().min(0).max(most[r] as f64))));
        }
    }
    let mut price = Expression::from(0.0);
    for s in 0..slots {
        price += problem.vm_cost(origin(s)) as f64 * used[s];
        for (i, &x) in on[s].iter().enumerate() {
            price += problem.container_cost(i, origin(s)) as f64 * x;
        }
    }
    let objective = price.clone();
    let mut model = vars.minimise(objective).using(highs);
    if let Some(ceiling) = ceiling {
        model.add_constraint(constraint!(price <= (ceiling - 1) as f64));
    }
    for s in 0..slots {
        let cap = problem.capacity(origin(s));
        let mut any = Expression::from(0.0);
        for (i, it) in problem.items.iter().enumerate() {
            let x = on[s][i];
            any += x;
            let most = most(it.demand, cap);
            model.add_constraint(constraint!(x <= used[s]));
            for r in 0..2 {
                model.add_constraint(constraint!(amount[s][i][r] <= most[r] as f64 * x));
                model.add_constraint(constraint!(amount[s][i][r] >= x));
            }
        }
        model.add_constraint(constraint!(used[s] <= any));
        for r in 0..2 {
            let load: Expression = amount[s].iter().map(|a| a[r]).sum();
            model.add_constraint(constraint!(load <= cap[r] as f64 * used[s]));
        }
        for clique in cliques(problem) {
            let load: Expression = clique.iter().map(|&i| on[s][i]).sum();
            model.add_constraint(constraint!(load <= 1));
        }
        if s > problem.existing.len() {
            model.add_constraint(constraint!(used[s] <= used[s - 1]));
        }
    }
    for (i, it) in problem.items.iter().enumerate() {
        for r in 0..2 {
            let sum: Expression = amount.iter().map(|a| a[i][r]).sum();
            model.add_constraint(constraint!(sum == it.demand[r] as f64));
        }
        let nodes: Expression = on.iter().map(|x| x[i]).sum();
        model.add_constraint(constraint!(nodes.clone() >= it.min_nodes as f64));
        if it.max_nodes < slots {
            model.add_constraint(constraint!(nodes <= it.max_nodes as f64));
        }
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
    // Used flags come first, then for each slot, for each item, one flag and two amounts.
    let flag = |s: usize, i: usize| slots + (s * n + i) * 3;
    let places = (!run.values.is_empty()).then(|| {
        let on = |s: usize, i: usize| run.values.get(flag(s, i)).is_some_and(|&x| x > 0.5);
        (0..slots)
            .map(|s| (0..n).filter(|&i| on(s, i)).collect())
            .collect()
    });
    let floor = match (run.end, ceiling) {
        (End::Infeasible, _) => Floor::NothingBelow,
        _ => highs::round_up(run.bound).map_or(Floor::Unknown, Floor::At),
    };
    Outcome { places, floor }
}

/// Most that one container of a tier can hold on a VM.
fn most(demand: Pair, cap: Pair) -> Pair {
    [demand[0].min(cap[0]), demand[1].min(cap[1])]
}

/// Sets of tiers of which at most one can be on a VM, together covering every port conflict:
/// for each port and protocol, those that bind every address with those of one address.
#[must_use]
pub fn cliques(problem: &Problem) -> Vec<Vec<usize>> {
    use std::collections::{BTreeMap, BTreeSet};
    let mut by_port: BTreeMap<_, BTreeMap<_, BTreeSet<usize>>> = BTreeMap::new();
    for (i, it) in problem.items.iter().enumerate() {
        for p in &it.ports {
            let addresses = by_port.entry((p.port, p.protocol)).or_default();
            addresses.entry(p.address).or_default().insert(i);
        }
    }
    let mut result = BTreeSet::new();
    for mut addresses in by_port.into_values() {
        let every = addresses.remove(&None).unwrap_or_default();
        if addresses.is_empty() {
            addresses.insert(None, BTreeSet::new());
        }
        for mut clique in addresses.into_values() {
            clique.extend(&every);
            if clique.len() > 1 {
                result.insert(clique.into_iter().collect::<Vec<_>>());
            }
        }
    }
    result.into_iter().collect()
}
