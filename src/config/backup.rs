//! Options of the commands that work on a data directory.

use std::path::PathBuf;

use clap::Args;

use super::ConfigError;

/// Options of `mapek backup`.
#[derive(Debug, Args)]
pub struct BackupOptions {
    /// The file to write; it must not exist yet
    pub file: PathBuf,
    /// Where the journal is.
    #[command(flatten)]
    pub data: DataFolder,
}

/// Options of `mapek restore`.
#[derive(Debug, Args)]
pub struct RestoreOptions {
    /// The backup to read
    pub file: PathBuf,
    /// Where the journal is to be put.
    #[command(flatten)]
    pub data: DataFolder,
    /// Replace the journal that is there
    #[arg(long)]
    pub force: bool,
}

/// The data directory.
#[derive(Debug, Args)]
pub struct DataFolder {
    /// The service's data directory [default: mapek in the user's data folder]
    #[arg(long, env = "MAPEK_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

impl DataFolder {
    /// The folder that was given, or the service's default. `home` is the user's data folder.
    ///
    /// # Errors
    ///
    /// When none is given and there is no home folder.
    pub fn decide(&self, home: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
        let default = || home.map(|home| home.join("mapek"));
        self.data_dir
            .clone()
            .or_else(default)
            .ok_or(ConfigError::Homeless)
    }
}
