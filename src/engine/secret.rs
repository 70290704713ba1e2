//! Reads the secrets that a topology refers to, at the moment in which they are needed. What is read
//! is handed on and kept nowhere.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use crate::model::topology::{Reference, Variable};

/// What Linux takes as one environment variable, less its name.
const LARGEST: u64 = 127 * 1024;

/// The value, read from its place where it is a reference.
///
/// # Errors
///
/// Why it can't be read, without any of it.
pub fn resolve(variable: &Variable) -> Result<String, String> {
    match variable {
        Variable::Literal(text) => Ok(text.clone()),
        Variable::Reference(reference) => {
            let read = match reference {
                Reference::FromEnv(name) => std::env::var(name).map_err(|error| error.to_string()),
                Reference::FromFile(path) => from_file(path),
            };
            let value = read.map_err(|problem| format!("{reference}: {problem}"))?;
            if value.contains('\0') {
                return Err(format!("{reference}: has a NUL character"));
            }
            Ok(value)
        }
    }
}

fn from_file(path: &std::path::Path) -> Result<String, String> {
    // Opening a pipe could wait for ever, and reading a device never end.
    let kind = fs::metadata(path).map_err(|error| error.to_string())?;
    if !kind.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if u64::try_from(text.len()).is_ok_and(|length| length > LARGEST) {
        return Err(format!("is longer than {LARGEST} bytes"));
    }
    let end = text.strip_suffix('\n').unwrap_or(&text);
    Ok(end.strip_suffix('\r').unwrap_or(end).to_owned())
}

/// An environment as Docker takes it: `NAME=value`.
///
/// # Errors
///
/// The first value that can't be read, with its name.
pub fn environment(variables: &BTreeMap<String, Variable>) -> Result<Vec<String>, String> {
    variables
        .iter()
        .map(|(name, variable)| match resolve(variable) {
            Ok(value) => Ok(format!("{name}={value}")),
            Err(problem) => Err(format!("the value of {name} can't be read: {problem}")),
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_content_is_the_value_and_its_last_line_end_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let value = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            resolve(&Variable::Reference(Reference::FromFile(path.clone())))
        };
        for (content, read) in [("s3cret\n", "s3cret"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("", "")] {
            assert_eq!(value(content.as_bytes()).as_deref(), Ok(read));
        }
        for bad in [&b"s3cret\0"[..], b"s3cret\xff", &[b's'; 200_000]] {
            let problem = value(bad).unwrap_err();
            assert!(
                problem.contains("secret: ") && !problem.contains("s3cret"),
                "{problem}"
            );
        }
        let folder = Variable::Reference(Reference::FromFile(folder.path().to_owned()));
        assert!(resolve(&folder).is_err());
    }

    #[test]
    fn what_is_missing_is_told_with_its_place() {
        let missing = |reference| {
            let variables = BTreeMap::from([("PASSWORD".to_owned(), Variable::Reference(reference))]);
            environment(&variables).unwrap_err()
        };
        let told = missing(Reference::FromFile("/nonexistent/password".into()));
        assert!(
            told.contains("PASSWORD") && told.contains("file /nonexistent/password"),
            "{told}"
        );
        let told = missing(Reference::FromEnv("NO_SUCH_VARIABLE".to_owned()));
        assert!(told.contains("environment variable NO_SUCH_VARIABLE"), "{told}");
    }
}
