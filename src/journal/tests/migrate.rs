//! Journals that older programs wrote, and one of a newer program.

use std::path::Path;

use rusqlite::{Connection, params};

use super::*;
use crate::execute::Standing;

/// The tables of version 2.
const VERSION_2: &str = "
CREATE TABLE state (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    topology    TEXT,
    generation  INTEGER NOT NULL,
    allocation  TEXT NOT NULL
) STRICT;
INSERT INTO state VALUES (1, NULL, 0, '{\"allocation\":{},\"cores\":{}}');
CREATE TABLE executions (
    id          TEXT PRIMARY KEY,
    created_at  TEXT NOT NULL,
    frozen      TEXT NOT NULL,
    outcome     TEXT,
    key         TEXT UNIQUE
) STRICT;
CREATE INDEX executions_unfinished ON executions (id) WHERE outcome IS NULL;
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    execution   TEXT REFERENCES executions (id),
    event       TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_execution ON events (execution, seq);
";

const SEALS_OF_VERSION_2: &str = "
CREATE TABLE seals (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    bytes       INTEGER NOT NULL,
    seal        TEXT NOT NULL
) STRICT;
";

fn old(folder: &Path, version: i64) -> Connection {
    std::fs::create_dir_all(folder).unwrap();
    let connection = Connection::open(folder.join("journal.sqlite")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    connection.execute_batch(VERSION_2).unwrap();
    if version == 2 {
        connection.execute_batch(SEALS_OF_VERSION_2).unwrap();
    }
    connection.pragma_update(None, "user_version", version).unwrap();
    connection
}

/// Writes as version 2 did.
fn note(connection: &Connection, execution: Option<Uuid>, event: &Value) {
    connection
        .execute(
            "INSERT INTO events (execution, event) VALUES (?1, ?2)",
            params![execution.map(|id| id.to_string()), event.to_string()],
        )
        .unwrap();
}

fn begin(connection: &Connection, frozen: &Frozen) {
    connection
        .execute(
            "INSERT INTO executions (id, created_at, frozen, key) VALUES (?1, ?2, ?3, ?4)",
            params![
                frozen.id.to_string(),
                frozen.created_at.to_string(),
                serde_json::to_string(frozen).unwrap(),
                frozen.idempotency_key
            ],
        )
        .unwrap();
    let begun =
        json!({ "event": "execution_begun", "at": frozen.created_at, "execution": frozen.id, "by": "x" });
    note(connection, None, &begun);
}

fn record(connection: &Connection, frozen: &Frozen, event: Event) -> Stamped {
    let stamped = stamped(event);
    note(connection, Some(frozen.id), &json!(stamped));
    if let Event::Finished { outcome } = &stamped.event {
        connection
            .execute(
                "UPDATE executions SET outcome = ?1 WHERE id = ?2",
                [outcome.as_str(), &frozen.id.to_string()],
            )
            .unwrap();
    }
    stamped
}

#[test]
fn a_journal_of_version_2_is_taken_over_whole() {
    let folder = tempfile::tempdir().unwrap();
    let connection = old(folder.path(), 2);
    let pinned = json!(Pinned::from(&allocation())).to_string();
    connection
        .execute(
            "UPDATE state SET topology = ?1, generation = 3, allocation = ?2",
            params![json!({ "x": 1 }).to_string(), pinned],
        )
        .unwrap();
    let started = || Event::ActionStarted {
        action: 0,
        attempt: 1,
    };
    let done = || Event::ActionSucceeded {
        action: 0,
        finding: Finding::default(),
    };
    // The clock stepped back between the two: the second has the smaller id, and the earlier time.
    let ended = Frozen {
        idempotency_key: Some("k".into()),
        ..frozen()
    };
    let cut_off = Frozen {
        id: Uuid::from_u128(1),
        ..frozen_at(Timestamp::from_second(5).unwrap())
    };
    note(
        &connection,
        None,
        &json!({ "event": "topology_put", "at": Timestamp::now() }),
    );
    begin(&connection, &ended);
    let outcome = Outcome::Failed;
    let whole =
        [started(), done(), Event::Finished { outcome }].map(|event| record(&connection, &ended, event));
    begin(&connection, &cut_off);
    let half = [record(&connection, &cut_off, started())];
    note(
        &connection,
        None,
        &json!({ "event": "drift", "at": Timestamp::now() }),
    );
    let seal = Seal::over(
        json!({ "a": 1 }),
        Default::default(),
        &Allocation::default(),
        &frozen().stages,
        &[],
        Timestamp::now(),
    );
    connection
        .execute(
            "INSERT INTO seals (id, bytes, seal) VALUES (?1, 10, ?2)",
            [&seal.id, &json!(seal).to_string()],
        )
        .unwrap();
    drop(connection);

    for _ in 0..2 {
        let journal = SqliteJournal::open(folder.path()).unwrap();
        let kept = Kept {
            topology: Some(json!({ "x": 1 })),
            generation: 3,
            allocation: allocation(),
        };
        assert_eq!(journal.load().unwrap(), kept);
        assert_eq!(journal.unfinished().unwrap(), [cut_off.id]);
        assert_eq!(journal.under_key("k").unwrap(), Some(ended.id));
        assert_eq!(journal.sealed(&seal.id).unwrap(), Some(seal.clone()));
        assert!(!journal.owner().is_nil());
        let history = journal.history();
        assert_eq!(
            history.execution(ended.id).unwrap(),
            Some((ended.clone(), whole.to_vec()))
        );
        assert_eq!(
            history.execution(cut_off.id).unwrap(),
            Some((cut_off.clone(), half.to_vec()))
        );
        let listed = history.executions(&Page::newest(10)).unwrap().unwrap();
        let lines: Vec<_> = listed
            .executions
            .iter()
            .map(|one| (one.id, one.state, one.actions, one.actions_done))
            .collect();
        assert_eq!(
            lines,
            [
                (cut_off.id, Standing::Running, 1, 0),
                (ended.id, Standing::Ended(Outcome::Failed), 1, 1)
            ],
            "in the order in which they began"
        );
        let events = history.events_after(0, 100).unwrap();
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
        assert_eq!(events[2].execution, Some(ended.id));
        assert_eq!(events[6].execution, Some(cut_off.id));
        assert_eq!(events[7].event["event"], "drift");
        assert_eq!(sql(&journal, "PRAGMA auto_vacuum"), 2, "it can shrink");
        assert_eq!(sql(&journal, "SELECT COUNT(*) FROM pragma_foreign_key_check"), 0);
        let old = "SELECT COUNT(*) FROM sqlite_schema WHERE name LIKE 'old_%'";
        assert_eq!(sql(&journal, old), 0);
    }
    // It continues as if it had always been so.
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    journal.record(cut_off.id, &stamped(done()), &resized()).unwrap();
    let finished = stamped(Event::Finished { outcome });
    journal.record(cut_off.id, &finished, &[]).unwrap();
    assert_eq!(journal.history().newest_event().unwrap(), 10);
    assert!(journal.unfinished().unwrap().is_empty());
}

#[test]
fn a_journal_of_version_1_is_taken_over_too() {
    let folder = tempfile::tempdir().unwrap();
    let connection = old(folder.path(), 1);
    let frozen = frozen();
    begin(&connection, &frozen);
    drop(connection);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.unfinished().unwrap(), [frozen.id]);
    assert_eq!(journal.sealed("x").unwrap(), None);
}

