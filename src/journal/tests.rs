#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::execute::{Event, Finding, Outcome, Pinned};
use crate::model::{CoreSet, Size, TierId, Vm, VmId};

fn allocation() -> Allocation {
    let mut vm = Vm::empty(Some("127.0.0.1".into()), Size::new(2, 8));
    let held = crate::model::Container {
        size: Size::new(1, 3),
        cores: CoreSet([1].into()),
    };
    vm.used.insert(TierId::new("a_b"), held);
    Allocation {
        vms: [(VmId::new("vm1"), vm)].into(),
    }
}

fn frozen() -> Frozen {
    Frozen {
        id: Uuid::now_v7(),
        created_at: Timestamp::now(),
        plan: json!({ "a": {} }),
        from: Pinned::from(&allocation()),
        target: Allocation::default(),
        stages: vec![vec![crate::translate::Action::DeleteVm { vm: VmId::new("vm1") }]],
        hooks_revision: None,
        on_failure: crate::model::topology::OnFailure::Stop,
        on_shortage: crate::model::topology::OnShortage::Fail,
        idempotency_key: None,
        plan_id: None,
        requested_by: crate::execute::By::itself(),
    }
}

fn stamped(event: Event) -> Stamped {
    Stamped {
        at: Timestamp::now(),
        event,
    }
}

#[test]
fn what_was_kept_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let execution = frozen();
    let events = [
        stamped(Event::ActionStarted {
            action: 0,
            attempt: 1,
        }),
        stamped(Event::ActionSucceeded {
            action: 0,
            finding: Finding::default(),
        }),
    ];
    {
        let mut journal = SqliteJournal::open(folder.path()).unwrap();
        assert_eq!(journal.load().unwrap(), Kept::default());
        assert_eq!(journal.put_topology(&json!({ "x": 1 })).unwrap(), 1);
        assert_eq!(journal.put_topology(&json!({ "x": 2 })).unwrap(), 2);
        journal.begin(&execution).unwrap();
        journal.record(execution.id, &events[0], None).unwrap();
        journal
            .record(execution.id, &events[1], Some(&allocation()))
            .unwrap();
    }
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let kept = journal.load().unwrap();
    assert_eq!(kept.topology, Some(json!({ "x": 2 })));
    assert_eq!(kept.generation, 2);
    assert_eq!(kept.allocation, allocation(), "cores are kept, too");
    assert_eq!(journal.under_key("no such key").unwrap(), None);
    assert_eq!(
        journal.execution(execution.id).unwrap(),
        Some((execution.clone(), events.to_vec()))
    );
    assert_eq!(journal.unfinished().unwrap(), [execution.id]);
    journal
        .record(
            execution.id,
            &stamped(Event::Finished {
                outcome: Outcome::Failed,
            }),
            None,
        )
        .unwrap();
    assert!(journal.unfinished().unwrap().is_empty());
    assert_eq!(journal.execution(Uuid::nil()).unwrap(), None);
}

#[test]
fn executions_are_listed_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let ids: Vec<Uuid> = (0..3)
        .map(|_| {
            let execution = frozen();
            journal.begin(&execution).unwrap();
            execution.id
        })
        .collect();
    let listed: Vec<Uuid> = journal
        .executions(2)
        .unwrap()
        .into_iter()
        .map(|(frozen, _)| frozen.id)
        .collect();
    assert_eq!(listed, [ids[2], ids[1]]);
}

#[test]
fn a_second_service_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteJournal::open(folder.path()).unwrap();
    assert!(matches!(
        SqliteJournal::open(folder.path()),
        Err(JournalError::InUse(_))
    ));
    drop(first);
    assert!(SqliteJournal::open(folder.path()).is_ok());
}

#[test]
fn a_journal_of_another_version_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(folder.path()).unwrap());
    let file = folder.path().join("journal.sqlite");
    rusqlite::Connection::open(&file)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = SqliteJournal::open(folder.path()).err().unwrap();
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_and_the_old_state_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    journal.put_topology(&json!({ "x": 1 })).unwrap();
    // SQLite's own way of being full: no more pages.
    journal.limit_pages(20).unwrap();
    let large = json!("x".repeat(1_000_000));
    assert!(matches!(
        journal.put_topology(&large),
        Err(JournalError::Database(_))
    ));
    assert_eq!(journal.load().unwrap().topology, Some(json!({ "x": 1 })));
    journal.limit_pages(1_000_000).unwrap();
    assert_eq!(journal.put_topology(&large).unwrap(), 2);
}

#[test]
fn an_execution_is_found_under_its_clients_key_which_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let execution = Frozen {
        idempotency_key: Some("k".into()),
        ..frozen()
    };
    journal.begin(&execution).unwrap();
    assert_eq!(journal.under_key("k").unwrap(), Some(execution.id));
    assert_eq!(
        journal.load().unwrap().allocation,
        allocation(),
        "an execution begins with what is"
    );
    let again = Frozen {
        idempotency_key: Some("k".into()),
        ..frozen()
    };
    assert!(journal.begin(&again).is_err());
}

#[test]
fn what_was_shown_is_kept_until_many_others_were_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let seal = |number: usize| {
        let plan = json!({ "a": { "b": number } });
        let mut seal = Seal::over(
            plan,
            Default::default(),
            &allocation(),
            &frozen().stages,
            &[],
            Timestamp::now(),
        );
        seal.id = number.to_string();
        seal
    };
    let first = seal(0);
    journal.seal(&first).unwrap();
    assert_eq!(journal.sealed("0").unwrap().unwrap().plan, first.plan);
    for number in 1..1000 {
        journal.seal(&seal(number)).unwrap();
    }
    // Shown again, it is one of the newest.
    journal.seal(&first).unwrap();
    journal.seal(&seal(1000)).unwrap();
    assert!(journal.sealed("0").unwrap().is_some());
    assert!(journal.sealed("1").unwrap().is_none());
    assert!(journal.sealed("2").unwrap().is_some());
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.sealed("1000").unwrap().unwrap().stages, frozen().stages);
}
