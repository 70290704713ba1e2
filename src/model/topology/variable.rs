//! Values that may be secrets: written out, or given as a reference to where they are kept.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::model::reader::{At, Notes};

/// A value, or a reference to it. A value that is written out never appears in a log.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Variable {
    /// Written out in the topology.
    Literal(String),
    /// Read from its place each time it is needed, and not stored.
    Reference(Reference),
}

/// Where a value is, on the machine that the service runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The file's content, without the newline at its end.
    FromFile(PathBuf),
    /// A variable of the service's own environment.
    FromEnv(String),
}

impl fmt::Debug for Variable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => out.write_str("***"),
            Self::Reference(reference) => reference.fmt(out),
        }
    }
}

impl From<&str> for Variable {
    fn from(text: &str) -> Self {
        Self::Literal(text.to_owned())
    }
}

/// As in topologies: `file /run/secrets/db`.
impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromFile(path) => write!(out, "file {}", path.display()),
            Self::FromEnv(name) => write!(out, "environment variable {name}"),
        }
    }
}

impl Reference {
    /// Reads `{"from_file": "/path"}` or `{"from_env": "NAME"}`.
    pub(super) fn read(notes: &mut Notes, at: At<'_>) -> Option<Self> {
        let path = at.path.clone();
        let only = "should be a value, {\"from_file\": \"/path\"} or {\"from_env\": \"NAME\"}";
        match at.value.as_object().map(serde_json::Map::len) {
            Some(1) => {}
            _ => {
                notes.problem(&path, only);
                return None;
            }
        }
        let mut fields = at.object(notes)?;
        let (file, variable) = (fields.get("from_file"), fields.get("from_env"));
        match (file, variable) {
            (Some(at), _) => {
                let file = PathBuf::from(at.text(notes)?);
                if file.is_absolute() {
                    return Some(Self::FromFile(file));
                }
                notes.problem(&at.path, "should be an absolute path");
            }
            (None, Some(at)) => {
                let name = at.text(notes)?;
                // That includes the service's own tokens.
                if name.starts_with("MAPEK_") {
                    notes.problem(&at.path, "names a variable of mapek's own: use another name");
                } else if name.contains('=') {
                    notes.problem(&at.path, "can't be the name of an environment variable");
                } else {
                    return Some(Self::FromEnv(name.to_owned()));
                }
            }
            (None, None) => notes.problem(&path, only),
        }
        None
    }
}

impl Variable {
    /// Reads a text, a number, true or false, or a reference.
    pub(super) fn read(notes: &mut Notes, at: At<'_>) -> Option<Self> {
        match at.value {
            Value::String(text) => Some(Self::Literal(text.clone())),
            Value::Number(number) => Some(Self::Literal(number.to_string())),
            Value::Bool(truth) => Some(Self::Literal(truth.to_string())),
            Value::Object(_) => Reference::read(notes, at).map(Self::Reference),
            Value::Null | Value::Array(_) => {
                at.wrong(notes, "a string, a number or a reference");
                None
            }
        }
    }
}
