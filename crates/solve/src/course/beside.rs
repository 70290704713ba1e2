//! What proves bounds on a thread of its own, beside the improvement.

use std::sync::Arc;

use crate::knapsack;
use crate::parts;
use crate::problem::Problem;
use crate::program::{self, Pending};
use crate::relax::{self, Relaxed};

/// Up to so many existing containers the relaxation is waited for.
pub const SOON: usize = 600;
/// Up to so many it is solved as a whole, after the parts.
const WHOLE: usize = 1_000;
/// From so many tiers and containers on, the relaxation is left out: HiGHS takes some 25 kB for each, and
/// an answer must not take more than a gigabyte.
const TOO_MANY_TO_RELAX: usize = 25_000;

/// Starts the relaxation, where there are containers to keep, and the knapsacks, where all tiers are
/// pinned and a price is known (`below`). It has so many seconds.
pub fn start(
    problem: &Arc<Problem>,
    below: Option<i64>,
    containers: usize,
    seconds: f64,
) -> Option<Pending<Relaxed>> {
    let relaxable = containers > 0 && containers + problem.items.len() < TOO_MANY_TO_RELAX;
    if !relaxable && below.is_none() {
        return None;
    }
    let soon = containers <= SOON;
    let problem = Arc::clone(problem);
    program::start(seconds, move |desk| {
        let knapsack = below.and_then(|below| knapsack::floor(&problem, below, &|| desk.unwanted()));
        if let Some(bound) = knapsack {
            desk.answer(Relaxed::bound(bound));
        }
        if !relaxable || desk.unwanted() {
            return;
        }
        let linear = relax::solve(&problem, false, desk.seconds * 0.4);
        let toll = linear.as_ref().and_then(|l| l.toll);
        if let Some(linear) = linear {
            desk.answer(linear);
        }
        if desk.unwanted() {
            return;
        }
        let Some(toll) = toll.filter(|_| !soon) else {
            if let Some(whole) = relax::solve(&problem, true, desk.seconds * 0.55) {
                desk.answer(whole);
            }
            return;
        };
        // By then the search has come further than a placement begun from these would.
        if let Some(bound) = parts::solve(&problem, toll, desk.seconds * 0.45, &|| desk.unwanted()) {
            desk.answer(Relaxed::bound(bound));
        }
        if containers <= WHOLE
            && !desk.unwanted()
            && let Some(whole) = relax::solve(&problem, true, desk.seconds * 0.35)
        {
            desk.answer(Relaxed::bound(whole.bound));
        }
    })
}
