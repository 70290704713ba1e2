//! `mapek backup` and `mapek restore`: the journal as a file. They work on the data directory,
//! without a service.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::backup::{BackupOptions, RestoreOptions};
use crate::journal::{self, JournalError};

/// Why a backup could not be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is not known where the journal is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal, or the file, can't be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Writes the journal to a file, even while a service uses it. Returns what to print.
///
/// # Errors
///
/// When there is no journal, or the file exists already or can't be written.
pub fn backup(options: &BackupOptions, home: Option<PathBuf>) -> Result<String, BackupError> {
    let folder = options.data.decide(home)?;
    let bytes = journal::backup(&folder, &options.file)?;
    let (folder, file) = (folder.display(), options.file.display());
    Ok(format!("{file}: the journal of {folder}, {bytes} bytes"))
}

/// Replaces a journal that no service uses with a backup. Returns what to print.
///
/// # Errors
///
/// When the file is no backup, or the data directory is in use, or has a journal and `--force` was
/// not given.
pub fn restore(options: &RestoreOptions, home: Option<PathBuf>) -> Result<String, BackupError> {
    let folder = options.data.decide(home)?;
    journal::restore(&options.file, &folder, options.force)?;
    let (folder, file) = (folder.display(), options.file.display());
    Ok(format!(
        "{folder}: the journal is that of {file}. What runs may have changed since then: `mapek inspect` shows where"
    ))
}
