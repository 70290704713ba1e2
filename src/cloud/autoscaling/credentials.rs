//! The credentials file of a topology: `AWS_ACCESS_KEY_ID=…` lines.
//!
//! It is read whenever the SDK asks for new credentials, so a file that has been rewritten takes
//! effect. Its content goes to the SDK and nowhere else.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};

/// How long the credentials are used before the file is read again.
const FRESH: Duration = Duration::from_secs(300);

/// Provides the credentials from a file.
#[derive(Debug)]
pub struct FileCredentials {
    path: PathBuf,
}

impl FileCredentials {
    /// For the file at `path`. Nothing is read yet.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn load(&self) -> provider::Result {
        let file = read(&self.path).map_err(CredentialsError::provider_error)?;
        Ok(Credentials::new(
            file.key,
            file.secret,
            file.token,
            Some(SystemTime::now() + FRESH),
            "cloud_driver.credentials",
        ))
    }
}

impl ProvideCredentials for FileCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.load())
    }
}

/// What a credentials file holds.
#[derive(PartialEq, Eq)]
pub struct File {
    key: String,
    secret: String,
    token: Option<String>,
    /// `AWS_REGION`, or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
}

/// Reads a credentials file. The error names the file and what to do, and contains nothing from the
/// file.
pub fn read(path: &Path) -> Result<File, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the credentials file {name} can't be read: {error}"))?;
    parse(&text).map_err(|problem| format!("the credentials file {name} can't be used: {problem}"))
}

/// Reads `NAME=value` lines; `export`, quotes, comments and surrounding spaces are allowed.
fn parse(text: &str) -> Result<File, String> {
    let (mut key, mut secret, mut token, mut region) = (None, None, None, None);
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value).to_owned();
        let place = match name.trim().to_ascii_uppercase().as_str() {
            "AWS_ACCESS_KEY_ID" => &mut key,
            "AWS_SECRET_ACCESS_KEY" => &mut secret,
            "AWS_SESSION_TOKEN" => &mut token,
            "AWS_REGION" | "AWS_DEFAULT_REGION" => &mut region,
            _ => continue,
        };
        *place = Some(value).filter(|value| !value.is_empty());
    }
    match (key, secret) {
        (Some(key), Some(secret)) => Ok(File {
            key,
            secret,
            token,
            region,
        }),
        (key, secret) => {
            let missing: Vec<&str> = [
                (key.is_none(), "AWS_ACCESS_KEY_ID"),
                (secret.is_none(), "AWS_SECRET_ACCESS_KEY"),
            ]
            .into_iter()
            .filter_map(|(missing, name)| missing.then_some(name))
            .collect();
            Err(format!("it has no line {}=…", missing.join("=… and no line ")))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_as_a_shell_or_a_person_writes_them() {
        let text = "# made by hand\nAWS_ACCESS_KEY_ID=AKIA1\nexport AWS_SECRET_ACCESS_KEY=\"a/b=c\"\n\n\
                    aws_session_token = 'tok' \nAWS_REGION=eu-west-1\r\nOTHER=1\n";
        let file = parse(text).unwrap_or_else(|problem| File {
            key: problem,
            secret: String::new(),
            token: None,
            region: None,
        });
        assert_eq!((file.key.as_str(), file.secret.as_str()), ("AKIA1", "a/b=c"));
        assert_eq!(file.token.as_deref(), Some("tok"));
        assert_eq!(file.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_there_is_not() {
        let problem = parse("AWS_SECRET_ACCESS_KEY=sesame\n").err().unwrap();
        assert_eq!(problem, "it has no line AWS_ACCESS_KEY_ID=…");
        let problem = parse("AWS_SECRET_ACCESS_KEY=\n").err().unwrap();
        assert!(problem.contains("AWS_ACCESS_KEY_ID"), "{problem}");
        assert!(problem.contains("no line AWS_SECRET_ACCESS_KEY"), "{problem}");
    }
}
