//! How well a tier suits a VM.

#![allow(clippy::indexing_slicing)] // slots are those of the packing

use crate::packing::Packing;
use crate::problem::{Pair, Problem};

/// How badly `demand` suits a slot: what it leaves, and how far that is from the proportion in
/// which both resources are needed in all.
pub fn unfit(problem: &Problem, packing: &Packing, slot: usize, demand: Pair, balance: i64) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    let left = [0, 1].map(|r| (s.free[r] - demand[r]) * 10_000 / cap[r].max(1));
    // Demand in VMs' worth, cpu against memory, in thousandths of the larger.
    let worth = [0, 1].map(|r| problem.sum[r] / cap[r].max(1));
    let largest = worth[0].max(worth[1]).max(1);
    let skew = left[0] * worth[1] / largest - left[1] * worth[0] / largest;
    left[0] + left[1] + balance * skew.abs()
}

/// Room left on a slot, the scarcer resource counting, in ten-thousandths of its size.
pub fn room(problem: &Problem, packing: &Packing, slot: usize) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    (0..2)
        .map(|r| s.free[r] * 10_000 / cap[r].max(1))
        .min()
        .unwrap_or(0)
}

/// What would be left on a slot after `demand`, both resources added up.
pub fn waste(problem: &Problem, packing: &Packing, slot: usize, demand: Pair) -> i64 {
    let s = &packing.slots[slot];
    let cap = problem.capacity(s.origin);
    (0..2)
        .map(|r| (s.free[r] - demand[r]) * 10_000 / cap[r].max(1))
        .sum()
}
