//! The relaxation of large re-plans, in parts: Lagrange's way of taking a program to pieces.
//!
//! What ties the VMs of the relaxation together is that all of them must have room for all
//! demand. With that condition replaced by a toll, a price for each step of room, it falls into
//! pieces that HiGHS closes one by one, and for any toll the sum of the pieces' bounds and the
//! toll on all demand is a bound on the whole. The shadow prices of the linear program are a good
//! toll. A container on a VM of another piece is counted as kept there at the usual price, but
//! takes no room; that only lowers the bound.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // indices are made here

use super::chunks;
use super::evidence::{Bound, Certificate, Prover};
use super::highs;
use super::problem::Problem;
use super::relax::{self, Setting};

/// Tiers in one part, about.
const SIZE: usize = 100;

/// A bound from the parts. `None` if a part came to nothing, or when nobody wants it any more.
#[must_use]
pub fn solve(problem: &Problem, toll: [f64; 2], seconds: f64, unwanted: &dyn Fn() -> bool) -> Option<Bound> {
    solve_by(problem, toll, seconds, SIZE, unwanted)
}

/// The same with parts of about `size` tiers.
#[must_use]
pub fn solve_by(
    problem: &Problem,
    toll: [f64; 2],
    seconds: f64,
    size: usize,
    unwanted: &dyn Fn() -> bool,
) -> Option<Bound> {
    // No new VM must pay for itself by the toll alone.
    let scales = problem.kinds.iter().map(|kind| {
        let gain = toll[0] * kind.capacity[0] as f64 + toll[1] * kind.capacity[1] as f64;
        if gain > kind.cost as f64 {
            kind.cost as f64 / gain
        } else {
            1.0
        }
    });
    let scale = scales.fold(1.0, f64::min);
    let toll = [toll[0] * scale, toll[1] * scale];
    let parts = chunks::cut(problem, size, true);
    // A new container may be on a VM of any part.
    let largest = relax::largest(problem);
    let share = seconds / parts.len().max(1) as f64;
    // The constant part: what all demand, and all waste unless avoided, pays.
    let mut bound = 0.0;
    for r in 0..2 {
        let waste: i64 = problem.items.iter().map(|it| it.waste[r]).sum();
        bound += toll[r] * (problem.sum[r] + waste) as f64;
    }
    for part in &parts {
        if unwanted() {
            return None;
        }
        let setting = Setting {
            integer: true,
            seconds: share,
            toll: Some(toll),
            elsewhere: part.elsewhere,
            largest: Some(largest),
        };
        bound += relax::program(&part.problem, setting)?.bound;
    }
    let bound = bound + problem.idle.floor() as f64;
    Some(Bound {
        value: highs::round_up(bound)?,
        by: Prover::RelaxationInParts,
        certificate: Certificate::Stated { raw: bound },
    })
}
