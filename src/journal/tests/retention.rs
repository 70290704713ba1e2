//! What is deleted, and what never is.

use jiff::ToSpan;

use super::*;

const ALL: Retention = Retention {
    executions: 1000,
    days: 90,
};

/// Deletes all that can be deleted; returns how many executions, and how many steps it took.
fn prune(journal: &mut SqliteJournal, retention: &Retention, now: Timestamp) -> (usize, usize) {
    let (mut executions, mut steps) = (0, 0);
    loop {
        let step = journal.prune(retention, now).unwrap();
        executions += step.executions;
        steps += 1;
        if !step.more {
            return (executions, steps);
        }
        assert!(steps < 10_000, "it comes to an end");
    }
}

fn kept(journal: &SqliteJournal) -> Vec<Uuid> {
    let listed = journal
        .history()
        .executions(&Page::newest(1000))
        .unwrap()
        .unwrap();
    listed.executions.iter().rev().map(|one| one.id).collect()
}

#[test]
fn the_newest_are_kept_and_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let now = Timestamp::now();
    let mut add = |outcome, key: Option<&str>, ended: Timestamp| {
        let frozen = Frozen {
            idempotency_key: key.map(str::to_owned),
            ..frozen()
        };
        run(&mut journal, &frozen, ended, outcome);
        frozen.id
    };
    let dropped = add(Outcome::Succeeded, None, now);
    let reached = add(Outcome::Succeeded, None, now);
    let keyed = add(Outcome::Failed, Some("young"), now - 23.hours());
    let old_key = add(Outcome::Failed, Some("old"), now - 25.hours());
    let failed: Vec<Uuid> = (0..60).map(|_| add(Outcome::Failed, None, now)).collect();
    let held = frozen();
    journal.begin(&held).unwrap();

    let keep = Retention { executions: 3, ..ALL };
    let (executions, steps) = prune(&mut journal, &keep, now);
    assert_eq!(executions, 2 + 58, "{dropped}, {old_key} and most that failed");
    assert!(steps > 1, "in small steps");
    assert_eq!(kept(&journal), [reached, keyed, failed[58], failed[59], held.id]);
    assert_eq!(journal.under_key("young").unwrap(), Some(keyed));
    assert_eq!(journal.under_key("old").unwrap(), None, "the key is free again");
    assert_eq!(journal.unfinished().unwrap(), [held.id]);
    let history = journal.history();
    for id in kept(&journal) {
        let (frozen, events) = history.execution(id).unwrap().unwrap();
        let whole = crate::execute::Execution::replay(frozen, &events).unwrap();
        assert_eq!(
            whole.progress.outcome.is_none(),
            id == held.id,
            "its history is whole"
        );
    }
    assert_eq!(prune(&mut journal, &keep, now), (0, 1), "once is enough");
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(kept(&journal).len(), 5);
    assert_eq!(sql(&journal, "SELECT COUNT(*) FROM frozen"), 5);
}

#[test]
fn the_plan_that_holds_is_never_dropped_however_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let now = Timestamp::now();
    let old = now - (24 * 1000).hours();
    let wanted = frozen();
    run(&mut journal, &wanted, old, Outcome::Succeeded);
    for _ in 0..3 {
        run(&mut journal, &frozen(), old, Outcome::Cancelled);
    }
    let reconciled = Frozen {
        reconcile: Some(crate::execute::Reconcile {
            reasons: Vec::new(),
            plan_of: wanted.id,
            since: old,
            by: "planner".to_owned(),
        }),
        ..frozen()
    };
    run(&mut journal, &reconciled, old, Outcome::Succeeded);
    run(&mut journal, &frozen(), old, Outcome::Failed);
    let newest = frozen();
    run(&mut journal, &newest, old, Outcome::Failed);
    prune(&mut journal, &ALL, now);
    assert_eq!(kept(&journal), [wanted.id, reconciled.id, newest.id]);
}

