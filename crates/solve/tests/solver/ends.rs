//! How a search ends when the clock or the caller ends it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mapek_solve::{Amount, EndedBy, Limits, SolveError, solve};

use crate::generate;
use crate::solved;

/// A clock that moves on by a millisecond each time it is read.
fn ticking() -> impl Fn() -> Duration + Sync {
    let reads = AtomicU64::new(0);
    move || Duration::from_millis(reads.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_deadline_that_has_passed_still_gives_a_checked_answer() {
    let instance = generate::fresh(60, 3);
    let limits = Limits {
        deadline: Duration::ZERO,
        ..Limits::default()
    };
    let answer = solve(&instance, &limits, &ticking(), &AtomicBool::new(false)).unwrap();
    assert_eq!(answer.ended_by, EndedBy::Deadline);
    assert!(answer.bound <= answer.objective);
}

#[test]
fn the_answer_says_that_the_clock_ended_the_search() {
    let instance = generate::replan(60, 5);
    let limits = Limits {
        deadline: Duration::from_millis(40),
        ..Limits::default()
    };
    let answer = solve(&instance, &limits, &ticking(), &AtomicBool::new(false)).unwrap();
    assert_eq!(answer.ended_by, EndedBy::Deadline);
    assert!(!answer.proven_optimal);
}

#[test]
fn a_caller_who_went_away_stops_the_search() {
    let instance = generate::fresh(100, 3);
    let clock = || Duration::ZERO;
    match solve(&instance, &Limits::default(), &clock, &AtomicBool::new(true)) {
        Ok(answer) => assert!(matches!(answer.ended_by, EndedBy::Stopped | EndedBy::Proof)),
        Err(error) => assert_eq!(error, SolveError::Stopped),
    }
}

#[test]
fn the_same_input_gives_the_same_answer() {
    for instance in [
        generate::fresh(30, 7),
        generate::replan(24, 7),
        generate::pinned(20, 7),
    ] {
        let (a, b) = (solved(&instance).unwrap(), solved(&instance).unwrap());
        assert_eq!(a.placement, b.placement);
        assert_eq!(
            (a.objective, a.bound, a.ended_by),
            (b.objective, b.bound, b.ended_by)
        );
    }
}

#[test]
fn sizes_beyond_all_reason_are_refused_and_not_tried() {
    let mut instance = generate::fresh(3, 1);
    instance.tiers[0].demand = Amount::new(u32::MAX, u32::MAX);
    assert!(matches!(solved(&instance), Err(SolveError::TooLarge(n)) if n > 1_000_000));
}

#[test]
fn an_empty_plan_gives_everything_back() {
    let mut instance = generate::replan(10, 2);
    let vms = instance.vms.len() as u64;
    instance.tiers.clear();
    instance.may_stay = false;
    for vm in &mut instance.vms {
        vm.held.clear();
    }
    let answer = solved(&instance).unwrap();
    assert!(answer.placement.is_empty() && answer.proven_optimal);
    assert_eq!(answer.objective, 2 * vms);
}
