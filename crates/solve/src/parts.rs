//! The relaxation of large re-plans, in parts: Lagrange's method of splitting a program.
//!
//! The VMs of the relaxation are connected by one condition: all of them together must have room
//! for all demand. If that condition is replaced by a toll, a price for each step of room, the
//! program falls into pieces that HiGHS solves one by one. For any toll, the sum of the pieces'
//! bounds and the toll on all demand is a bound on the whole. The shadow prices of the linear
//! program are a good toll. A container on a VM of another piece counts as kept there at the usual
//! price, but takes no room; that only lowers the bound.

#![allow(clippy::indexing_slicing, clippy::needless_range_loop)] // indices are made here

use super::chunks;
use super::evidence::{Bound, Certificate, Prover};
use super::highs;
use super::problem::Problem;
use super::relax::{self, Most, Setting, Toll};

/// Tiers in one part, about.
const SIZE: usize = 100;

/// A bound from the parts. `None` if a part had no result, or when nobody wants it any more.
#[must_use]
pub fn solve(problem: &Problem, toll: Toll, seconds: f64, unwanted: &dyn Fn() -> bool) -> Option<Bound> {
    solve_by(problem, toll, seconds, SIZE, unwanted)
}

/// The same with parts of about `size` tiers.
#[must_use]
pub fn solve_by(
    problem: &Problem,
    toll: Toll,
    seconds: f64,
    size: usize,
    unwanted: &dyn Fn() -> bool,
) -> Option<Bound> {
    // The toll alone must not pay for a new VM.
    let most = Most::of(problem);
    let scales = problem.kinds.iter().map(|kind| {
        let large = if most.is_large(kind) { 1.0 } else { 0.0 };
        let step = |r: usize| toll.room[r] + large * toll.large[r];
        let gain: f64 = problem
            .asked
            .iter()
            .map(|&r| step(r) * kind.capacity[r] as f64)
            .sum();
        if gain > kind.cost as f64 {
            kind.cost as f64 / gain
        } else {
            1.0
        }
    });
    let scale = scales.fold(1.0, f64::min);
    let toll = Toll {
        room: toll.room.map(|each| each * scale),
        large: toll.large.map(|each| each * scale),
    };
    let parts = chunks::cut(problem, size, true);
    let share = seconds / parts.len().max(1) as f64;
    // The constant part: what is paid for all demand, and for all waste unless it is avoided.
    let mut bound = 0.0;
    for &r in &problem.asked {
        let waste: i64 = problem.items.iter().map(|it| most.waste(it)[r]).sum();
        bound += toll.room[r] * (problem.sum[r] + waste) as f64;
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
            // A new container may be on a VM of any part.
            most: Some(most),
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
