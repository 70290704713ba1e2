//! A copy of the journal in one file, made while the journal is written to, and put back.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::JournalError;
use super::folder::{self, Folder, JOURNAL_FILE};
use super::history::reader;
use super::schema;

/// Writes a copy of the journal in `folder` to `file`, and returns its size in bytes. A service
/// that is using the journal is not disturbed; the copy is what was on disk at one moment.
///
/// # Errors
///
/// When there is no journal, when the file exists already, or when it can't be written. No file is
/// left then.
pub fn backup(folder: &Path, file: &Path) -> Result<u64, JournalError> {
    let journal = folder.join(JOURNAL_FILE);
    if !journal.is_file() {
        return Err(JournalError::Missing(folder.display().to_string()));
    }
    let wrong = JournalError::file(file);
    // The name is ours from here on; the file under it is complete, or not there.
    folder::create(file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let message = format!(
                "{} is there already; a backup never replaces a file",
                file.display()
            );
            JournalError::InTheWay(message)
        }
        _ => wrong(error),
    })?;
    let copied = copy(&journal, file);
    if copied.is_err() {
        let _ = fs::remove_file(file);
    }
    copied
}

fn copy(journal: &Path, file: &Path) -> Result<u64, JournalError> {
    let partial = beside(file, ".partial");
    let wrong = JournalError::file(&partial);
    drop(folder::create(&partial).map_err(&wrong)?);
    let written = written(journal, &partial).and_then(|bytes| {
        fs::rename(&partial, file).map_err(JournalError::file(file))?;
        settle(file)?;
        Ok(bytes)
    });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

fn written(journal: &Path, partial: &Path) -> Result<u64, JournalError> {
    let name = partial.to_str().ok_or_else(|| {
        let error = io::Error::other("its name is not valid UTF-8");
        JournalError::file(partial)(error)
    })?;
    // One read transaction from beginning to end, so that the copy has nothing that is recorded
    // meanwhile.
    reader(journal)?.execute("VACUUM INTO ?1", [name])?;
    let wrong = JournalError::file(partial);
    let copy = File::open(partial).map_err(&wrong)?;
    copy.sync_all().map_err(&wrong)?;
    Ok(copy.metadata().map_err(&wrong)?.len())
}

/// Replaces the journal in `folder`, which no service may be using, with a backup. If there is a
/// journal already, this needs `force`.
///
/// The owner of the containers is that of the backup. Events get numbers that were never used, so
/// that a client which has seen more than the backup has learns of it.
///
/// # Errors
///
/// When the file is not a complete backup, or was made by a newer version, or the folder is in use
/// or can't be written. What was there before then stays.
pub fn restore(file: &Path, folder: &Path, force: bool) -> Result<(), JournalError> {
    check(file)?;
    let folder_name = folder.display();
    let folder = Folder::take(folder)?;
    if !force && folder.is_used()? {
        let message = format!(
            "the data directory {folder_name} has a journal already; make a backup of it, then --force replaces it"
        );
        return Err(JournalError::InTheWay(message));
    }
    let fresh = beside(&folder.journal, ".restored");
    let _ = fs::remove_file(&fresh);
    let made = make(file, &fresh).and_then(|()| {
        // What was recorded last is moved into the old main file, so that a crash at this point
        // leaves it complete. An old file that is broken can't be helped.
        if let Ok(old) = Connection::open(&folder.journal) {
            let _ = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        folder.drop_beside()?;
        fs::rename(&fresh, &folder.journal).map_err(JournalError::file(&folder.journal))?;
        settle(&folder.journal)
    });
    if made.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    made
}

/// Whether a file is a complete journal of a version that this program knows.
fn check(file: &Path) -> Result<(), JournalError> {
    File::open(file).map_err(JournalError::file(file))?;
    let other = |why: String| JournalError::Unreadable(format!("{} is no backup: {why}", file.display()));
    let connection = reader(file)?;
    let sound: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| other(error.to_string()))?;
    if sound != "ok" {
        return Err(other(sound));
    }
    match schema::version(&connection)? {
        version if version > schema::VERSION => Err(schema::newer(&connection, version)?),
        0 => Err(other("mapek did not write it".to_owned())),
        _ => Ok(()),
    }
}

/// Makes the journal to be used out of a backup.
fn make(file: &Path, fresh: &Path) -> Result<(), JournalError> {
    let wrong = JournalError::file(fresh);
    let mut to = folder::create(fresh).map_err(&wrong)?;
    let mut from = File::open(file).map_err(JournalError::file(file))?;
    io::copy(&mut from, &mut to).map_err(&wrong)?;
    drop(to);
    let mut connection = Connection::open(fresh)?;
    schema::prepare(&mut connection)?;
    let transaction = connection.transaction()?;
    let last: i64 = transaction.query_row(
        "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)",
        [],
        |row| row.get(0),
    )?;
    let next = next_numbers(last);
    transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'events'", [])?;
    transaction.execute("INSERT INTO sqlite_sequence VALUES ('events', ?1)", [next])?;
    transaction.execute("INSERT INTO gaps VALUES (?1, ?2)", params![last, next])?;
    transaction.execute("UPDATE about SET journal = ?1", [Uuid::now_v7().to_string()])?;
    transaction.commit()?;
    // A single file, with nothing beside it.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    drop(connection);
    let made = File::open(fresh).map_err(&wrong)?;
    made.sync_all().map_err(&wrong)
}

/// The distance between the numbers of events before and after a backup is put back. No service
/// writes that many events between two backups; and after two million restores the numbers still
/// fit into JavaScript's.
const fn next_numbers(last: i64) -> i64 {
    ((last >> 32) + 1) << 32
}

/// The file's name with something after it.
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file.file_name().unwrap_or_default());
    name.push(end);
    file.with_file_name(name)
}

/// Makes sure that the file's name is on disk, too.
fn settle(file: &Path) -> Result<(), JournalError> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or_else(|| Path::new("."));
    let wrong = JournalError::folder(folder);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(wrong)
}
