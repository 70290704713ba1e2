//! Which first placements are worth making: VMs to open, order, and taste.

#![allow(clippy::indexing_slicing)] // the two resources are counted 0 and 1

use super::bound;
use super::construct::{self, Start};
use super::meter::Meter;
use super::problem::{Kind, Pair, Problem};
use super::rules::Origin;

/// Most kinds of new VM of which each is tried as the usual one.
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
    let mut sum = [0i64; 2];
    let mut enough = Vec::new();
    for &vm in &by_worth {
        if sum[0] >= total[0] && sum[1] >= total[1] {
            break;
        }
        let cap = problem.capacity(Origin::Existing(vm));
        sum = [sum[0] + cap[0], sum[1] + cap[1]];
        enough.push(vm);
    }
    let needed = |kind: &Kind| {
        let mut news = 0usize;
        for r in 0..2 {
            let (left, unit) = (total[r] - sum[r], kind.capacity[r]);
            if left > 0 && unit > 0 {
                news = news.max(usize::try_from((left + unit - 1) / unit).unwrap_or(usize::MAX));
            }
        }
        news
    };
    let fleet = bound::fleet(problem, meter);
    let mut wide: Vec<usize> = Vec::new();
    for r in 0..2 {
        let mut wasteful: Vec<usize> = (0..problem.items.len())
            .filter(|&i| waste(problem, i, r) > 0)
            .collect();
        wasteful.sort_by_key(|&i| (std::cmp::Reverse(waste(problem, i, r)), i));
        wide.extend(wasteful.iter().take(fleet.map_or(0, |f| f.spreads[r])));
    }
    wide.sort_unstable();
    wide.dedup();
    // With several kinds, one after the other is made the usual one: those first of which enough cost least.
    let mut kinds: Vec<(usize, usize)> = problem
        .kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| (at, needed(kind)))
        .collect();
    kinds.sort_by_key(|&(at, news)| (problem.kinds[at].cost.saturating_mul(news as i64), at));
    kinds.truncate(MOST_KINDS);
    let left = [0, 1].map(|r| total[r] - sum[r]);
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
fn mixture(problem: &Problem, mut left: Pair) -> (usize, Vec<usize>) {
    let mut news: Vec<usize> = Vec::new();
    let mut last = 0;
    for _ in 0..2 * problem.kinds.len() {
        let share = |kind: &Kind, r: usize| left[r].max(0) / kind.capacity[r].max(1);
        let needed = |kind: &Kind| {
            let up = |r: usize| left[r].max(0).saturating_add(kind.capacity[r] - 1) / kind.capacity[r].max(1);
            up(0).max(up(1))
        };
        let kinds = problem.kinds.iter().enumerate();
        let best = kinds.min_by_key(|(at, kind)| (kind.cost.saturating_mul(needed(kind)), *at));
        let Some((at, kind)) = best.filter(|_| left[0] > 0 || left[1] > 0) else {
            break;
        };
        // At least one, and no more than there may be.
        let filled = share(kind, 0).max(share(kind, 1)).max(1);
        let room = problem.max_new.saturating_sub(news.len()).min(kind.max);
        let count = usize::try_from(filled).unwrap_or(usize::MAX).min(room);
        news.extend(std::iter::repeat_n(at, count));
        left = [0, 1].map(|r| left[r] - kind.capacity[r].saturating_mul(count as i64));
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
