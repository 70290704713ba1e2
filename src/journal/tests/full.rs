//! A full disk: every write is recorded completely, or not at all.

use super::*;

/// How SQLite imitates a full disk: a limit on its pages.
fn limit(journal: &SqliteJournal, pages: i64) {
    journal
        .connection()
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
}

fn large() -> Value {
    json!("x".repeat(1_000_000))
}

#[test]
fn a_full_disk_is_an_error_at_every_step_and_the_old_state_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    journal.put_topology(&json!({ "x": 1 })).unwrap();
    let running = frozen();
    journal.begin(&running).unwrap();
    let before = (journal.load().unwrap(), everything(&journal));

    let other = Frozen {
        plan: large(),
        ..frozen()
    };
    let event = stamped(Event::CloudNoted { note: large() });
    let big = Change::Vm {
        vm: VmId::new("vm3"),
        is: Vm::empty(Some("x".repeat(1_000_000)), Size::new(1, 1)),
    };
    let noted = json!({ "event": "x", "x": large() });
    type Step<'s> = (&'static str, Box<dyn Fn(&mut SqliteJournal) -> bool + 's>);
    let steps: [Step<'_>; 6] = [
        (
            "put_topology",
            Box::new(|journal| journal.put_topology(&large()).is_ok()),
        ),
        ("begin", Box::new(|journal| journal.begin(&other).is_ok())),
        (
            "record",
            Box::new(|journal| journal.record(running.id, &event, &resized()).is_ok()),
        ),
        (
            "note",
            Box::new(|journal| journal.note(&noted, &resized()).is_ok()),
        ),
        (
            "a change",
            Box::new(|journal| {
                journal
                    .note(&json!({ "event": "y" }), std::slice::from_ref(&big))
                    .is_ok()
            }),
        ),
        (
            "an engine's id",
            Box::new(|journal| {
                let engine = "x".repeat(1_000_000);
                journal.keep_engine_id(&VmId::new("vm1"), Some(&engine)).is_ok()
            }),
        ),
    ];
    for (name, step) in &steps {
        limit(&journal, sql(&journal, "PRAGMA page_count"));
        assert!(!step(&mut journal), "{name} fits nowhere");
        assert_eq!((journal.load().unwrap(), everything(&journal)), before, "{name}");
        limit(&journal, 1_000_000);
    }
    drop(journal);
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!((journal.load().unwrap(), everything(&journal)), before);
    for (name, step) in &steps {
        assert!(step(&mut journal), "there is room again: {name}");
    }
    assert_eq!(journal.engine_ids().unwrap().len(), 1);
}

/// All executions and events.
fn everything(journal: &SqliteJournal) -> (Listed, Vec<Entry>) {
    let history = journal.history();
    let listed = history.executions(&Page::newest(1000)).unwrap().unwrap();
    (listed, history.events_after(0, 1000).unwrap())
}
