//! Tests of the solver through its one entry point.

mod brute;
mod exact;
mod generate;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mapek::solve::{Answer, Instance, Limits, SolveError, solve};

/// Solves with a clock that stands still: only work limits end the search.
pub fn solved(instance: &Instance) -> Result<Answer, SolveError> {
    solve(
        instance,
        &Limits::default(),
        &|| Duration::ZERO,
        &AtomicBool::new(false),
    )
}
