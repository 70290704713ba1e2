//! Why the journal can't be read or written.

use std::path::Path;

use super::schema::{PROGRAM, VERSION};

/// Why the journal can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database refused: a full disk, a read-only file, a broken file.
    #[error(
        "the journal can't be used; is there room on the disk of the data directory, and may it be written?"
    )]
    Database(#[from] rusqlite::Error),
    /// The journal contains something that this version does not write.
    #[error("the journal holds something that this version of mapek can't read: {0}")]
    Unreadable(String),
    /// A newer program has written it.
    #[error(
        "the journal was last written by mapek {by}, in format {version}; this is mapek {PROGRAM}, which knows formats \
         up to {VERSION}. Start mapek {by} or newer on this data directory, or restore a backup that mapek {PROGRAM} has made"
    )]
    Newer {
        /// Version of the tables.
        version: i64,
        /// Version of the program.
        by: String,
    },
    /// The folder can't be used.
    #[error("the data directory {0} can't be used")]
    Folder(String, #[source] std::io::Error),
    /// Another service is using it.
    #[error("the data directory {0} is in use by another mapek; stop that one, or give --data-dir")]
    InUse(String),
    /// There is no journal in the folder.
    #[error("there is no journal in the data directory {0}; is --data-dir right?")]
    Missing(String),
    /// A backup, or a journal, is there already.
    #[error("{0}")]
    InTheWay(String),
    /// A file can't be read or written.
    #[error("{0} can't be used")]
    File(String, #[source] std::io::Error),
}

impl JournalError {
    /// A data directory that can't be used.
    pub(super) fn folder(folder: &Path) -> impl Fn(std::io::Error) -> Self + '_ {
        |error| Self::Folder(folder.display().to_string(), error)
    }

    /// A file that can't be used.
    pub(super) fn file(file: &Path) -> impl Fn(std::io::Error) -> Self + '_ {
        |error| Self::File(file.display().to_string(), error)
    }
}
