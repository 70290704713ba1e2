#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::execute::{Bindings, Confirmed, Event, Finding, FoundVm, Left, Pinned, confirm, settle};
use crate::execute::{Frozen, Outcome, confirmed};
use crate::fault::Code;
use crate::journal::SqliteJournal;
use crate::model::by_hand::ByHand;
use crate::model::intent::Wanted;
use crate::model::intent::{Intent, State};
use crate::model::{Allocation, TierId, VmId};
use crate::model::{CoreSet, Size, Vm};
use crate::service::desired::Desired;
use crate::translate::Action;
use uuid::Uuid;

fn topology() -> Topology {
    let tiers: serde_json::Map<String, Value> = (0..5)
        .map(|tier| (format!("tier{tier}"), json!({ "docker_image": "nginx" })))
        .collect();
    let document = json!({
        "infrastructure": { "cpu_cores": 8, "mem_units": 32 },
        "apps": [{ "name": "shop", "tiers": tiers }]
    });
    Topology::parse(&document).unwrap().topology
}

/// So many VMs with five containers each.
fn fleet(vms: usize) -> Allocation {
    let vm = |index: usize| {
        let mut vm = Vm::empty(Some("10.0.0.1".to_owned()), Size::new(8, 32));
        for tier in 0..5 {
            let tier = TierId::of("shop", &format!("tier{tier}"));
            vm.used.insert(tier, Size::new(1, 2).into());
        }
        (VmId::new(&format!("vm{index}")), vm)
    };
    Allocation {
        vms: (0..vms).map(vm).collect(),
    }
}

fn update(vm: &str, mem: u64) -> Action {
    Action::UpdateContainer {
        vm: VmId::new(vm),
        container: TierId::new("shop_tier1"),
        size: Size::new(2, mem),
        cores: CoreSet([0, 1].into()),
        was: Size::new(1, 2),
        was_cores: CoreSet::default(),
    }
}

fn frozen(from: &Allocation, actions: Vec<Action>) -> Frozen {
    Frozen {
        id: Uuid::now_v7(),
        created_at: Timestamp::now(),
        plan: json!({}),
        generation: 1,
        from: Pinned::from(from),
        target: Allocation::default(),
        stages: vec![actions],
        hooks_revision: None,
        on_failure: Default::default(),
        on_shortage: Default::default(),
        idempotency_key: None,
        fingerprint: None,
        plan_id: None,
        requested_by: By::itself(),
        reconcile: None,
        intent: None,
    }
}

fn at(event: Event) -> Stamped {
    let at = Timestamp::now();
    Stamped { at, event }
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

/// A store in which an execution over a fleet has just begun.
fn begun(
    folder: &std::path::Path,
    vms: usize,
    actions: Vec<Action>,
) -> (Store, watch::Receiver<Arc<Snapshot>>, Uuid) {
    let journal = SqliteJournal::open(folder).unwrap();
    let (mut store, snapshot) = Store::open(Box::new(journal), Arc::new(crate::outside::System)).unwrap();
    store.put_topology(topology(), &By::itself(), None).unwrap();
    let frozen = frozen(&fleet(vms), actions);
    let now = store.now();
    store.begin(&frozen, &now, None).unwrap();
    (store, snapshot, frozen.id)
}

/// Where the allocation lies.
fn place(snapshot: &watch::Receiver<Arc<Snapshot>>) -> *const Allocation {
    Arc::as_ptr(&snapshot.borrow().allocation)
}

#[test]
fn an_event_changes_the_state_in_place_and_copies_it_only_for_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let actions = vec![update("vm7", 3), update("vm8", 4)];
    let (mut store, snapshot, id) = begun(folder.path(), 1000, actions);
    let (before, revision) = (place(&snapshot), snapshot.borrow().revision);
    store.record(id, &started(0)).unwrap();
    store.record(id, &succeeded(0)).unwrap();
    assert_eq!(place(&snapshot), before, "nothing is copied");
    let tier = TierId::new("shop_tier1");
    let held = snapshot.borrow().clone();
    assert_eq!(held.revision, revision + 1);
    let memory = |now: &Snapshot, vm: &str| now.allocation.container(&VmId::new(vm), &tier).unwrap().size.mem;
    assert_eq!(memory(&held, "vm7"), 3);

    store.record(id, &started(1)).unwrap();
    store.record(id, &succeeded(1)).unwrap();
    assert_eq!(memory(&held, "vm8"), 2, "who holds it sees what was");
    assert_eq!(memory(&snapshot.borrow(), "vm8"), 4);
    drop(held);
    let after = place(&snapshot);
    let outcome = crate::execute::Outcome::Succeeded;
    store.record(id, &at(Event::Finished { outcome })).unwrap();
    assert_eq!(place(&snapshot), after);

    let mut wanted = fleet(1000);
    for (vm, mem) in [("vm7", 3), ("vm8", 4)] {
        let held = wanted.vms.get_mut(vm).unwrap().used.get_mut(&tier).unwrap();
        held.size = Size::new(2, mem);
        held.cores = CoreSet([0, 1].into());
    }
    assert_eq!(*snapshot.borrow().allocation, wanted);
    drop(store);
    let kept = SqliteJournal::open(folder.path()).unwrap().load().unwrap();
    assert_eq!(kept.allocation, wanted, "what is on disk is what was published");
}

