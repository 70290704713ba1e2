//! Tests of the solver through its one entry point.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_range_loop
)]

mod brute;
mod ends;
mod exact;
#[allow(dead_code)] // the families for benchmarks
mod generate;
mod hard;
mod impossible;
mod properties;
mod regressions;
mod ruled;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mapek_solve::{Answer, Instance, Limits, SolveError, solve};

/// Solves with a clock that stands still, so that only work limits end the search.
pub fn solved(instance: &Instance) -> Result<Answer, SolveError> {
    solve(
        instance,
        &Limits::default(),
        &|| Duration::ZERO,
        &AtomicBool::new(false),
    )
}
