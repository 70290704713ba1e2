//! A lower bound for re-plans: containers kept are placed exactly, new ones only counted.
//!
//! The program decides which existing VMs are used, which containers on them are kept and with
//! how much, and how many VMs are new. A new container is not given a VM: it draws on the room
//! of all VMs together, a VM's worth at most each. Every placement is a solution of this
//! program at the same price, so its optimum, and any bound on it, is a bound on placements.
//!
//! It has a few variables for each container that exists, none for each pair of tier and VM,
//! and HiGHS closes it quickly where the whole program is out of reach.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // columns are made in the loops that read them

use good_lp::solvers::highs::highs;
use good_lp::{Expression, ProblemVariables, SolverModel, Variable, constraint, variable};

use super::evidence::{Bound, Certificate, Prover};
use super::highs::{self, End, Options};
use super::problem::{Pair, Problem};
use super::rules::Origin;

/// A bound from the relaxation, and what it would keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaxed {
    /// What is proven.
    pub bound: Bound,
    /// A beginning for a placement; none where HiGHS found no solution.
    pub guide: Option<Guide>,
    /// Shadow prices of room, where they are known.
    pub toll: Option<[f64; 2]>,
}

impl Relaxed {
    /// A bound and nothing else.
    #[must_use]
    pub const fn bound(bound: Bound) -> Self {
        Self {
            bound,
            guide: None,
            toll: None,
        }
    }
}

/// Half a placement: VMs to use and containers to keep, before new containers are placed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guide {
    /// Existing VMs to use.
    pub open: Vec<usize>,
    /// New VMs to use: of which kinds.
    pub news: Vec<usize>,
    /// Containers to keep: VM, item, amount.
    pub keep: Vec<(usize, usize, Pair)>,
}

/// One container that exists and may be kept.
struct Keep {
    item: usize,
    vm: usize,
    on: Variable,
    amount: [Variable; 2],
}

/// Solves the relaxation, with whole numbers or (`integer` false) without. `None` if HiGHS came
/// to nothing in the time.
#[must_use]
pub fn solve(problem: &Problem, integer: bool, seconds: f64) -> Option<Relaxed> {
    let setting = Setting {
        integer,
        seconds,
        toll: None,
        elsewhere: 0,
        largest: None,
    };
    let raw = program(problem, setting)?;
    Some(Relaxed {
        bound: Bound {
            value: highs::round_up(raw.bound)?,
            by: Prover::Relaxation,
            certificate: Certificate::Stated { raw: raw.bound },
        },
        guide: raw.guide,
        toll: raw.toll,
    })
}

/// What is solved, and how.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Whole numbers, or their relaxation.
    pub integer: bool,
    /// Time for HiGHS.
    pub seconds: f64,
    /// Price of one step of each resource, in place of the demand that all VMs together must
    /// have room for. Then no VM is new.
    pub toll: Option<[f64; 2]>,
    /// So many VMs at the end of the list stand for others elsewhere and cost nothing.
    pub elsewhere: usize,
    /// The most of each resource that one VM has, where that is not to be seen from the VMs given.
    pub largest: Option<Pair>,
}

/// The most of each resource that one VM has.
#[must_use]
pub fn largest(problem: &Problem) -> Pair {
    let new = problem.largest_new();
    let existing = problem.existing.iter();
    existing.fold(new, |a, c| [a[0].max(c[0]), a[1].max(c[1])])
}

/// What HiGHS said.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Nothing is below this price; without the toll on demand and on all waste, which is constant.
    pub bound: f64,
    /// What it would keep.
    pub guide: Option<Guide>,
    /// Shadow prices of room, of a program without whole numbers.
    pub toll: Option<[f64; 2]>,
}

