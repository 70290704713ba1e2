//! The packing to begin with: first fit, from the large items to the small, in a few orders.

#![allow(clippy::indexing_slicing)] // items are numbered here

use super::repack::{Load, Room};

/// The best of a few first fits.
#[must_use]
pub fn best(capacity: Load, items: &[Load]) -> Vec<Vec<usize>> {
    let room = Room { capacity };
    let sum = |w: Load| room.volume(w);
    let largest = |w: Load| (w[0] * capacity[1]).max(w[1] * capacity[0]);
    let square = |w: Load| {
        let [a, b] = [w[0] as f64 / capacity[0] as f64, w[1] as f64 / capacity[1] as f64];
        ((a * a + b * b) * 1e12) as u64
    };
    let tastes: [&dyn Fn(Load) -> u64; 3] = [&sum, &largest, &square];
    let all = tastes.iter().map(|taste| {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(taste(items[i])), i));
        in_order(capacity, items, &order)
    });
    all.min_by_key(Vec::len).unwrap_or_default()
}

fn in_order(capacity: Load, items: &[Load], order: &[usize]) -> Vec<Vec<usize>> {
    let mut bins: Vec<(Load, Vec<usize>)> = Vec::new();
    for &item in order {
        let w = items[item];
        let fits = |load: Load| load[0] + w[0] <= capacity[0] && load[1] + w[1] <= capacity[1];
        match bins.iter_mut().find(|bin| fits(bin.0)) {
            Some((load, bin)) => {
                *load = [load[0] + w[0], load[1] + w[1]];
                bin.push(item);
            }
            None => bins.push((w, vec![item])),
        }
    }
    bins.into_iter().map(|bin| bin.1).collect()
}
