//! What proves bounds on a thread of its own, beside the improvement.

use std::sync::Arc;

use crate::knapsack;
use crate::parts;
use crate::portfolio::{BESIDE, Beside, Traits};
use crate::problem::Problem;
use crate::program::{self, Pending};
use crate::relax::{self, Relaxed};
use crate::tariff;

/// Starts those methods of the portfolio that are for the question; `below` is a price that is known. They have so many
/// seconds together.
pub fn start(
    problem: &Arc<Problem>,
    traits: &Traits,
    below: Option<i64>,
    seconds: f64,
) -> Option<Pending<Relaxed>> {
    let methods: Vec<(Beside, f64)> = BESIDE
        .iter()
        .filter(|aside| (aside.scope)(traits))
        .map(|aside| (aside.method, f64::from(aside.share) / 100.0))
        .collect();
    if methods.is_empty() {
        return None;
    }
    let problem = Arc::clone(problem);
    program::start(seconds, move |desk| {
        let mut toll = None;
        for (method, share) in methods {
            if desk.unwanted() {
                return;
            }
            let seconds = desk.seconds * share;
            let bound = match method {
                Beside::Knapsack => below
                    .and_then(|below| knapsack::floor(&problem, below, &|| desk.unwanted()))
                    .map(Relaxed::bound),
                Beside::Tariff => tariff::solve(&problem, seconds).map(Relaxed::bound),
                Beside::Linear => {
                    let linear = relax::solve(&problem, false, seconds);
                    toll = linear.as_ref().and_then(|linear| linear.toll);
                    linear
                }
                Beside::Whole { guides: true } => relax::solve(&problem, true, seconds),
                Beside::Whole { guides: false } => {
                    let whole = relax::solve(&problem, true, seconds);
                    whole.map(|whole| Relaxed::bound(whole.bound))
                }
                Beside::Parts => toll
                    .and_then(|toll| parts::solve(&problem, toll, seconds, &|| desk.unwanted()))
                    .map(Relaxed::bound),
            };
            if let Some(bound) = bound {
                desk.answer(bound);
            }
        }
    })
}
