//! Reading what happened: in order, in pages, and beside the writer.

use super::*;
use crate::execute::{Reconcile, Standing};
use crate::journal::history::select;

fn ids(listed: &Listed) -> Vec<Uuid> {
    listed.executions.iter().map(|one| one.id).collect()
}

#[test]
fn pages_follow_the_order_of_beginnings_whatever_the_clock_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    // The clock steps back in between.
    let times = [50, 60, 10, 20, 55];
    let begun: Vec<Uuid> = times
        .iter()
        .map(|second| {
            let frozen = frozen_at(Timestamp::from_second(*second).unwrap());
            run(&mut journal, &frozen, frozen.created_at, Outcome::Succeeded);
            frozen.id
        })
        .collect();
    let history = journal.history();
    let newest_first: Vec<Uuid> = begun.iter().rev().copied().collect();
    let mut seen = Vec::new();
    let mut page = Page::newest(2);
    loop {
        let listed = history.executions(&page).unwrap().unwrap();
        seen.extend(ids(&listed));
        assert_eq!(listed.more, seen.len() < times.len());
        if !listed.more {
            break;
        }
        page.before = seen.last().copied();
    }
    assert_eq!(seen, newest_first);
    let since = Page {
        since: Some(Timestamp::from_second(50).unwrap()),
        ..Page::newest(2)
    };
    let listed = history.executions(&since).unwrap().unwrap();
    assert_eq!((ids(&listed), listed.more), (vec![begun[4], begun[1]], true));
    let unknown = Page {
        before: Some(Uuid::nil()),
        ..Page::newest(2)
    };
    assert_eq!(history.executions(&unknown).unwrap(), None);
}

#[test]
fn a_line_of_the_history_says_what_the_whole_record_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let outcomes = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::RolledBack,
        Outcome::RollbackFailed,
    ];
    let delete = crate::translate::Action::DeleteVm { vm: VmId::new("vm1") };
    for outcome in outcomes {
        let frozen = Frozen {
            stages: vec![vec![delete.clone()], vec![delete.clone()]],
            reconcile: (outcome == Outcome::Failed).then(|| Reconcile {
                reasons: vec!["a_b is gone".to_owned()],
                plan_of: Uuid::from_u128(1),
                since: Timestamp::UNIX_EPOCH,
                by: "planner".to_owned(),
            }),
            ..frozen()
        };
        journal.begin(&frozen).unwrap();
        let started = |action| Event::ActionStarted { action, attempt: 1 };
        let done = |action| Event::ActionSucceeded {
            action,
            finding: Finding::default(),
        };
        let mut events = vec![started(0), done(0)];
        match outcome {
            Outcome::Succeeded => events.extend([started(1), done(1)]),
            Outcome::RolledBack | Outcome::RollbackFailed => {
                let stages = vec![vec![delete.clone()]];
                events.extend([Event::RollbackBegun { stages }, started(2), done(2)]);
            }
            Outcome::Failed | Outcome::Cancelled => {}
        }
        events.push(Event::Finished { outcome });
        for event in events {
            journal.record(frozen.id, &stamped(event), &[]).unwrap();
        }
    }
    for held in [false, true] {
        let running = frozen();
        journal.begin(&running).unwrap();
        let by = By::itself();
        let mut events = vec![Event::Held {}, Event::ResumeRequested(by)];
        if held {
            events.push(Event::Held {});
        }
        for event in events {
            journal.record(running.id, &stamped(event), &[]).unwrap();
        }
    }
    let history = journal.history();
    let listed = history.executions(&Page::newest(10)).unwrap().unwrap();
    assert_eq!(listed.executions.len(), 7);
    assert_eq!(journal.unfinished().unwrap().len(), 2);
    for line in &listed.executions {
        let (frozen, events) = history.execution(line.id).unwrap().unwrap();
        let whole = crate::execute::Execution::replay(frozen, &events).unwrap();
        assert_eq!(*line, whole.summary());
    }
    let reconciled = listed.executions.iter().filter(|one| one.reconcile.is_some());
    assert_eq!(reconciled.count(), 1);
    for state in Standing::ALL {
        let only = Page {
            state: Some(state),
            ..Page::newest(10)
        };
        let listed = history.executions(&only).unwrap().unwrap();
        assert_eq!(listed.executions.len(), 1, "{state:?}");
        assert_eq!(listed.executions[0].state, state);
    }
}

#[test]
fn a_page_is_read_along_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    for state in [None, Some(Standing::Running)] {
        for since in [None, Some(Timestamp::UNIX_EPOCH)] {
            let page = Page {
                limit: 10,
                before: None,
                state,
                since,
            };
            let (text, cells) = select(&page, i64::MAX);
            let mut explain = journal
                .connection()
                .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
                .unwrap();
            let plan: Vec<String> = explain
                .query_map(rusqlite::params_from_iter(cells), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert_eq!(plan.len(), 1, "nothing is sorted: {plan:?}");
            assert!(plan[0].starts_with("SEARCH executions USING"), "{plan:?}");
        }
    }
}

#[test]
fn readers_wait_for_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let frozen = frozen();
    run(&mut journal, &frozen, Timestamp::now(), Outcome::Failed);
    let history = journal.history();
    journal.connection().execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(
        history
            .executions(&Page::newest(1))
            .unwrap()
            .unwrap()
            .executions
            .len(),
        1
    );
    assert_eq!(history.events_after(0, 100).unwrap().len(), 4);
    assert_eq!(history.newest_event().unwrap(), 4);
    assert!(history.execution(frozen.id).unwrap().is_some());
    journal.connection().execute_batch("COMMIT").unwrap();
}

#[test]
fn a_number_of_the_future_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let history = journal.history();
    assert_eq!(history.reach(0).unwrap(), Reach::Whole);
    assert_eq!(history.reach(1).unwrap(), Reach::Ahead(0));
    journal.note(&json!({ "event": "x" }), &[]).unwrap();
    assert_eq!(history.reach(1).unwrap(), Reach::Whole);
    assert_eq!(history.reach(u64::MAX).unwrap(), Reach::Ahead(1));
}