/// Solves the relaxation, or its part under a toll.
#[must_use]
pub fn program(problem: &Problem, setting: Setting) -> Option<Raw> {
    let Setting {
        integer,
        seconds,
        toll,
        elsewhere,
        largest,
    } = setting;
    let mut vars = ProblemVariables::new();
    let whole = |v: good_lp::variable::VariableDefinition| if integer { v.integer() } else { v };
    let used: Vec<Variable> = problem
        .existing
        .iter()
        .map(|_| vars.add(whole(variable().min(0).max(1))))
        .collect();
    let news: Vec<Variable> = problem
        .kinds
        .iter()
        .map(|kind| {
            let most = if toll.is_some() {
                0
            } else {
                kind.max.min(problem.max_new)
            };
            vars.add(whole(variable().min(0).max(most as f64)))
        })
        .collect();
    let largest = largest.unwrap_or_else(|| self::largest(problem));
    let mut keeps: Vec<Keep> = Vec::new();
    let mut fresh = Vec::with_capacity(problem.items.len());
    for (item, it) in problem.items.iter().enumerate() {
        for &vm in &it.held_on {
            let cap = problem.existing[vm];
            if cap[0] < 1 || cap[1] < 1 || !problem.allows(item, Origin::Existing(vm)) {
                continue;
            }
            let most = |r: usize| it.demand[r].min(cap[r]) as f64;
            let on = vars.add(whole(variable().min(0).max(1)));
            let amount = [0, 1].map(|r| vars.add(variable().min(0).max(most(r))));
            keeps.push(Keep { item, vm, on, amount });
        }
        let count = vars.add(whole(variable().min(0).max(it.max_nodes as f64)));
        let amount = [0, 1].map(|r| vars.add(variable().min(0).max(it.demand[r] as f64)));
        fresh.push((count, amount));
    }
    // Whether a tier that would fill VMs exactly is spread over one more than it must.
    let spread: Vec<Option<Variable>> = problem
        .items
        .iter()
        .map(|it| (it.waste != [0, 0]).then(|| vars.add(whole(variable().min(0).max(1)))))
        .collect();
    // Tiers that fit on one VM: whether one container kept is all of it, or one new one is. Said
    // outright, this is what makes HiGHS see which sets of containers no longer fit together.
    let whole_kept: Vec<Option<Variable>> = keeps
        .iter()
        .map(|k| {
            let it = &problem.items[k.item];
            let cap = problem.existing[k.vm];
            let fits = it.min_nodes <= 1 && it.demand[0] <= cap[0] && it.demand[1] <= cap[1];
            fits.then(|| vars.add(whole(variable().min(0).max(1))))
        })
        .collect();
    let moved: Vec<Option<Variable>> = problem
        .items
        .iter()
        .map(|it| {
            let single = it.min_nodes <= 1 && !it.held_on.is_empty();
            single.then(|| vars.add(variable().min(0).max(1)))
        })
        .collect();
    let mut price = Expression::from(0.0);
    let owned = used.len().saturating_sub(elsewhere);
    for (vm, &u) in used.iter().enumerate().take(owned) {
        price += problem.use_costs[vm] as f64 * u;
        for r in 0..2 {
            price += -toll.map_or(0.0, |t| t[r]) * problem.existing[vm][r] as f64 * u;
        }
    }
    if let Some(toll) = toll {
        for (it, spread) in problem.items.iter().zip(&spread) {
            if let Some(spread) = spread {
                let waste = toll[0] * it.waste[0] as f64 + toll[1] * it.waste[1] as f64;
                price += -waste * *spread;
            }
        }
    }
    for (kind, &news) in problem.kinds.iter().zip(&news) {
        price += kind.cost as f64 * news;
    }
    for keep in &keeps {
        price += problem.items[keep.item].keep_cost as f64 * keep.on;
    }
    for &(count, _) in &fresh {
        price += problem.create_cost as f64 * count;
    }
    // VMs kept without containers: standing ones, and fresh ones.
    let rule = problem.idle;
    let idle_most = [rule.standing, rule.spares + problem.max_new];
    let idle = idle_most.map(|most| vars.add(variable().min(0).max(most.min(rule.least) as f64)));
    price += rule.use_cost as f64 * idle[0];
    price += rule.new_cost as f64 * idle[1];
    let mut model = vars.minimise(price).using(highs);
    // These rows come first: their shadow prices are asked for by number.
    let total = problem.total();
    for r in (0..2).filter(|_| toll.is_none()) {
        let mut room = Expression::from(0.0);
        for (kind, &news) in problem.kinds.iter().zip(&news) {
            room += kind.capacity[r] as f64 * news;
        }
        for (vm, &u) in used.iter().enumerate() {
            room += problem.existing[vm][r] as f64 * u;
        }
        let mut need = Expression::from(total[r] as f64);
        for (it, spread) in problem.items.iter().zip(&spread) {
            if let Some(spread) = spread {
                need += it.waste[r] as f64 * (1.0 - *spread);
            }
        }
        model.add_constraint(constraint!(room >= need));
    }
    let all_new: Expression = news.iter().copied().sum();
    if toll.is_none() && problem.kinds.len() > 1 {
        model.add_constraint(constraint!(all_new.clone() <= problem.max_new as f64));
    }
    if toll.is_none() && problem.max_vms < problem.existing.len() + problem.max_new {
        let all: Expression = used.iter().copied().sum::<Expression>() + all_new.clone();
        model.add_constraint(constraint!(all <= problem.max_vms as f64));
    }
    if rule.least > 0 {
        let sum = |fresh: bool| {
            let kind = used
                .iter()
                .enumerate()
                .filter(|(vm, _)| problem.is_fresh(Origin::Existing(*vm)) == fresh);
            kind.map(|(_, &u)| u).sum::<Expression>()
        };
        let least = rule.least.min(idle_most[0] + idle_most[1]) as f64;
        model.add_constraint(constraint!(
            sum(false) + sum(true) + all_new.clone() + idle[0] + idle[1] >= least
        ));
        model.add_constraint(constraint!(sum(false) + idle[0] <= idle_most[0] as f64));
        model.add_constraint(constraint!(
            sum(true) + all_new.clone() + idle[1] <= idle_most[1] as f64
        ));
    }
    let mut of_item: Vec<Vec<&Keep>> = problem.items.iter().map(|_| Vec::new()).collect();
    let mut of_vm: Vec<Vec<&Keep>> = problem.existing.iter().map(|_| Vec::new()).collect();
    for keep in &keeps {
        of_item[keep.item].push(keep);
        of_vm[keep.vm].push(keep);
        let cap = problem.existing[keep.vm];
        model.add_constraint(constraint!(keep.on <= used[keep.vm]));
        for r in 0..2 {
            let most = problem.items[keep.item].demand[r].min(cap[r]) as f64;
            model.add_constraint(constraint!(keep.amount[r] <= most * keep.on));
            model.add_constraint(constraint!(keep.amount[r] >= keep.on));
        }
    }
    let mut of_item_whole = vec![Expression::from(0.0); problem.items.len()];
    let mut of_vm_whole = vec![(Expression::from(0.0), Vec::new()); problem.existing.len()];
    for (keep, w) in keeps.iter().zip(&whole_kept) {
        let Some(w) = *w else { continue };
        let demand = problem.items[keep.item].demand;
        model.add_constraint(constraint!(w <= keep.on));
        for r in 0..2 {
            model.add_constraint(constraint!(keep.amount[r] >= demand[r] as f64 * w));
        }
        of_item_whole[keep.item] += w;
        of_vm_whole[keep.vm].0 += w;
        of_vm_whole[keep.vm].1.push(demand);
    }
    // Of a VM that stands for others elsewhere it is not known what else is on it.
    for (vm, (count, demands)) in of_vm_whole.into_iter().enumerate().take(owned) {
        let most = most_together(&demands, problem.existing[vm]);
        if most < demands.len() {
            model.add_constraint(constraint!(count <= most as f64 * used[vm]));
        }
    }
    for (vm, keeps) in of_vm.iter().enumerate().take(owned) {
        for r in 0..2 {
            let load: Expression = keeps.iter().map(|k| k.amount[r]).sum();
            model.add_constraint(constraint!(load <= problem.existing[vm][r] as f64 * used[vm]));
        }
    }
    for (item, it) in problem.items.iter().enumerate() {
        let (count, amount) = fresh[item];
        let kept: Expression = of_item[item].iter().map(|k| k.on).sum();
        let mut least = Expression::from(it.min_nodes as f64);
        if let Some(spread) = spread[item] {
            least += spread;
        }
        model.add_constraint(constraint!(kept.clone() + count >= least));
        if let Some(moved) = moved[item] {
            let single = of_item_whole[item].clone() + moved;
            model.add_constraint(constraint!(moved <= count));
            model.add_constraint(constraint!(single.clone() <= 1));
            model.add_constraint(constraint!(kept.clone() + count + single >= 2));
        }
        model.add_constraint(constraint!(kept + count <= it.max_nodes as f64));
        for r in 0..2 {
            let kept: Expression = of_item[item].iter().map(|k| k.amount[r]).sum();
            model.add_constraint(constraint!(kept + amount[r] == it.demand[r] as f64));
            let most = it.demand[r].min(largest[r]) as f64;
            model.add_constraint(constraint!(amount[r] <= most * count));
            model.add_constraint(constraint!(amount[r] >= count));
        }
    }
    let run = highs::run(model, Options { seconds, integer })?;
    let guide = (!run.values.is_empty()).then(|| {
        // Columns: VMs used, new VMs, then for each item its keeps (flag and two amounts) and
        // its new containers (count and two amounts), as they were added above.
        let value = |at: usize| run.values.get(at).copied().unwrap_or(0.0);
        let mut guide = Guide {
            open: (0..used.len()).filter(|&v| value(v) > 0.5).collect(),
            news: (0..news.len())
                .flat_map(|kind| {
                    let count = value(used.len() + kind).round().max(0.0) as usize;
                    std::iter::repeat_n(kind, count)
                })
                .collect(),
            keep: Vec::new(),
        };
        let mut at = used.len() + news.len();
        for keeps in &of_item {
            for keep in keeps {
                if value(at) > 0.5 && value(keep.vm) > 0.5 {
                    let amount = [value(at + 1), value(at + 2)].map(|x| x.floor().max(1.0) as i64);
                    guide.keep.push((keep.vm, keep.item, amount));
                }
                at += 3;
            }
            at += 3;
        }
        guide
    });
    let shadow = |row: usize| run.duals.get(row).copied().unwrap_or(0.0).max(0.0);
    Some(Raw {
        bound: run.bound,
        guide,
        toll: (!integer && toll.is_none() && run.end == End::Optimal).then(|| [shadow(0), shadow(1)]),
    })
}

/// How many of these demands fit into `room` at most: the smallest of each resource count.
fn most_together(demands: &[Pair], room: Pair) -> usize {
    let fit = |r: usize| {
        let mut sizes: Vec<i64> = demands.iter().map(|d| d[r]).collect();
        sizes.sort_unstable();
        let mut left = room[r];
        sizes
            .iter()
            .take_while(|&&size| {
                left -= size;
                left >= 0
            })
            .count()
    };
    fit(0).min(fit(1))
}
