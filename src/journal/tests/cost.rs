//! What writing and opening cost: counted in bytes that this thread writes and reads, not in time.

use std::fs;

use super::*;
use crate::execute::Standing;

/// Bytes that this thread has asked the system to read, and to write.
fn counted() -> (u64, u64) {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    (of("rchar:"), of("wchar:"))
}

/// This many VMs with five containers each.
fn fleet(vms: usize) -> Allocation {
    let vm = |index: usize| {
        let mut vm = Vm::empty(
            Some(format!("10.0.{}.{}", index / 256, index % 256)),
            Size::new(8, 32),
        );
        for tier in 0..5 {
            let held = crate::model::Container {
                size: Size::new(1, 2),
                cores: CoreSet([tier].into()),
                owed: Default::default(),
                revision: None,
                addresses: None,
                digest: None,
            };
            vm.used.insert(TierId::of("shop", &format!("tier{tier}")), held);
        }
        (VmId::new(&format!("vm{index:04}")), vm)
    };
    Allocation {
        vms: (0..vms).map(vm).collect(),
    }
}

/// Bytes that an event which changes one container writes, averaged over many.
fn bytes_per_event(vms: usize) -> u64 {
    const EVENTS: u32 = 100;
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let fleet = fleet(vms);
    let frozen = Frozen {
        from: Pinned::from(&fleet),
        ..frozen()
    };
    journal.begin(&frozen).unwrap();
    // This counts what events write, not what SQLite later moves into the main file.
    journal
        .connection()
        .execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA wal_checkpoint(TRUNCATE);")
        .unwrap();
    let before = counted().1;
    for (vm, number) in fleet.vms.keys().cycle().zip(0..EVENTS) {
        let change = Change::Container {
            vm: vm.clone(),
            tier: TierId::new("shop_tier3"),
            is: Size::new(2, u64::from(number)).into(),
        };
        let event = stamped(Event::AttemptFailed {
            action: 0,
            error: number.to_string(),
        });
        journal.record(frozen.id, &event, &[change]).unwrap();
    }
    let written = (counted().1 - before) / u64::from(EVENTS);
    let kept = journal.load().unwrap().allocation;
    let last = kept
        .container(&VmId::new("vm0009"), &TierId::new("shop_tier3"))
        .unwrap();
    assert!(
        last.size.mem >= 9,
        "the last event about it is the one that counts: {last:?}"
    );
    written
}

#[test]
fn an_event_writes_what_it_changes_however_many_vms_there_are() {
    let (few, many) = (bytes_per_event(10), bytes_per_event(1000));
    println!("bytes per event: {few} with 10 VMs, {many} with 1,000");
    // Whole pages are written: one more if a tree is one level deeper. The allocation of 1,000 VMs
    // has some 400,000 bytes.
    assert!(many <= few + 2 * 4200, "{few} and {many}");
    assert!(many < 40_000, "{many}");
}

/// A journal of this many executions with three events each, made quickly: in one transaction.
fn fill(journal: &SqliteJournal, executions: usize) {
    let frozen = frozen();
    let connection = journal.connection();
    connection.execute_batch("BEGIN").unwrap();
    {
        let frozen_text = serde_json::to_string(&frozen).unwrap();
        let mut execution = connection
            .prepare(
                "INSERT INTO executions (id, state, requested_by, created_at, finished_at, actions, actions_done)
                 VALUES (?1, 'succeeded', 'planner', ?2, ?2, 1, 1)",
            )
            .unwrap();
        let mut asked = connection.prepare("INSERT INTO frozen VALUES (?1, ?2)").unwrap();
        let mut event = connection
            .prepare("INSERT INTO events (execution, event) VALUES (?1, ?2)")
            .unwrap();
        let at = Timestamp::now();
        for _ in 0..executions {
            execution
                .execute(rusqlite::params![
                    Uuid::now_v7().to_string(),
                    super::super::rows::time(at)
                ])
                .unwrap();
            let seq = connection.last_insert_rowid();
            asked.execute(rusqlite::params![seq, frozen_text]).unwrap();
            for kind in [
                "action_started\",\"action\":0,\"attempt\":1",
                "action_succeeded\",\"action\":0",
                "finished\",\"outcome\":\"succeeded\"",
            ] {
                let text = format!("{{\"at\":\"{at}\",\"event\":\"{kind}}}");
                event.execute(rusqlite::params![seq, text]).unwrap();
            }
        }
    }
    connection.execute_batch("COMMIT").unwrap();
}

#[test]
fn opening_reads_what_is_now_and_not_what_was() {
    let read_by_opening = |executions: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(folder.path()).unwrap();
        fill(&journal, executions);
        let running = Frozen {
            from: Pinned::from(&fleet(20)),
            ..frozen()
        };
        journal.begin(&running).unwrap();
        drop(journal);
        let (before, began) = (counted().0, std::time::Instant::now());
        let journal = SqliteJournal::open(folder.path()).unwrap();
        assert_eq!(journal.load().unwrap().allocation.vms.len(), 20);
        let [unfinished] = journal.unfinished().unwrap()[..] else {
            unreachable!("one is running")
        };
        assert_eq!(unfinished, running.id);
        assert!(journal.history().execution(unfinished).unwrap().is_some());
        let newest = journal.history().executions(&Page::newest(200)).unwrap().unwrap();
        assert_eq!(newest.executions.len(), 200.min(executions + 1));
        assert_eq!(newest.executions[0].state, Standing::Running);
        println!(
            "{executions} executions: opened and the newest listed in {:?}",
            began.elapsed()
        );
        counted().0 - before
    };
    let (few, many) = (read_by_opening(1000), read_by_opening(100_000));
    println!("bytes read by opening: {few} with 1,000 executions, {many} with 100,000");
    // One more level in each tree on the way to what is read.
    assert!(many < few + 40 * 4096, "{few} and {many}");
}
