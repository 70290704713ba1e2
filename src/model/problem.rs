//! What is wrong with a document, and where.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong, with the place where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// JSON path from the root of the body, such as `apps[0].tiers.db.max_node`; empty for the root.
    pub path: String,
    /// What is wrong there and what would be right.
    pub problem: String,
}

/// Something that is accepted, but that its author should know.
pub type Warning = Problem;

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            out.write_str(&self.problem)
        } else {
            write!(out, "{}: {}", self.path, self.problem)
        }
    }
}

/// Everything that is wrong with one document, in the order of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str("; ")?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}
