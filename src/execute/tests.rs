#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn at(event: Event) -> Stamped {
    Stamped {
        at: Timestamp::UNIX_EPOCH,
        event,
    }
}

fn started(action: usize) -> Stamped {
    at(Event::ActionStarted { action, attempt: 1 })
}

fn succeeded(action: usize) -> Stamped {
    at(Event::ActionSucceeded {
        action,
        finding: Finding::default(),
    })
}

fn failed(action: usize) -> Stamped {
    at(Event::ActionFailed {
        action,
        error: "e".into(),
        code: "c".into(),
        output: None,
        left: None,
        unknown: false,
    })
}

fn finished(outcome: Outcome) -> Stamped {
    at(Event::Finished { outcome })
}

#[test]
fn an_action_is_begun_before_it_ends_and_ends_once() {
    assert!(Progress::replay(1, &[succeeded(0)]).is_err());
    assert!(Progress::replay(1, &[failed(0), started(0)]).is_err());
    assert!(Progress::replay(1, &[failed(0), failed(0)]).is_err());
    assert!(Progress::replay(1, &[started(0), succeeded(0), failed(0)]).is_err());
    assert!(Progress::replay(1, &[started(0), succeeded(0), started(0)]).is_err());
    assert!(Progress::replay(1, &[started(1)]).is_err());
    assert!(Progress::replay(1, &[started(0), started(0), succeeded(0)]).is_ok());
}

#[test]
fn what_an_action_needs_may_be_missing_before_it_is_begun() {
    let missing = Progress::replay(2, &[failed(1)]).unwrap();
    assert_eq!(
        (missing.actions[1].attempts, missing.actions[1].state),
        (0, Status::Failed)
    );
    assert!(Progress::replay(1, &[failed(0), finished(Outcome::Failed)]).is_ok());
}

#[test]
fn an_execution_succeeds_only_when_every_action_has() {
    let end = finished(Outcome::Succeeded);
    assert_eq!(
        Progress::replay(2, &[started(0), succeeded(0), end.clone()]),
        Err(Illegal::Unfinished(1))
    );
    assert!(Progress::replay(0, std::slice::from_ref(&end)).is_ok());
    assert!(Progress::replay(1, &[started(0), failed(0), finished(Outcome::Failed)]).is_ok());
    assert_eq!(Progress::replay(0, &[end.clone(), end]), Err(Illegal::Ended));
}

#[test]
fn a_plan_is_placed_anew_once_and_what_was_not_begun_is_not_done() {
    let stages = vec![vec![crate::translate::Action::DeleteVm { vm: "v".into() }]];
    let anew = at(Event::Replanned {
        from: super::Pinned::default(),
        target: crate::model::Allocation::default(),
        stages: stages.clone(),
    });
    let with = |more: &[Stamped]| Progress::replay(2, [started(0), failed(0)].iter().chain(more));
    let placed = with(std::slice::from_ref(&anew)).unwrap();
    assert_eq!((placed.leg(), placed.actions[1].state), (2, Status::Skipped));
    assert_eq!(placed.actions[1].because, Some(0));
    assert_eq!(with(&[anew.clone(), started(1)]), Err(Illegal::OnTheSecondWay(1)));
    assert_eq!(with(&[anew.clone(), anew.clone()]), Err(Illegal::Replan));
    assert_eq!(
        with(&[anew.clone(), finished(Outcome::Succeeded)]),
        Err(Illegal::Unfinished(2))
    );
    let done = [
        anew.clone(),
        started(2),
        succeeded(2),
        finished(Outcome::Succeeded),
    ];
    assert!(
        with(&done).is_ok(),
        "the VM that did not come is no failure any more"
    );
    let back = at(Event::RollbackBegun { stages });
    assert!(with(&[anew.clone(), started(2), failed(2), back.clone(), started(3)]).is_ok());
    // Not in a rollback, nor without a failure, nor after it was found impossible.
    assert_eq!(with(&[back, anew.clone()]), Err(Illegal::Replan));
    assert_eq!(
        Progress::replay(1, std::slice::from_ref(&anew)),
        Err(Illegal::Replan)
    );
    let unplaced = at(Event::ReplanFailed(super::event::Unplaced {
        error: "it does not fit".to_owned(),
        code: "infeasible".to_owned(),
        details: Vec::new(),
    }));
    assert_eq!(with(&[unplaced, anew]), Err(Illegal::Replan));
}

#[test]
fn the_way_back_is_begun_once_and_ends_in_one_of_two_ways() {
    let stages = vec![vec![crate::translate::Action::DeleteVm { vm: "v".into() }]];
    let back = at(Event::RollbackBegun { stages });
    let out = [started(0), failed(0)];
    let with = |more: &[Stamped]| Progress::replay(2, out.iter().chain(more));
    assert_eq!(with(&[back.clone(), back.clone()]), Err(Illegal::Back));
    assert_eq!(with(&[back.clone(), started(1)]), Err(Illegal::OnTheWayBack(1)));
    assert_eq!(
        with(&[back.clone(), finished(Outcome::Failed)]),
        Err(Illegal::Back)
    );
    assert_eq!(
        with(&[back.clone(), finished(Outcome::RolledBack)]),
        Err(Illegal::Unfinished(2))
    );
    assert_eq!(with(&[finished(Outcome::RolledBack)]), Err(Illegal::Back));
    assert!(
        with(&[
            back.clone(),
            started(2),
            succeeded(2),
            finished(Outcome::RolledBack)
        ])
        .is_ok()
    );
    assert!(
        with(&[
            back.clone(),
            started(2),
            failed(2),
            finished(Outcome::RollbackFailed)
        ])
        .is_ok()
    );
    assert_eq!(
        Progress::replay(1, &[started(0), back]),
        Err(Illegal::StillRunning(0))
    );
}

