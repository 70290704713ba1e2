//! What a command reads: JSON from a file or standard input, and answers to questions.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use serde_json::Value;

use super::problem::{Exit, Problem};
use crate::model::json;

/// JSON from a file, or from standard input for `-`.
///
/// # Errors
///
/// When it can't be read, or is not JSON.
pub fn read(file: &Path) -> Result<Value, Problem> {
    let (name, text) = text(file)?;
    json::read(text.as_bytes())
        .map_err(|error| Problem::new(Exit::Refused, format!("{name} {}: {error}", wrong(&error))))
}

/// What is wrong with a text that was read as JSON; the error then gives the details.
#[must_use]
pub fn wrong(error: &serde_json::Error) -> &'static str {
    if error.is_data() {
        "can't be used as it is"
    } else {
        "is not JSON"
    }
}

/// A file's name, as it is shown, and its text without a byte order mark; standard input for `-`.
/// Bytes that are not UTF-8 become replacement characters.
///
/// # Errors
///
/// When it can't be read.
pub fn text(file: &Path) -> Result<(String, String), Problem> {
    let (name, bytes) = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        ("standard input".to_owned(), read.map(|_| bytes))
    } else {
        (file.display().to_string(), std::fs::read(file))
    };
    let bytes = bytes.map_err(|error| Problem::new(Exit::Failed, format!("can't read {name}: {error}")))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    Ok((name, String::from_utf8_lossy(text).into_owned()))
}

/// Asks on the terminal; anything but yes counts as no.
///
/// # Errors
///
/// When the answer is no, or there is no terminal.
pub fn confirm(question: &str) -> Result<(), Problem> {
    let unconfirmed = |text: &str| Err(Problem::new(Exit::Unconfirmed, text));
    if !std::io::stdin().is_terminal() {
        return unconfirmed(
            "nothing was changed: there is no terminal to ask on; give --yes to go ahead without asking",
        );
    }
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" if read.is_ok() => Ok(()),
        _ => unconfirmed("nothing was changed"),
    }
}
