//! Secrets in the configuration: text that is never shown, and where tokens come from.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::auth::Tokens;

use super::ConfigError;

/// Text that is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// Where tokens come from.
#[derive(Clone, Debug, Default)]
pub struct TokenSource {
    /// A file of them.
    pub file: Option<PathBuf>,
    /// A list of them.
    pub list: Option<Secret>,
}

impl TokenSource {
    /// Reads them; a file is read again each time.
    ///
    /// # Errors
    ///
    /// When they can't be read or used; with a file, also when there is none in it.
    pub fn read(&self) -> Result<Tokens, ConfigError> {
        let list = self.list.as_ref().map_or("", |list| list.0.as_str());
        let listed =
            Tokens::from_list(list).map_err(|error| ConfigError::Tokens("--tokens".to_owned(), error))?;
        let Some(path) = &self.file else {
            return Ok(listed);
        };
        let name = path.display().to_string();
        let bad = |error| ConfigError::Tokens(name.clone(), error);
        let text = fs::read_to_string(path).map_err(|error| ConfigError::TokensFile(name.clone(), error))?;
        let tokens = Tokens::from_file(&text).map_err(bad)?;
        if tokens.is_empty() {
            return Err(ConfigError::NoTokens(name));
        }
        tokens.and(listed).map_err(bad)
    }
}
