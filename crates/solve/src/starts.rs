//! Which first placements are worth making: VMs to open, order, and taste.

#![allow(clippy::indexing_slicing)] // the two resources are counted 0 and 1

use super::bound;
use super::construct::{self, Start};
use super::meter::Meter;
use super::problem::Problem;

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
        let cap = problem.capacity(Some(vm));
        sum = [sum[0] + cap[0], sum[1] + cap[1]];
        enough.push(vm);
    }
    let mut news = 0usize;
    for r in 0..2 {
        let (left, unit) = match r {
            0 => (total[0] - sum[0], problem.new_vm[0]),
            _ => (total[1] - sum[1], problem.new_vm[1]),
        };
        if left > 0 && unit > 0 {
            news = news.max(usize::try_from((left + unit - 1) / unit).unwrap_or(usize::MAX));
        }
    }
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
    let news = fleet
        .filter(|f| f.used == enough.len())
        .map_or(news, |f| f.news.max(news));
    let mut result = Vec::new();
    for spread_first in [true, false] {
        for (open, balance, even) in [
            (&enough, 0, false),
            (&enough, 1, true),
            (&enough, 3, true),
            (&by_worth, 2, true),
        ] {
            result.push(Start {
                open: open.clone(),
                news,
                order: order.clone(),
                spread_first,
                keep: Vec::new(),
                balance,
                even,
                wide: wide.clone(),
            });
        }
    }
    result
}

fn waste(problem: &Problem, item: usize, r: usize) -> i64 {
    problem
        .items
        .get(item)
        .map_or(0, |it| it.waste.get(r).copied().unwrap_or(0))
}