#[test]
fn what_was_taken_back_while_it_was_worked_out_is_not_begun_and_stays_over() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let (mut store, _snapshot) = Store::open(Box::new(journal), Arc::new(crate::outside::System)).unwrap();
    store.put_topology(topology(), &By::itself(), None).unwrap();
    let pending = Intent {
        id: Uuid::now_v7(),
        wanted: Wanted::Drain {
            node: VmId::new("vm0"),
        },
        state: State::Pending,
        execution: None,
        reasons: Vec::new(),
        by: "operator".to_owned(),
        created_at: Timestamp::now(),
        changed_at: Timestamp::now(),
    };
    let mut drain = frozen(&fleet(1), vec![update("vm0", 3)]);
    drain.intent = Some(pending.id);
    store.keep_intent(pending.clone(), None).unwrap();
    let mut taken_back = pending.clone();
    taken_back.state = State::Refused;
    store.keep_intent(taken_back, None).unwrap();

    let now = store.now();
    let fault = store.begin(&drain, &now, None).unwrap_err();
    assert_eq!(fault.code, Code::Cancelled);
    store.keep_if_open(pending.clone()).unwrap();
    assert!(store.open_intents().is_empty());

    // One that is open is begun.
    store.keep_intent(pending, None).unwrap();
    let now = store.now();
    store.begin(&drain, &now, None).unwrap();
    assert_eq!(store.open_intents()[0].state, State::Running);
}

#[test]
fn an_event_that_can_not_be_kept_has_not_happened() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, snapshot, id) = begun(folder.path(), 3, vec![update("vm1", 3)]);
    store.record(id, &started(0)).unwrap();
    let before = (snapshot.borrow().clone(), store.unfinished(id).unwrap());
    let other = rusqlite::Connection::open(folder.path().join("journal.sqlite")).unwrap();
    other.execute_batch("ALTER TABLE events RENAME TO away").unwrap();
    for event in [
        succeeded(0),
        at(Event::CloudNoted { note: json!(1) }),
        at(Event::Resumed {}),
    ] {
        let fault = store.record(id, &event).unwrap_err();
        assert_eq!(fault.code, Code::JournalUnavailable);
        assert_eq!(store.unfinished(id).unwrap(), before.1);
        assert_eq!(snapshot.borrow().allocation, before.0.allocation);
        assert_eq!(snapshot.borrow().revision, before.0.revision);
    }
    other.execute_batch("ALTER TABLE away RENAME TO events").unwrap();
    store.record(id, &succeeded(0)).unwrap();
    assert_eq!(snapshot.borrow().revision, before.0.revision + 1);
}