#[test]
fn only_what_was_not_begun_is_skipped_and_only_for_a_failure() {
    let skip = |action, because| at(Event::ActionSkipped { action, because });
    assert!(Progress::replay(2, &[skip(1, 0)]).is_err());
    assert!(Progress::replay(2, &[started(0), skip(1, 0)]).is_err());
    assert!(Progress::replay(2, &[started(0), failed(0), started(1), skip(1, 0)]).is_err());
    assert!(Progress::replay(2, &[started(0), failed(0), skip(1, 0), finished(Outcome::Failed)]).is_ok());
    assert!(
        Progress::replay(2, &[started(0), finished(Outcome::Failed)]).is_err(),
        "nothing runs at the end"
    );
}

fn event() -> impl Strategy<Value = Stamped> {
    let action = 0..3_usize;
    prop_oneof![
        4 => action.clone().prop_map(started),
        4 => action.clone().prop_map(succeeded),
        1 => action.prop_map(failed),
        1 => prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Failed), Just(Outcome::Cancelled)].prop_map(finished),
    ]
}

proptest! {
    /// A refused event changes nothing, and replaying what was accepted leads to the same state.
    #[test]
    fn the_state_is_what_its_accepted_events_make_it(events in prop::collection::vec(event(), 0..40)) {
        let mut progress = Progress::new(3);
        let mut accepted = Vec::new();
        for event in events {
            let before = progress.clone();
            match progress.apply(&event) {
                Ok(()) => accepted.push(event),
                Err(_) => prop_assert_eq!(&progress, &before),
            }
        }
        prop_assert_eq!(Progress::replay(3, &accepted).unwrap(), progress.clone());
        if progress.outcome == Some(Outcome::Succeeded) {
            prop_assert!(progress.actions.iter().all(|action| action.state == Status::Succeeded));
        }
    }
}

fn lost() -> Stamped {
    at(Event::Lost(Lost {
        vm: crate::model::VmId::new("vm1"),
        container: crate::model::TierId::new("app_tier"),
        error: "e".into(),
    }))
}

#[test]
fn an_execution_that_lost_a_container_has_not_succeeded() {
    let way = [started(0), succeeded(0), lost()];
    let end = |outcome| [way.to_vec(), vec![finished(outcome)]].concat();
    assert!(matches!(
        Progress::replay(1, &end(Outcome::Succeeded)),
        Err(Illegal::Lost(_))
    ));
    assert!(Progress::replay(1, &end(Outcome::Failed)).is_ok());
    // Lost on the way out, it may be there again on the way back.
    let back = at(Event::RollbackBegun { stages: vec![] });
    let undone = [way.to_vec(), vec![back.clone(), finished(Outcome::RolledBack)]].concat();
    assert!(Progress::replay(1, &undone).is_ok());
    let not_undone = [way.to_vec(), vec![back, lost(), finished(Outcome::RolledBack)]].concat();
    assert!(matches!(Progress::replay(1, &not_undone), Err(Illegal::Lost(_))));
}

#[test]
fn a_cancelled_execution_begins_nothing_more_and_can_only_end_as_cancelled() {
    let cancelled = at(Event::CancelRequested(By::itself()));
    let with = |more: &[Stamped]| Progress::replay(2, [started(0), cancelled.clone()].iter().chain(more));
    assert_eq!(with(&[started(1)]), Err(Illegal::Cancelled));
    // What is running is finished.
    let ended = [started(0), succeeded(0), finished(Outcome::Cancelled)];
    assert!(with(&ended).is_ok());
    for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::RolledBack] {
        assert_eq!(with(&[succeeded(0), finished(outcome)]), Err(Illegal::Cancelled));
    }
    let turn = at(Event::RollbackBegun { stages: vec![] });
    assert_eq!(with(&[succeeded(0), turn]), Err(Illegal::Cancelled));
    let other = at(Event::RollbackRequested(By::itself()));
    assert_eq!(with(&[other]), Err(Illegal::Cancelled));
}

#[test]
fn what_a_person_asked_for_is_read_back_with_who_it_was() {
    let by = By {
        name: "planner".into(),
        address: Some("10.0.0.1".into()),
        request_id: None,
    };
    for event in [
        Event::CancelRequested(by.clone()),
        Event::ResumeRequested(by.clone()),
        Event::RollbackRequested(by),
        Event::Held {},
    ] {
        let written = serde_json::to_value(at(event.clone())).unwrap();
        assert_eq!(serde_json::from_value::<Stamped>(written).unwrap().event, event);
    }
    let held = [at(Event::Held {})];
    assert!(Progress::replay(1, &held).unwrap().held);
    let chosen = [held[0].clone(), at(Event::RollbackRequested(By::itself()))];
    let progress = Progress::replay(1, &chosen).unwrap();
    assert_eq!((progress.held, progress.chosen), (false, Some(Direction::Back)));
}
