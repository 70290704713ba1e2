//! The data directory: nobody else can read it, and one service at a time uses it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::JournalError;

/// The name of the journal's main file in its folder.
pub const JOURNAL_FILE: &str = "journal.sqlite";
/// The file of changes that are not in the main file yet, and its index.
const BESIDE: [&str; 2] = ["journal.sqlite-wal", "journal.sqlite-shm"];
const LOCK_FILE: &str = "lock";
/// A file that is written only to see whether there is room, and its length.
const ROOM_FILE: &str = "room";
const ROOM: usize = 256 * 1024;

/// For the owner only.
const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// A data directory that belongs to this process for as long as this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) journal: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, and creates it if it is missing.
    pub(super) fn take(folder: &Path) -> Result<Self, JournalError> {
        let wrong = JournalError::folder(folder);
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER)
            .create(folder)
            .map_err(&wrong)?;
        let lock = open(&folder.join(LOCK_FILE)).map_err(&wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse(folder.display().to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let journal = folder.join(JOURNAL_FILE);
        // SQLite gives the files beside it the permissions of this one.
        drop(open(&journal).map_err(&wrong)?);
        let changed = tighten(folder).map_err(&wrong)?;
        if changed > 0 {
            tracing::warn!(
                data_dir = %folder.display(),
                "others could get at {changed} files and folders in the data directory; now only their owner can"
            );
        }
        Ok(Self { journal, _lock: lock })
    }

    /// Whether the disk has some room left. SQLite reuses pages, so a single small change may still
    /// fit when nothing else does.
    pub(super) fn has_room(&self) -> Result<(), JournalError> {
        let path = self.journal.with_file_name(ROOM_FILE);
        let written = open(&path).and_then(|mut file| file.write_all(&vec![1; ROOM]));
        let removed = fs::remove_file(&path);
        written.and(removed).map_err(JournalError::file(&path))
    }

    /// Whether the main file exists and is not empty.
    pub(super) fn is_used(&self) -> Result<bool, JournalError> {
        let file = fs::metadata(&self.journal).map_err(JournalError::file(&self.journal))?;
        Ok(file.len() > 0)
    }

    /// Removes what SQLite keeps beside the main file, since SQLite would use it with another main
    /// file.
    pub(super) fn drop_beside(&self) -> Result<(), JournalError> {
        for name in BESIDE {
            let file = self.journal.with_file_name(name);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(JournalError::file(&file)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Opens one of our files for writing, and creates it if it is missing.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE)
        .open(path)
}

/// Creates a file that must not exist yet.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(FILE)
        .open(path)
}

/// Takes away others' access to a folder and everything in it. Returns how many of these were open
/// to others. Links are left alone: what they lead to may belong to somebody else.
fn tighten(path: &Path) -> io::Result<u64> {
    let found = match fs::symlink_metadata(path) {
        // It was removed meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        found => found?,
    };
    if found.is_symlink() {
        return Ok(0);
    }
    let wanted = if found.is_dir() { FOLDER } else { FILE };
    let mode = found.permissions().mode();
    let mut changed = 0;
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o700 | wanted))?;
        changed += 1;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            changed += tighten(&entry?.path())?;
        }
    }
    Ok(changed)
}