/// Every kind of event that confirms something, of VMs that are there, planned, or neither.
fn events() -> impl Strategy<Value = (Action, Event)> {
    let vm = prop_oneof!["vm[0-3]", "new_vm[01]"].prop_map(|name| VmId::new(&name));
    let tier = "shop_tier[0-6]".prop_map(|name| TierId::new(&name));
    let size = (1u32..4, 1u64..4).prop_map(|(cpu, mem)| Size::new(cpu, mem));
    let cores = CoreSet([1].into());
    let action = (vm, tier, size, 0..5).prop_map(move |(vm, container, size, kind)| {
        let (cores, was_cores, was) = (cores.clone(), CoreSet::default(), size);
        match kind {
            0 => Action::CreateVm { vm },
            1 => Action::DeleteVm { vm },
            2 => Action::CreateContainer {
                vm,
                container,
                size,
                cores,
                revision: None,
                digest: None,
            },
            3 => Action::UpdateContainer {
                vm,
                container,
                size,
                cores,
                was,
                was_cores,
            },
            _ => Action::DeleteContainer {
                vm,
                container,
                was,
                was_cores,
                hooks: Vec::new(),
            },
        }
    });
    let found = prop::option::of("i-[0-2]").prop_map(|name| {
        name.map(|name| FoundVm {
            name: VmId::new(&name),
            ip: None,
            endpoint: "tcp://10.0.0.9:2375".to_owned(),
        })
    });
    let left = prop_oneof![
        Just(Left::Nothing),
        (1u32..3).prop_map(|cpu| Left::Container {
            size: Size::new(cpu, 1),
            cores: CoreSet::default(),
            revision: None,
            addresses: None,
            digest: None,
        })
    ];
    (action, found, prop::option::of(left)).prop_map(|(action, vm, left)| {
        let event = match left {
            None => Event::ActionSucceeded {
                action: 0,
                finding: Finding {
                    vm,
                    ..Finding::default()
                },
            },
            left => Event::ActionFailed {
                action: 0,
                error: String::new(),
                code: String::new(),
                output: None,
                left,
                unknown: false,
            },
        };
        (action, event)
    })
}

proptest! {
    /// Looking at one VM comes to the same as taking the event into the whole.
    #[test]
    fn what_an_event_confirms_is_what_it_changes_in_the_whole(
        events in prop::collection::vec(events(), 1..12),
    ) {
        let topology = topology();
        let (mut whole, mut names) = (fleet(3), Bindings::new());
        let (mut small, mut bound) = (whole.clone(), names.clone());
        for (action, event) in events {
            match &event {
                Event::ActionSucceeded { finding, .. } => {
                    confirm(&mut whole, &mut names, topology.infrastructure.vm, &action, finding);
                }
                Event::ActionFailed { left: Some(left), .. } => settle(&mut whole, &names, &action, left),
                _ => {}
            }
            let execution = Execution::replay(frozen(&fleet(0), vec![action]), &[]).unwrap();
            let Confirmed { changes, bound: new } = confirmed(&topology, &execution, &event, &small, &bound);
            for change in &changes {
                small.apply(change);
            }
            bound.extend(new);
            prop_assert_eq!(&small, &whole);
            prop_assert_eq!(&bound, &names);
        }
    }
}

#[test]
fn the_plan_that_holds_is_the_one_recorded_last_however_the_clock_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let journal = SqliteJournal::open(folder.path()).unwrap();
        Store::open(Box::new(journal), Arc::new(crate::outside::System)).unwrap()
    };
    let (mut store, snapshot) = open();
    store.put_topology(topology(), &By::itself(), None).unwrap();
    // The clock steps back by years in between: the second has the earlier time, and the smaller id.
    for (number, at) in [(2_u128, "2030-01-01T00:00:00Z"), (1, "2020-01-01T00:00:00Z")] {
        let at: Timestamp = at.parse().unwrap();
        let frozen = Frozen {
            id: Uuid::from_u128(number),
            created_at: at,
            plan: json!({ "number": u64::try_from(number).unwrap() }),
            ..frozen(&Allocation::default(), Vec::new())
        };
        let now = store.now();
        store.begin(&frozen, &now, None).unwrap();
        let outcome = Outcome::Succeeded;
        let event = Event::Finished { outcome };
        store.record(frozen.id, &Stamped { at, event }).unwrap();
    }
    let wanted = |snapshot: &watch::Receiver<Arc<Snapshot>>| {
        let now = snapshot.borrow();
        let plan = |desired: &Option<Arc<Desired>>| desired.as_ref().unwrap().plan["number"].clone();
        (plan(&now.desired), plan(&now.reached))
    };
    assert_eq!(wanted(&snapshot), (json!(1), json!(1)));
    drop(store);
    assert_eq!(wanted(&open().1), (json!(1), json!(1)));
}

