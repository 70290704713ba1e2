#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::execute::{By, Event, Finding, Outcome, Pinned};
use crate::model::{CoreSet, Size, TierId, Vm, VmId};

mod backup;
mod cost;
mod full;
mod history;
mod intents;
mod migrate;
mod model;
mod retention;
mod secrecy;

fn allocation() -> Allocation {
    let mut vm = Vm::empty(Some("127.0.0.1".into()), Size::new(2, 8));
    let held = crate::model::Container {
        size: Size::new(1, 3),
        cores: CoreSet([1].into()),
        owed: Default::default(),
        revision: None,
        addresses: None,
        digest: None,
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
        generation: 1,
        from: Pinned::from(&allocation()),
        target: Allocation::default(),
        stages: vec![vec![crate::translate::Action::DeleteVm { vm: VmId::new("vm1") }]],
        hooks_revision: None,
        on_failure: crate::model::topology::OnFailure::Stop,
        on_shortage: crate::model::topology::OnShortage::Fail,
        idempotency_key: None,
        fingerprint: None,
        plan_id: None,
        requested_by: By {
            name: "planner".to_owned(),
            ..By::default()
        },
        reconcile: None,
        intent: None,
    }
}

/// What makes a_b larger, and adds a VM with nothing on it.
fn resized() -> Vec<Change> {
    let is = crate::model::Container {
        size: Size::new(2, 3),
        cores: CoreSet([0, 1].into()),
        owed: Default::default(),
        revision: None,
        addresses: None,
        digest: None,
    };
    let (vm, tier) = (VmId::new("vm1"), TierId::new("a_b"));
    let new = Change::Vm {
        vm: VmId::new("vm2"),
        is: Vm::empty(None, Size::new(2, 8)),
    };
    vec![Change::Container { vm, tier, is }, new]
}

/// An execution of one action that has ended with this outcome, and its events.
fn run(journal: &mut SqliteJournal, frozen: &Frozen, at: Timestamp, outcome: Outcome) {
    journal.begin(frozen).unwrap();
    let events = [
        Event::ActionStarted {
            action: 0,
            attempt: 1,
        },
        Event::ActionSucceeded {
            action: 0,
            finding: Finding::default(),
        },
        Event::Finished { outcome },
    ];
    for event in events {
        journal.record(frozen.id, &Stamped { at, event }, &[]).unwrap();
    }
}

/// An execution that began at this time.
fn frozen_at(at: Timestamp) -> Frozen {
    Frozen {
        created_at: at,
        ..frozen()
    }
}

fn sql(journal: &SqliteJournal, query: &str) -> i64 {
    journal
        .connection()
        .query_row(query, [], |row| row.get(0))
        .unwrap()
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
        journal.record(execution.id, &events[0], &[]).unwrap();
        journal.record(execution.id, &events[1], &resized()).unwrap();
    }
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let kept = journal.load().unwrap();
    assert_eq!(kept.topology, Some(json!({ "x": 2 })));
    assert_eq!(kept.generation, 2);
    let mut wanted = allocation();
    resized().iter().for_each(|change| wanted.apply(change));
    assert_eq!(kept.allocation, wanted, "cores are kept, too");
    assert_eq!(journal.under_key("no such key").unwrap(), None);
    assert_eq!(
        journal.history().execution(execution.id).unwrap(),
        Some((execution.clone(), events.to_vec()))
    );
    assert_eq!(journal.unfinished().unwrap(), [execution.id]);
    journal
        .record(
            execution.id,
            &stamped(Event::Finished {
                outcome: Outcome::Failed,
            }),
            &[],
        )
        .unwrap();
    assert!(journal.unfinished().unwrap().is_empty());
    assert_eq!(journal.history().execution(Uuid::nil()).unwrap(), None);
}

#[test]
fn the_owner_and_the_engines_ids_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let owner = journal.owner();
    assert!(!owner.is_nil());
    let (one, other) = (VmId::new("vm1"), VmId::new("vm2"));
    journal.keep_engine_id(&one, Some("A:1")).unwrap();
    journal.keep_engine_id(&one, Some("A:2")).unwrap();
    journal.keep_engine_id(&other, Some("B")).unwrap();
    journal.keep_engine_id(&other, None).unwrap();
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.owner(), owner);
    assert_eq!(journal.engine_ids().unwrap(), [(one, "A:2".to_owned())].into());
    let other = tempfile::tempdir().unwrap();
    assert_ne!(SqliteJournal::open(other.path()).unwrap().owner(), owner);
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
    // When it is shown again, it is one of the newest.
    journal.seal(&first).unwrap();
    journal.seal(&seal(1000)).unwrap();
    assert!(journal.sealed("0").unwrap().is_some());
    assert!(journal.sealed("1").unwrap().is_none());
    assert!(journal.sealed("2").unwrap().is_some());
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.sealed("1000").unwrap().unwrap().stages, frozen().stages);
}

#[test]
fn the_newest_execution_is_the_one_that_was_kept_last_whatever_the_clock_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.newest(None).unwrap(), None);
    let newer = frozen();
    let older = Frozen {
        id: Uuid::from_u128(1),
        ..frozen_at(Timestamp::UNIX_EPOCH)
    };
    for execution in [&newer, &older] {
        run(&mut journal, execution, Timestamp::now(), Outcome::Succeeded);
    }
    assert_eq!(journal.newest(None).unwrap(), Some(older.id));
    assert_eq!(journal.newest(Some(Outcome::Succeeded)).unwrap(), Some(older.id));
    assert_eq!(journal.newest(Some(Outcome::Failed)).unwrap(), None);
}
