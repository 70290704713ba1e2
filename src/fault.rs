//! What a person is told when something can't be done: a code, a sentence, details. Never a
//! password: credentials are removed from URLs here, whoever wrote the sentence.

mod codes;
mod flow;
mod mask;
mod redact;

use serde_json::{Value, json};

use crate::model::nearest;

pub use codes::Code;
pub use flow::Flow;
pub use mask::Secrets;
pub use redact::{STARS, in_text, in_value};

/// Why something can't be done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Which kind.
    pub code: Code,
    /// A sentence that a person can act on.
    pub message: String,
    /// Particulars: problems with their paths, reasons, the id of an execution.
    pub details: Vec<Value>,
}

impl Fault {
    /// Without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: in_text(&message.into()).into_owned(),
            details: Vec::new(),
        }
    }

    /// For a request with something unknown in it: names the nearest known one.
    #[must_use]
    pub fn unknown(what: &str, name: &str, known: &[&str]) -> Self {
        let hint = match (nearest(name, known.iter().copied()), known) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, []) => "it takes none".to_owned(),
            (None, known) => format!("known are {}", known.join(", ")),
        };
        let message = format!("{name:?} is not a {what}; {hint}");
        Self::new(Code::RequestInvalid, message).with([json!({ "unknown": name, "known": known })])
    }

    /// With details.
    #[must_use]
    pub fn with(mut self, details: impl IntoIterator<Item = Value>) -> Self {
        self.details.extend(details.into_iter().map(in_value));
        self
    }
}

/// An error and everything that caused it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
