//! From the linear program to a packing: the loads that it uses most are fixed, and the rest is
//! solved again, until everything is packed or the bound of the rest says that it needs one bin too
//! many.

#![allow(clippy::indexing_slicing)] // items are numbered here

use super::first_fit;
use super::generate::Generator;
use super::repack::Load;
use crate::rng::Rng;

/// At most one bin in so many is fixed between two programs, besides those that are taken whole.
const SHARE: usize = 12;

/// Dives for a packing into `wanted` bins, and returns one that may have more. `loads` are patterns
/// that are already known.
#[must_use]
pub fn dive(
    capacity: Load,
    items: &[Load],
    loads: &[Vec<usize>],
    wanted: usize,
    rng: &mut Rng,
    spend: &dyn Fn(u64) -> bool,
) -> Vec<Vec<usize>> {
    let mut fixed: Vec<Vec<usize>> = Vec::new();
    let mut rest: Vec<usize> = (0..items.len()).collect();
    let mut known: Vec<Vec<usize>> = loads.to_vec();
    while !rest.is_empty() {
        let sizes: Vec<Load> = rest.iter().map(|&i| items[i]).collect();
        let mut place = vec![None; items.len()];
        for (at, &item) in rest.iter().enumerate() {
            place[item] = Some(at);
        }
        let begin = first_fit::best(capacity, &sizes);
        if fixed.len() + begin.len() <= wanted {
            fixed.extend(
                begin
                    .into_iter()
                    .map(|bin| bin.into_iter().map(|i| rest[i]).collect()),
            );
            rest.clear();
            break;
        }
        let Some(mut generator) = Generator::new(capacity, &sizes, &begin) else {
            break;
        };
        known.retain(|load| load.iter().all(|&item| place[item].is_some()));
        for load in &known {
            generator.add(load.iter().filter_map(|&item| place[item]).collect());
        }
        while fixed.len() + generator.bound <= wanted && generator.round(spend) {}
        if !generator.complete {
            break;
        }
        known.extend(
            generator
                .fresh()
                .map(|load| load.iter().map(|&at| rest[at as usize]).collect()),
        );
        if fixed.len() + generator.bound > wanted {
            break;
        }
        let mut taken: Vec<(f64, Vec<usize>)> = generator
            .solution()
            .into_iter()
            .map(|(load, much)| {
                let noise = rng.below(1000) as f64 * 0.0002;
                (if much > 0.999 { 2.0 } else { much + noise }, load)
            })
            .collect();
        taken.sort_by(|a, b| b.0.total_cmp(&a.0));
        let most = (wanted - fixed.len()).div_ceil(SHARE);
        let mut used = vec![false; rest.len()];
        let mut count = 0;
        for (much, load) in taken {
            if much < 1.5 && count >= most {
                break;
            }
            if load.iter().any(|&at| used[at]) {
                continue;
            }
            load.iter().for_each(|&at| used[at] = true);
            count += usize::from(much < 1.5);
            fixed.push(load.iter().map(|&at| rest[at]).collect());
        }
        let mut at = 0;
        rest.retain(|_| {
            at += 1;
            !used[at - 1]
        });
    }
    if !rest.is_empty() {
        let sizes: Vec<Load> = rest.iter().map(|&i| items[i]).collect();
        let bins = first_fit::best(capacity, &sizes);
        fixed.extend(
            bins.into_iter()
                .map(|bin| bin.into_iter().map(|i| rest[i]).collect()),
        );
    }
    fixed
}
