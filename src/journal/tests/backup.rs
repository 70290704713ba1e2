//! Backups: made while the journal is written to, and put back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::journal;

#[test]
fn a_backup_is_made_beside_a_writer_and_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it's a backup");
    let data = folder.path().join("data");
    let mut journal = SqliteJournal::open(&data).unwrap();
    journal.put_topology(&json!({ "x": 1 })).unwrap();
    journal.keep_engine_id(&VmId::new("vm1"), Some("A")).unwrap();
    let execution = frozen();
    run(&mut journal, &execution, Timestamp::now(), Outcome::Succeeded);
    let kept = journal.load().unwrap();
    let owner = journal.owner();
    let saved = journal.history().newest_event().unwrap();
    // In the middle of a write.
    journal
        .connection()
        .execute_batch("BEGIN IMMEDIATE; UPDATE state SET generation = 77")
        .unwrap();
    let bytes = journal::backup(&data, &file).unwrap();
    journal.connection().execute_batch("COMMIT").unwrap();
    assert_eq!(fs::metadata(&file).unwrap().len(), bytes);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let beside: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(beside.len(), 2, "nothing else is left: {beside:?}");
    let again = journal::backup(&data, &file).unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
    assert_eq!(
        fs::metadata(&file).unwrap().len(),
        bytes,
        "the first one is whole"
    );

    // The journal goes on, and this is lost.
    for _ in 0..3 {
        journal.note(&json!({ "event": "lost" }), &[]).unwrap();
    }
    let id = journal.history().id();
    let busy = journal::restore(&file, &data, true).unwrap_err();
    assert!(busy.to_string().contains("in use by another mapek"), "{busy}");
    drop(journal);
    let there = journal::restore(&file, &data, false).unwrap_err();
    assert!(there.to_string().contains("has a journal already"), "{there}");
    assert_eq!(
        SqliteJournal::open(&data).unwrap().load().unwrap().generation,
        77,
        "it was left alone"
    );
    journal::restore(&file, &data, true).unwrap();

    let mut journal = SqliteJournal::open(&data).unwrap();
    assert_eq!(journal.load().unwrap(), kept);
    assert_eq!(journal.owner(), owner);
    assert_eq!(journal.engine_ids().unwrap().len(), 1);
    let history = journal.history();
    assert_ne!(history.id(), id);
    assert!(history.execution(execution.id).unwrap().is_some());
    // A client that has seen more than the backup has can't continue, however much has happened
    // since.
    for _ in 0..10 {
        journal.note(&json!({ "event": "x" }), &[]).unwrap();
    }
    assert_eq!(history.reach(saved).unwrap(), Reach::Whole);
    assert_eq!(history.events_after(saved, 100).unwrap().len(), 10);
    for lost in saved + 1..=saved + 3 {
        assert_eq!(history.reach(lost).unwrap(), Reach::Replaced);
    }
    assert_eq!(
        history.reach(history.newest_event().unwrap()).unwrap(),
        Reach::Whole
    );
}

#[test]
fn a_backup_of_a_journal_that_nobody_uses_goes_into_a_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file, other) = (
        folder.path().join("data"),
        folder.path().join("backup"),
        folder.path().join("other"),
    );
    assert!(matches!(
        journal::backup(&data, &file),
        Err(JournalError::Missing(_))
    ));
    assert!(!data.exists() && !file.exists());
    let mut journal = SqliteJournal::open(&data).unwrap();
    journal.put_topology(&json!({ "x": 1 })).unwrap();
    drop(journal);
    journal::backup(&data, &file).unwrap();
    journal::restore(&file, &other, false).unwrap();
    let journal = SqliteJournal::open(&other).unwrap();
    assert_eq!(journal.load().unwrap().topology, Some(json!({ "x": 1 })));
}

#[test]
fn a_file_that_is_not_a_backup_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("file"));
    let mut journal = SqliteJournal::open(&data).unwrap();
    journal.put_topology(&json!({ "x": 1 })).unwrap();
    drop(journal);
    let refused = |what: &str| {
        let error = journal::restore(&file, &data, true).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        let journal = SqliteJournal::open(&data).unwrap();
        assert_eq!(journal.load().unwrap().topology, Some(json!({ "x": 1 })));
    };
    refused("can't be used");
    fs::write(
        &file,
        "no database at all, but long enough to look like one".repeat(100),
    )
    .unwrap();
    refused("is no backup");
    fs::write(&file, "").unwrap();
    refused("mapek did not write it");
    fs::remove_file(&file).unwrap();
    journal::backup(&data, &file).unwrap();
    let mut torn = fs::read(&file).unwrap();
    let middle = torn.len() / 2;
    torn[middle..].fill(0x5a);
    fs::write(&file, torn).unwrap();
    refused("is no backup");
    fs::remove_file(&file).unwrap();
    journal::backup(&data, &file).unwrap();
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer
        .execute_batch("PRAGMA user_version = 99; UPDATE about SET written_by = '9.8.7'")
        .unwrap();
    drop(newer);
    refused("last written by mapek 9.8.7");
}
