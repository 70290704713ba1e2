//! The journal compared with a model of it in memory, under any sequence of operations; and cut off
//! after any transaction.

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;
use crate::execute::{Execution, Standing};

/// What is done.
#[derive(Clone, Debug)]
enum Deed {
    Begin { key: Option<u8>, from: u8 },
    Start,
    Succeed { cores: u32 },
    Finish { outcome: Outcome },
    Note,
    GiveUp,
    Prune { executions: u32 },
    Later { hours: i32 },
    Reopen,
    Crash,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let outcome = prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::Failed),
        Just(Outcome::Cancelled)
    ];
    let deed = prop_oneof![
        4 => (prop::option::of(0u8..3), 0u8..3).prop_map(|(key, from)| Deed::Begin { key, from }),
        4 => Just(Deed::Start),
        4 => (1u32..4).prop_map(|cores| Deed::Succeed { cores }),
        4 => outcome.prop_map(|outcome| Deed::Finish { outcome }),
        2 => Just(Deed::Note),
        1 => Just(Deed::GiveUp),
        2 => (1u32..5).prop_map(|executions| Deed::Prune { executions }),
        2 => prop_oneof![-30i32..60, 900i32..2400].prop_map(|hours| Deed::Later { hours }),
        1 => Just(Deed::Reopen),
        1 => Just(Deed::Crash),
    ];
    prop::collection::vec(deed, 1..40)
}

/// What should be there.
#[derive(Clone, Debug, Default)]
struct Model {
    allocation: Allocation,
    executions: Vec<Execution>,
    events: Vec<(u64, Option<Uuid>, Timestamp)>,
    next: u64,
    dropped_to: u64,
}

impl Model {
    fn running(&mut self) -> Option<&mut Execution> {
        self.executions
            .last_mut()
            .filter(|last| last.progress.outcome.is_none())
    }

    fn event(&mut self, execution: Option<Uuid>, at: Timestamp) {
        self.next += 1;
        self.events.push((self.next, execution, at));
    }

    /// Whether an event can come now; if so, it is applied.
    fn take(&mut self, event: &Stamped) -> Option<Uuid> {
        let running = self.running()?;
        let id = running.frozen.id;
        running.progress.apply(event).ok()?;
        self.event(Some(id), event.at);
        Some(id)
    }

    /// The rules of retention once more, written as simply as possible.
    fn needed(&self, keep: u32, now: Timestamp) -> Vec<Uuid> {
        let count = self.executions.len();
        let reached = self
            .executions
            .iter()
            .rposition(|one| one.progress.outcome == Some(Outcome::Succeeded));
        let stays = |(place, one): &(usize, &Execution)| {
            let Some(ended) = one.progress.finished_at else {
                return true;
            };
            let keyed = one.frozen.idempotency_key.is_some() && ended >= now - KEY_HOURS.hours();
            let within = count - place <= keep as usize && ended >= now - (90 * 24).hours();
            within || keyed || Some(*place) == reached || place + 1 == count
        };
        let left = self.executions.iter().enumerate().filter(stays);
        left.map(|(_, one)| one.frozen.id).collect()
    }
}

fn check(journal: &SqliteJournal, model: &Model) {
    assert_eq!(journal.load().unwrap().allocation, model.allocation);
    let history = journal.history();
    let listed = history.executions(&Page::newest(1000)).unwrap().unwrap();
    let wanted: Vec<_> = model.executions.iter().rev().map(Execution::summary).collect();
    assert_eq!(listed.executions, wanted);
    let unfinished: Vec<Uuid> = wanted
        .iter()
        .filter(|one| one.state == Standing::Running)
        .map(|one| one.id)
        .collect();
    assert_eq!(journal.unfinished().unwrap(), unfinished);
    for one in &model.executions {
        let (frozen, events) = history.execution(one.frozen.id).unwrap().unwrap();
        assert_eq!(Execution::replay(frozen, &events).unwrap(), *one);
        if let Some(key) = &one.frozen.idempotency_key {
            assert_eq!(journal.under_key(key).unwrap(), Some(one.frozen.id));
        }
    }
    assert_eq!(history.newest_event().unwrap(), model.next);
    assert_eq!(history.dropped_to().unwrap(), model.dropped_to);
    let told: Vec<_> = history
        .events_after(model.dropped_to, 1000)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.seq, entry.execution))
        .collect();
    let wanted: Vec<_> = model
        .events
        .iter()
        .filter(|(seq, ..)| *seq > model.dropped_to)
        .map(|(seq, execution, _)| (*seq, *execution))
        .collect();
    assert_eq!(told, wanted);
}

fn from(number: u8) -> Allocation {
    let mut allocation = allocation();
    if number > 0 {
        resized().iter().for_each(|change| allocation.apply(change));
    }
    if number > 1 {
        allocation.vms.remove("vm1");
    }
    allocation
}

