//! How well a tier suits a VM.

#![allow(clippy::indexing_slicing)] // slots are those of the packing

use crate::packing::Packing;
use crate::problem::Problem;
use crate::resources::{Amounts, LEAST, RESOURCES};

/// How badly `demand` suits a slot: what it leaves, and how far that is from the proportion in
/// which all resources are needed overall.
pub fn unfit(problem: &Problem, packing: &Packing, slot: usize, demand: Amounts, balance: i64) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    let left = |r: usize| (s.free[r] - demand[r]) * 10_000 / cap[r].max(1);
    // Demand in VMs' worth, one resource against the other, as shares of the largest.
    let worth = |r: usize| problem.sum[r] / cap[r].max(1);
    let largest = problem.asked.iter().map(|&r| worth(r)).max().unwrap_or(0).max(1);
    let mut sum = 0;
    let mut skew = 0;
    for (at, &a) in problem.asked.iter().enumerate() {
        sum += left(a);
        for &b in &problem.asked[..at] {
            let apart = left(b) * worth(a) / largest - left(a) * worth(b) / largest;
            skew = skew.max(apart.abs());
        }
    }
    sum + balance * skew
}

/// Room left on a slot, the scarcest resource that counts for a demand, in ten-thousandths of its size.
pub fn room(problem: &Problem, packing: &Packing, slot: usize, demand: Amounts) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    (0..RESOURCES)
        .filter(|&r| LEAST[r] > 0 || demand[r] > 0)
        .map(|r| s.free[r] * 10_000 / cap[r].max(1))
        .min()
        .unwrap_or(0)
}

/// What would be left on a slot after `demand`, all resources added up.
pub fn waste(problem: &Problem, packing: &Packing, slot: usize, demand: Amounts) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    let asked = problem.asked.iter();
    asked
        .map(|&r| (s.free[r] - demand[r]) * 10_000 / cap[r].max(1))
        .sum()
}
