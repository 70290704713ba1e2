//! Which first placements are worth making: VMs to open, order, and preferences.

#![allow(clippy::indexing_slicing)] // resources are counted from 0

use super::bound;
use super::construct::{self, Start};
use super::meter::Meter;
use super::problem::{Kind, Problem};
use super::resources::{Amounts, NOTHING, RESOURCES, minus, plus, within};
use super::rules::Origin;

/// How many kinds of new VM are each tried as the usual one at most.
const MOST_KINDS: usize = 4;

/// Ways to begin, the most promising first.
#[must_use]
pub fn starts(problem: &Problem, meter: &mut Meter<'_>) -> Vec<Start> {
    let order = construct::by_size(problem);
    let total = problem.total();
    // Existing VMs by how much they hold: those with the least are given up first.
    let mut by_worth: Vec<usize> = (0..problem.existing.len()).collect();
    by_worth.sort_by_key(|&v| {
        let held = problem.held.get(v).map_or(0, Vec::len);
        (std::cmp::Reverse(held), v)
    });
    let mut sum = NOTHING;
    let mut enough = Vec::new();
    for &vm in &by_worth {
        if within(total, sum) {
            break;
        }
        let cap = problem.capacity(Origin::Existing(vm));
        sum = plus(sum, cap);
        enough.push(vm);
    }
    let needed = |kind: &Kind| {
        let mut news = 0usize;
        for r in 0..RESOURCES {
            let (left, unit) = (total[r] - sum[r], kind.capacity[r]);
            if left > 0 && unit > 0 {
                news = news.max(usize::try_from((left + unit - 1) / unit).unwrap_or(usize::MAX));
            }
        }
        news
    };
    let fleet = bound::fleet(problem, meter);
    let mut wide: Vec<usize> = Vec::new();
    for r in 0..RESOURCES {
        let mut wasteful: Vec<usize> = (0..problem.items.len())
            .filter(|&i| waste(problem, i, r) > 0)
            .collect();
        wasteful.sort_by_key(|&i| (std::cmp::Reverse(waste(problem, i, r)), i));
        wide.extend(wasteful.iter().take(fleet.map_or(0, |f| f.spreads[r])));
    }
    wide.sort_unstable();
    wide.dedup();
    // With several kinds, each in turn is the usual one: first those of which enough are cheapest.
    let mut kinds: Vec<(usize, usize)> = problem
        .kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| (at, needed(kind)))
        .collect();
    kinds.sort_by_key(|&(at, news)| (problem.kinds[at].cost.saturating_mul(news as i64), at));
    kinds.truncate(MOST_KINDS);
    let left = minus(total, sum);
    let mixed = (problem.kinds.len() > 1).then(|| mixture(problem, left));
    if let [(_, news)] = kinds.as_mut_slice() {
        *news = fleet
            .filter(|f| f.used == enough.len())
            .map_or(*news, |f| f.news.max(*news));
    }
    if kinds.is_empty() {
        kinds.push((0, 0));
    }
    let mut result = Vec::new();
    for spread_first in [true, false] {
        for (open, balance, even) in [
            (&enough, 0, false),
            (&enough, 1, true),
            (&enough, 3, true),
            (&by_worth, 2, true),
        ] {
            let alike = kinds
                .iter()
                .map(|&(kind, news)| (kind, vec![kind; news.min(problem.max_new)]));
            for (kind, news) in mixed.clone().into_iter().chain(alike) {
                result.push(Start {
                    open: open.clone(),
                    news,
                    kind,
                    order: order.clone(),
                    spread_first,
                    keep: Vec::new(),
                    balance,
                    even,
                    wide: wide.clone(),
                });
            }
        }
    }
    // Where there may be few VMs, those that exist may be too small, and take the place of new ones.
    let limited = problem.max_vms < problem.existing.len().saturating_add(problem.max_new);
    if limited && !problem.existing.is_empty() && !problem.kinds.is_empty() {
        let (kind, news) = mixture(problem, total);
        result.push(Start {
            open: Vec::new(),
            news,
            kind,
            order,
            spread_first: true,
            keep: Vec::new(),
            balance: 1,
            even: true,
            wide: Vec::new(),
        });
    }
    result
}

/// VMs of several kinds with room for `left` at little cost, and the kind of which more are made: as many as are
/// filled of the kind of which enough cost least, then the same for what is left.
fn mixture(problem: &Problem, mut left: Amounts) -> (usize, Vec<usize>) {
    let mut news: Vec<usize> = Vec::new();
    let mut last = 0;
    for _ in 0..2 * problem.kinds.len() {
        let missing = |r: usize| left[r] > 0;
        let of = |kind: &Kind| {
            let capacity = kind.capacity;
            (0..RESOURCES).filter(move |&r| left[r] > 0 && capacity[r] > 0)
        };
        let needed = |kind: &Kind| {
            let each = of(kind).map(|r| left[r].saturating_add(kind.capacity[r] - 1) / kind.capacity[r]);
            each.max().unwrap_or(0)
        };
        // Those that have all that is missing, if there are any.
        let lacks = |kind: &Kind| (0..RESOURCES).any(|r| missing(r) && kind.capacity[r] == 0);
        let kinds = problem
            .kinds
            .iter()
            .enumerate()
            .filter(|(_, kind)| of(kind).next().is_some());
        let best = kinds.min_by_key(|(at, kind)| (lacks(kind), kind.cost.saturating_mul(needed(kind)), *at));
        let Some((at, kind)) = best else {
            break;
        };
        // At least one, and no more than there may be.
        let filled = of(kind)
            .map(|r| left[r] / kind.capacity[r])
            .max()
            .unwrap_or(0)
            .max(1);
        let room = problem.max_new.saturating_sub(news.len()).min(kind.max);
        let count = usize::try_from(filled).unwrap_or(usize::MAX).min(room);
        news.extend(std::iter::repeat_n(at, count));
        left = minus(left, kind.capacity.map(|has| has.saturating_mul(count as i64)));
        last = at;
    }
    (last, news)
}

fn waste(problem: &Problem, item: usize, r: usize) -> i64 {
    problem
        .items
        .get(item)
        .map_or(0, |it| it.waste.get(r).copied().unwrap_or(0))
}
