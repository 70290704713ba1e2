//! The relaxation as a program for HiGHS.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // columns are made in the loops that read them

use good_lp::solvers::highs::highs;
use good_lp::{Expression, ProblemVariables, SolverModel, Variable, constraint, variable};

use super::{Guide, Most, Raw, Setting, Toll};
use crate::highs::{self, End, Options};
use crate::problem::{Kind, Problem};
use crate::resources::{Amounts, LEAST, NOTHING, RESOURCES, within};
use crate::rules::Origin;

/// One container that exists and may be kept.
struct Keep {
    item: usize,
    vm: usize,
    on: Variable,
    /// Of each resource that is asked for.
    amount: Vec<Variable>,
}

/// New containers of a tier on VMs larger than those that exist.
struct Large {
    count: Variable,
    /// Of each resource that is asked for.
    amount: Vec<Variable>,
}

/// Solves the relaxation, or its part under a toll.
#[must_use]
pub fn solve(problem: &Problem, setting: Setting) -> Option<Raw> {
    let Setting {
        integer,
        seconds,
        toll,
        elsewhere,
        most,
    } = setting;
    let asked = problem.asked.as_slice();
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
    let most = most.unwrap_or_else(|| Most::of(problem));
    let mut keeps: Vec<Keep> = Vec::new();
    let mut fresh = Vec::with_capacity(problem.items.len());
    for (item, it) in problem.items.iter().enumerate() {
        for &vm in &it.held_on {
            let cap = problem.existing[vm];
            if !within(LEAST, cap) || !problem.allows(item, Origin::Existing(vm)) {
                continue;
            }
            let most = |r: usize| it.demand[r].min(cap[r]) as f64;
            let on = vars.add(whole(variable().min(0).max(1)));
            let amount = asked
                .iter()
                .map(|&r| vars.add(variable().min(0).max(most(r))))
                .collect();
            keeps.push(Keep { item, vm, on, amount });
        }
        let count = vars.add(whole(variable().min(0).max(it.max_nodes as f64)));
        let amount = asked
            .iter()
            .map(|&r| vars.add(variable().min(0).max(it.demand[r] as f64)));
        let amount: Vec<Variable> = amount.collect();
        fresh.push((count, amount));
    }
    let wastes: Vec<Amounts> = problem.items.iter().map(|it| most.waste(it)).collect();
    // Whether a tier that would fill VMs exactly is spread over one more than it must.
    let spread: Vec<Option<Variable>> = wastes
        .iter()
        .map(|waste| (*waste != NOTHING).then(|| vars.add(whole(variable().min(0).max(1)))))
        .collect();
    // Tiers that fit on one VM: whether one container kept is all of it, or one new one is. Said
    // outright, this is what makes HiGHS see which sets of containers no longer fit together.
    let whole_kept: Vec<Option<Variable>> = keeps
        .iter()
        .map(|k| {
            let it = &problem.items[k.item];
            let cap = problem.existing[k.vm];
            let fits = it.min_nodes <= 1 && within(it.demand, cap);
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
    // Containers of a tier on VMs larger than those that exist, where it can be in fewer for that.
    let large: Vec<Option<Large>> = problem
        .items
        .iter()
        .map(|it| {
            most.matters_to(it.demand).then(|| Large {
                count: vars.add(whole(variable().min(0).max(it.max_nodes as f64))),
                amount: asked
                    .iter()
                    .map(|&r| vars.add(variable().min(0).max(it.demand[r] as f64)))
                    .collect(),
            })
        })
        .collect();
    let mut price = Expression::from(0.0);
    let owned = used.len().saturating_sub(elsewhere);
    for (vm, &u) in used.iter().enumerate().take(owned) {
        price += problem.use_costs[vm] as f64 * u;
        for &r in asked {
            price += -toll.map_or(0.0, |t| t.room[r]) * problem.existing[vm][r] as f64 * u;
        }
    }
    if let Some(toll) = toll {
        for ((waste, spread), large) in wastes.iter().zip(&spread).zip(&large) {
            let waste: f64 = asked.iter().map(|&r| toll.room[r] * waste[r] as f64).sum();
            let instead = [*spread, large.as_ref().map(|large| large.count)];
            for instead in instead.into_iter().flatten().filter(|_| spread.is_some()) {
                price += -waste * instead;
            }
        }
        for large in large.iter().flatten() {
            for (&r, &amount) in asked.iter().zip(&large.amount) {
                price += toll.large[r] * amount;
            }
        }
    }
    for (kind, &news) in problem.kinds.iter().zip(&news) {
        price += kind.cost as f64 * news;
    }
    for keep in &keeps {
        price += problem.items[keep.item].keep_cost as f64 * keep.on;
    }
    for (count, _) in &fresh {
        price += problem.create_cost as f64 * *count;
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
    for &r in asked.iter().filter(|_| toll.is_none()) {
        let mut room = Expression::from(0.0);
        for (kind, &news) in problem.kinds.iter().zip(&news) {
            room += kind.capacity[r] as f64 * news;
        }
        for (vm, &u) in used.iter().enumerate() {
            room += problem.existing[vm][r] as f64 * u;
        }
        let mut need = Expression::from(total[r] as f64);
        for ((waste, spread), large) in wastes.iter().zip(&spread).zip(&large) {
            if let Some(spread) = spread {
                // On a large VM, nothing is known to go to waste.
                let instead = large
                    .as_ref()
                    .map_or(Expression::from(*spread), |large| *spread + large.count);
                need += waste[r] as f64 * (1.0 - instead);
            }
        }
        model.add_constraint(constraint!(room >= need));
    }
    let of_large = |of: &dyn Fn(&Kind) -> f64| -> Expression {
        let kinds = problem
            .kinds
            .iter()
            .zip(&news)
            .filter(|(kind, _)| most.is_large(kind));
        kinds.map(|(kind, &news)| of(kind) * news).sum()
    };
    let any_large = large.iter().any(Option::is_some) && toll.is_none();
    for (at, &r) in asked.iter().enumerate().filter(|_| any_large) {
        let load: Expression = large.iter().flatten().map(|large| large.amount[at]).sum();
        model.add_constraint(constraint!(load <= of_large(&|kind| kind.capacity[r] as f64)));
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
        for (&r, &amount) in asked.iter().zip(&keep.amount) {
            let most = problem.items[keep.item].demand[r].min(cap[r]) as f64;
            model.add_constraint(constraint!(amount <= most * keep.on));
            if LEAST[r] > 0 {
                model.add_constraint(constraint!(amount >= LEAST[r] as f64 * keep.on));
            }
        }
    }
    let mut of_item_whole = vec![Expression::from(0.0); problem.items.len()];
    let mut of_vm_whole = vec![(Expression::from(0.0), Vec::new()); problem.existing.len()];
    for (keep, w) in keeps.iter().zip(&whole_kept) {
        let Some(w) = *w else { continue };
        let demand = problem.items[keep.item].demand;
        model.add_constraint(constraint!(w <= keep.on));
        for (&r, &amount) in asked.iter().zip(&keep.amount) {
            model.add_constraint(constraint!(amount >= demand[r] as f64 * w));
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
        for (at, &r) in asked.iter().enumerate() {
            let load: Expression = keeps.iter().map(|k| k.amount[at]).sum();
            model.add_constraint(constraint!(load <= problem.existing[vm][r] as f64 * used[vm]));
        }
    }
    for (item, it) in problem.items.iter().enumerate() {
        let (count, amount) = (fresh[item].0, &fresh[item].1);
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
        model.add_constraint(constraint!(kept.clone() + count <= it.max_nodes as f64));
        if let Some(large) = &large[item] {
            // More than it may have means that it can't do without.
            let fewest = most.fewest(it.demand).min(it.max_nodes + 1).max(it.min_nodes) as f64;
            let saved = fewest - it.min_nodes as f64;
            model.add_constraint(constraint!(large.count <= count));
            let mut least = Expression::from(fewest);
            if let Some(spread) = spread[item] {
                least += spread;
            }
            model.add_constraint(constraint!(kept + count + saved * large.count >= least));
            if toll.is_none() {
                model.add_constraint(constraint!(large.count <= of_large(&|_| 1.0)));
            }
        }
        for (at, (&r, &amount)) in asked.iter().zip(amount).enumerate() {
            let kept: Expression = of_item[item].iter().map(|k| k.amount[at]).sum();
            model.add_constraint(constraint!(kept + amount == it.demand[r] as f64));
            let most_of = |size: Amounts| it.demand[r].min(size[r]) as f64;
            match &large[item] {
                None => {
                    model.add_constraint(constraint!(amount <= most_of(most.largest) * count));
                }
                Some(large) => {
                    let own = large.amount[at];
                    model.add_constraint(constraint!(own <= most_of(most.largest) * large.count));
                    model.add_constraint(constraint!(own <= amount));
                    let (small, rest) = (most_of(most.small), count - large.count);
                    model.add_constraint(constraint!(amount - own <= small * rest));
                }
            }
            if LEAST[r] > 0 {
                model.add_constraint(constraint!(amount >= LEAST[r] as f64 * count));
            }
        }
    }
    let run = highs::run(model, Options { seconds, integer })?;
    let guide = (!run.values.is_empty()).then(|| {
        // Columns: VMs used, new VMs, then for each item its keeps (flag and amounts) and its
        // new containers (count and amounts), as they were added above.
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
                    let mut amount = LEAST;
                    for (nth, &r) in asked.iter().enumerate() {
                        amount[r] = amount[r].max(value(at + 1 + nth).floor() as i64);
                    }
                    guide.keep.push((keep.vm, keep.item, amount));
                }
                at += 1 + asked.len();
            }
            at += 1 + asked.len();
        }
        guide
    });
    let shadow = |row: usize| run.duals.get(row).copied().unwrap_or(0.0);
    let toll = || {
        let mut toll = Toll {
            room: [0.0; RESOURCES],
            large: [0.0; RESOURCES],
        };
        for (row, &r) in asked.iter().enumerate() {
            toll.room[r] = shadow(row).max(0.0);
            if any_large {
                toll.large[r] = (-shadow(asked.len() + row)).max(0.0);
            }
        }
        toll
    };
    Some(Raw {
        bound: run.bound,
        guide,
        toll: (!integer && setting.toll.is_none() && run.end == End::Optimal).then(toll),
    })
}

/// How many of these demands fit into `room` at most: the smallest of each resource count.
fn most_together(demands: &[Amounts], room: Amounts) -> usize {
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
    (0..RESOURCES).map(fit).min().unwrap_or(0)
}
