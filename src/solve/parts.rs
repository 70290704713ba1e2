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
use super::highs;
use super::problem::Problem;
use super::relax::{self, Guide, Relaxed, Setting};

/// Tiers in one part, about.
const SIZE: usize = 100;

/// A bound from the parts, and what they would keep. `None` if a part came to nothing.
#[must_use]
pub fn solve(problem: &Problem, toll: [f64; 2], seconds: f64) -> Option<Relaxed> {
    solve_by(problem, toll, seconds, SIZE)
}

/// The same with parts of about `size` tiers.
#[must_use]
pub fn solve_by(problem: &Problem, toll: [f64; 2], seconds: f64, size: usize) -> Option<Relaxed> {
    // A new VM must not pay for itself by the toll alone.
    let gain = toll[0] * problem.new_vm[0] as f64 + toll[1] * problem.new_vm[1] as f64;
    let scale = if problem.max_new > 0 && gain > problem.new_cost as f64 {
        problem.new_cost as f64 / gain
    } else {
        1.0
    };
    let toll = [toll[0] * scale, toll[1] * scale];
    let parts = chunks::cut(problem, size, true);
    let share = seconds / parts.len().max(1) as f64;
    // The constant part: what all demand, and all waste unless avoided, pays.
    let mut bound = 0.0;
    for r in 0..2 {
        let waste: i64 = problem.items.iter().map(|it| it.waste[r]).sum();
        bound += toll[r] * (problem.sum[r] + waste) as f64;
    }
    let mut guide = Guide::default();
    let mut complete = true;
    for part in &parts {
        let setting = Setting {
            integer: true,
            seconds: share,
            toll: Some(toll),
            elsewhere: part.elsewhere,
        };
        let raw = relax::program(&part.problem, setting)?;
        bound += raw.bound;
        complete &= raw.complete;
        if let Some(kept) = raw.guide {
            let own = part.vms.len();
            guide
                .open
                .extend(kept.open.iter().filter(|&&v| v < own).map(|&v| part.vms[v]));
            let keep = kept.keep.iter().filter(|k| k.0 < own);
            guide
                .keep
                .extend(keep.map(|&(v, i, amount)| (part.vms[v], part.items[i], amount)));
        }
    }
    guide.open.sort_unstable();
    Some(Relaxed {
        floor: highs::round_up(bound)?,
        complete,
        guide: Some(guide),
        toll: None,
    })
}
