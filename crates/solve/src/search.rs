//! One solve, from the question to a checked answer.
//!
//! Nothing leaves here unverified, and nothing is called impossible without a proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::answer::Answer;
use super::bound;
use super::course::{Aim, Course};
use super::explain::{self, Infeasible};
use super::instance::Instance;
use super::meter::UNLIMITED;
use super::problem::Problem;
use super::repair::{self, Tried};
use super::terms::{Limits, SolveError};
use super::watch::Watch;

/// Finds the cheapest placement it can until the deadline.
///
/// `clock` returns the time since any fixed moment, and `limits.deadline` is such a time. When
/// `stop` becomes true, the search soon ends with what it has.
pub fn solve(
    instance: &Instance,
    limits: &Limits,
    clock: &(dyn Fn() -> Duration + Sync),
    stop: &AtomicBool,
) -> Result<Answer, SolveError> {
    let spent = AtomicU64::new(0);
    let watch = Watch::new(clock, stop, &spent, limits.deadline);
    let mut why = match attempt(instance, limits, watch, Aim::Best) {
        Err(SolveError::Infeasible(why)) => why,
        other => return other,
    };
    let hasty = Limits {
        exact: false,
        ..*limits
    };
    why.repair = repair::find(instance, &why, |changed| {
        if watch.cut().is_some() {
            return None;
        }
        match attempt(changed, &hasty, watch.within(REPAIR_TRY), Aim::Any) {
            Ok(_) => Some(Tried::Solved),
            Err(SolveError::Infeasible(why)) => Some(Tried::Reasons(
                why.reasons.iter().map(|r| (r.code, r.tier)).collect(),
            )),
            Err(_) => None,
        }
    });
    Err(why.into())
}

/// How long one changed question may be looked at in search of a repair.
const REPAIR_TRY: Duration = Duration::from_millis(250);

/// Solves without looking for a repair.
fn attempt(instance: &Instance, limits: &Limits, watch: Watch<'_>, aim: Aim) -> Result<Answer, SolveError> {
    let mut meter = watch.grace().meter(UNLIMITED);
    let reasons = explain::certain(instance, &mut meter);
    drop(meter);
    if !reasons.is_empty() {
        return Err(Infeasible {
            reasons,
            repair: None,
        }
        .into());
    }
    let problem = Arc::new(Problem::new(instance));
    if let Some(needed) = bound::too_many(&problem) {
        return Err(SolveError::TooLarge(needed));
    }
    let mut course = Course::new(instance, &problem, watch, limits.seed);
    if let Some(packing) = course.unchanged() {
        return course.stay(packing);
    }
    let ended = course.run(limits, aim)?;
    course.answer(ended)
}