fn act(journal: &mut SqliteJournal, model: &mut Model, now: &mut Timestamp, deed: &Deed) {
    let at = *now;
    let stamped = |event| Stamped { at, event };
    match deed {
        Deed::Begin { key, from: number } => {
            let key = key.map(|key| key.to_string());
            let taken = |one: &Execution| key.is_some() && one.frozen.idempotency_key == key;
            if model.running().is_some() || model.executions.iter().any(taken) {
                return;
            }
            let from = from(*number);
            let frozen = Frozen {
                from: Pinned::from(&from),
                idempotency_key: key,
                ..frozen_at(at)
            };
            journal.begin(&frozen).unwrap();
            model.allocation = from;
            model.event(None, at);
            model.executions.push(Execution::replay(frozen, &[]).unwrap());
        }
        Deed::Start => {
            let event = stamped(Event::ActionStarted {
                action: 0,
                attempt: 1,
            });
            if let Some(id) = model.take(&event) {
                journal.record(id, &event, &[]).unwrap();
            }
        }
        Deed::Succeed { cores } => {
            let event = stamped(Event::ActionSucceeded {
                action: 0,
                finding: Finding::default(),
            });
            if let Some(id) = model.take(&event) {
                let mut after = model.allocation.clone();
                let vm = after.vms.entry(VmId::new("vm1"));
                let vm = vm.or_insert_with(|| Vm::empty(None, Size::new(4, 4)));
                let held = Size::new(*cores, 1).into();
                vm.used.insert(TierId::new("a_b"), held);
                let changes = Change::between(&model.allocation, &after);
                journal.record(id, &event, &changes).unwrap();
                model.allocation = after;
            }
        }
        Deed::Finish { outcome } => {
            let event = stamped(Event::Finished { outcome: *outcome });
            if let Some(id) = model.take(&event) {
                journal.record(id, &event, &[]).unwrap();
            }
        }
        Deed::Note => {
            journal.note(&json!({ "event": "drift", "at": at }), &[]).unwrap();
            model.event(None, at);
        }
        Deed::GiveUp => {
            let change = Change::VmGone { vm: VmId::new("vm1") };
            journal
                .note(
                    &json!({ "event": "vm_given_up", "at": at }),
                    std::slice::from_ref(&change),
                )
                .unwrap();
            model.allocation.apply(&change);
            model.event(None, at);
        }
        Deed::Prune { executions } => {
            let retention = Retention {
                executions: *executions,
                days: 90,
            };
            while journal.prune(&retention, at).unwrap().more {}
            let needed = model.needed(*executions, at);
            model.executions.retain(|one| needed.contains(&one.frozen.id));
            let gone = |execution: &Option<Uuid>| execution.is_some_and(|id| !needed.contains(&id));
            let newest = model.events.iter().filter(|(_, execution, _)| gone(execution));
            model.dropped_to = newest.map(|(seq, ..)| *seq).fold(model.dropped_to, u64::max);
            model.events.retain(|(_, execution, _)| !gone(execution));
            // Events that belong to no execution: the oldest ones, up to the first that is young.
            let to = model.dropped_to;
            let notes = model
                .events
                .iter()
                .filter(|(seq, execution, _)| execution.is_none() && *seq > to);
            let old = notes.take_while(|(.., noted)| *noted < at - (90 * 24).hours());
            model.dropped_to = old.map(|(seq, ..)| *seq).last().unwrap_or(to);
        }
        Deed::Later { hours } => *now += hours.hours(),
        Deed::Reopen | Deed::Crash => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_keeps_what_the_model_keeps(deeds in deeds()) {
        let root = tempfile::tempdir().unwrap();
        let mut folder = root.path().join("0");
        let mut journal = SqliteJournal::open(&folder).unwrap();
        // Durability is not tested here, and syncs are slow.
        let fast = |journal: &SqliteJournal| journal.connection().pragma_update(None, "synchronous", "OFF");
        fast(&journal).unwrap();
        let mut model = Model::default();
        let mut now = Timestamp::now();
        for (number, deed) in deeds.iter().enumerate() {
            act(&mut journal, &mut model, &mut now, deed);
            match deed {
                Deed::Reopen => {
                    drop(journal);
                    journal = SqliteJournal::open(&folder).unwrap();
                    fast(&journal).unwrap();
                }
                // The files as they are on disk right after the last transaction, without cleaning
                // up.
                Deed::Crash => {
                    let copy = root.path().join((number + 1).to_string());
                    std::fs::create_dir(&copy).unwrap();
                    for name in ["journal.sqlite", "journal.sqlite-wal"] {
                        std::fs::copy(folder.join(name), copy.join(name)).unwrap();
                    }
                    folder = copy;
                    drop(journal);
                    journal = SqliteJournal::open(&folder).unwrap();
                    fast(&journal).unwrap();
                }
                _ => {}
            }
            check(&journal, &model);
        }
    }
}
