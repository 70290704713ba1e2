//! What is wrong with a document, and where.

use std::fmt;

use serde::Serialize;

/// Something about a place in a document: what is wrong there, or what its author should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Remark, example = json!({ "path": "apps[0].tiers.db.max_nodes", "problem": "taken as max_node" }))]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// JSON path from the root of the body, such as `apps[0].tiers.db.max_node`; empty for the root.
    #[schema(example = "apps[0].tiers.db.max_nodes")]
    pub path: String,
    /// What is wrong there and what would be right.
    #[schema(example = "taken as max_node")]
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