#[test]
fn a_history_that_cannot_be_read_is_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let connection = old(folder.path(), 2);
    let frozen = frozen();
    begin(&connection, &frozen);
    let outcome = Outcome::Succeeded;
    record(&connection, &frozen, Event::Finished { outcome });
    drop(connection);
    let error = SqliteJournal::open(folder.path()).err().unwrap();
    assert!(error.to_string().contains("impossible history"), "{error}");
    let connection = Connection::open(folder.path().join("journal.sqlite")).unwrap();
    let count: i64 = connection
        .query_row("SELECT COUNT(*) FROM executions WHERE frozen <> ''", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_journal_of_a_newer_version_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(folder.path()).unwrap());
    let file = folder.path().join("journal.sqlite");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("PRAGMA user_version = 99; UPDATE about SET written_by = '9.8.7'")
        .unwrap();
    let error = SqliteJournal::open(folder.path()).err().unwrap().to_string();
    for words in [
        "written by mapek 9.8.7",
        "format 99",
        "Start mapek 9.8.7 or newer",
        "restore a backup",
    ] {
        assert!(error.contains(words), "{error}");
    }
    connection.execute_batch("DROP TABLE about").unwrap();
    let error = SqliteJournal::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("a newer version"), "{error}");
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99, "it is left alone");
}

#[test]
fn the_journal_says_which_program_wrote_it_last() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    journal
        .connection()
        .execute("UPDATE about SET written_by = '0.0.1'", [])
        .unwrap();
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let by: String = journal
        .connection()
        .query_row("SELECT written_by FROM about", [], |row| row.get(0))
        .unwrap();
    assert_eq!(by, env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_journal_of_version_3_gets_a_key_and_keeps_its_topology_among_the_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let document = json!({ "apps": [] });
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    journal.put_topology(&document).unwrap();
    drop(journal);
    let connection = Connection::open(folder.path().join("journal.sqlite")).unwrap();
    connection
        .execute_batch("DROP TABLE revisions; DROP TABLE topologies; PRAGMA user_version = 3;")
        .unwrap();
    drop(connection);
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let key = journal.revision_key();
    assert_eq!(key.0.len(), 64);
    assert_eq!(journal.put_topology(&json!({})).unwrap(), 2);
    assert_eq!(journal.generations().unwrap(), [2, 1]);
    assert_eq!(journal.topology(1).unwrap(), Some(document));
    assert_eq!(journal.topology(3).unwrap(), None);
    drop(journal);
    let journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.revision_key(), key);
}