#[test]
fn what_an_execution_did_not_come_to_tell_is_known_until_one_succeeds_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let lb = TierId::new("shop_tier1");
    let tell = || Action::RunTierHook {
        vm: VmId::new("vm1"),
        container: TierId::new("shop_tier1"),
        hook: crate::model::topology::HookName("pool.sh".to_owned()),
        leaving: Vec::new(),
    };
    let (mut store, snapshot, id) = begun(folder.path(), 3, vec![update("vm2", 3), tell()]);
    store.record(id, &started(0)).unwrap();
    store.record(id, &succeeded(0)).unwrap();
    store
        .record(
            id,
            &at(Event::Finished {
                outcome: Outcome::Failed,
            }),
        )
        .unwrap();
    assert_eq!(*snapshot.borrow().untold, [lb.clone()].into());
    drop(store);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let (mut store, snapshot) = Store::open(Box::new(journal), Arc::new(crate::outside::System)).unwrap();
    assert_eq!(*snapshot.borrow().untold, [lb].into());
    let next = frozen(&fleet(3), Vec::new());
    let now = store.now();
    store.begin(&next, &now, None).unwrap();
    let outcome = Outcome::Succeeded;
    store.record(next.id, &at(Event::Finished { outcome })).unwrap();
    assert!(snapshot.borrow().untold.is_empty());
}

#[test]
fn what_the_service_begins_by_itself_does_not_undo_a_plan_that_came_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, snapshot, id) = begun(folder.path(), 3, vec![update("vm1", 3)]);
    store.record(id, &started(0)).unwrap();
    store.record(id, &succeeded(0)).unwrap();
    let outcome = Outcome::Succeeded;
    store.record(id, &at(Event::Finished { outcome })).unwrap();
    let before = store.now();
    let by_itself = |before: &Snapshot| Frozen {
        reconcile: Some(before.reached.as_ref().unwrap().reconcile(Vec::new())),
        ..frozen(&before.allocation, Vec::new())
    };
    let stale = by_itself(&before);
    // It asks for what is there, so that nothing but the plan changes.
    let other = frozen(&before.allocation, Vec::new());
    store.begin(&other, &before, None).unwrap();
    store.record(other.id, &at(Event::Finished { outcome })).unwrap();
    assert_eq!(snapshot.borrow().revision, before.revision);
    let refused = store.begin(&stale, &before, None).unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    let now = store.now();
    store.begin(&by_itself(&now), &now, None).unwrap();
}

#[test]
fn what_a_plan_changed_besides_is_noted_after_a_kill_right_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let journal = SqliteJournal::open(folder.path()).unwrap();
        Store::open(Box::new(journal), Arc::new(crate::outside::System)).unwrap()
    };
    let (mut store, _snapshot) = open();
    store.put_topology(topology(), &By::itself(), None).unwrap();
    let (named, other) = (TierId::new("shop_tier1"), TierId::new("shop_tier2"));
    let mut by_hand = ByHand::default();
    by_hand.set(&named, &fleet(1));
    by_hand.set(&other, &fleet(1));
    let change = besides::Change {
        by_hand: Some(by_hand),
        ..besides::Change::default()
    };
    store.keep_besides("by_hand", json!({}), change).unwrap();
    let plan = json!({ "shop": { "tier1": { "cpu_cores": 1, "mem_units": 2 } } });
    let frozen = Frozen {
        plan,
        ..frozen(&fleet(1), Vec::new())
    };
    let now = store.now();
    store.begin(&frozen, &now, None).unwrap();
    drop(store);
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let outcome = Outcome::Succeeded;
    journal
        .record(frozen.id, &at(Event::Finished { outcome }), &[])
        .unwrap();
    drop(journal);
    let (_store, snapshot) = open();
    let tiers: Vec<TierId> = snapshot.borrow().besides.by_hand.tiers.keys().cloned().collect();
    assert_eq!(tiers, [other]);
}