#[test]
fn what_is_too_old_goes_and_events_that_are_left_can_all_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let now = Timestamp::now();
    let note = |journal: &mut SqliteJournal, at: Timestamp| {
        journal.note(&json!({ "event": "drift", "at": at }), &[]).unwrap();
    };
    note(&mut journal, now - (24 * 100).hours());
    let old = frozen();
    run(&mut journal, &old, now - (24 * 91).hours(), Outcome::Succeeded);
    note(&mut journal, now - (24 * 91).hours());
    let young = frozen();
    run(&mut journal, &young, now - (24 * 89).hours(), Outcome::Succeeded);
    note(&mut journal, now);
    let history = journal.history();
    let newest = history.newest_event().unwrap();
    assert_eq!(history.reach(0).unwrap(), Reach::Whole);

    assert_eq!(prune(&mut journal, &ALL, now).0, 1);
    assert_eq!(kept(&journal), [young.id]);
    assert_eq!(history.execution(old.id).unwrap(), None);
    let dropped_to = history.dropped_to().unwrap();
    assert_eq!(history.reach(dropped_to).unwrap(), Reach::Whole);
    assert_eq!(
        history.reach(dropped_to - 1).unwrap(),
        Reach::DroppedTo(dropped_to)
    );
    let left: Vec<u64> = history
        .events_after(dropped_to, 1000)
        .unwrap()
        .iter()
        .map(|entry| entry.seq)
        .collect();
    assert_eq!(
        left,
        (dropped_to + 1..=newest).collect::<Vec<_>>(),
        "none is missing"
    );
    assert_eq!(history.events_after(0, 1000).unwrap().len(), left.len());
}

#[test]
fn numbers_of_events_go_on_where_all_were_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let now = Timestamp::now();
    journal
        .note(&json!({ "event": "drift", "at": now }), &[])
        .unwrap();
    prune(&mut journal, &ALL, now + (24 * 91).hours());
    let history = journal.history();
    assert_eq!(history.events_after(0, 10).unwrap(), []);
    assert_eq!(history.newest_event().unwrap(), 1);
    drop(journal);
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    journal
        .note(&json!({ "event": "drift", "at": now }), &[])
        .unwrap();
    assert_eq!(journal.history().events_after(1, 10).unwrap()[0].seq, 2);
}

#[test]
fn the_file_shrinks_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let now = Timestamp::now();
    for _ in 0..100 {
        let large = Frozen {
            plan: json!("x".repeat(100_000)),
            ..frozen()
        };
        run(&mut journal, &large, now, Outcome::Failed);
    }
    let before = sql(&journal, "PRAGMA page_count");
    let keep = Retention { executions: 1, ..ALL };
    prune(&mut journal, &keep, now);
    let after = sql(&journal, "PRAGMA page_count");
    assert!(after * 5 < before, "{before} pages, then {after}");
}

#[test]
fn hooks_that_are_owed_are_kept_with_the_execution_that_they_tell_of() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let missed = frozen();
    run(&mut journal, &missed, now, Outcome::Failed);
    run(&mut journal, &frozen(), now, Outcome::Failed);
    run(&mut journal, &frozen(), now, Outcome::Succeeded);
    let since = crate::model::Since {
        execution: missed.id,
        back: false,
    };
    let mut changes = resized();
    if let Some(Change::Container { is, .. }) = changes.first_mut() {
        is.owed = crate::model::Owed {
            scale: true,
            tier: Some(since),
        };
    }
    journal.note(&json!({}), &changes).unwrap();
    let mut expected = journal.load().unwrap().allocation;
    assert_eq!(
        expected
            .container(&VmId::new("vm1"), &TierId::new("a_b"))
            .unwrap()
            .owed
            .tier,
        Some(since)
    );
    let keep = Retention { executions: 1, ..ALL };
    prune(&mut journal, &keep, now);
    assert!(kept(&journal).contains(&missed.id));
    assert_eq!(kept(&journal).len(), 2);

    // A row as written by a program that does not know of owed hooks.
    let held = r#"UPDATE containers SET held = '{"cpu_cores":2,"mem_units":3}'"#;
    journal.connection().execute_batch(held).unwrap();
    expected = expected.owing_nothing();
    assert_eq!(journal.load().unwrap().allocation, expected);
    prune(&mut journal, &keep, now);
    assert_eq!(kept(&journal).len(), 1);
}
