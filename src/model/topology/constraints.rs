//! How far apart a tier's containers are kept, and the labels for that; expressions over nodes.

use std::collections::BTreeMap;

use crate::model::reader::{Fields, Notes, join};
use crate::require::{MOST_LABELS, Mistake, WIDEST};

use super::apps::scalar;

/// What no two containers of a tier may share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// A node.
    #[default]
    Node,
    /// Nodes with the same value of this label: a zone, a rack. A node without the label gets none.
    Label(String),
}

impl Spread {
    pub(super) fn read(notes: &mut Notes, fields: &mut Fields<'_>) -> Self {
        let label = match fields.text(notes, "spread") {
            None => return Self::Node,
            Some(label) if label == "node" => return Self::Node,
            Some(label) => label,
        };
        let path = join(&fields.path, "spread");
        // So that nobody writes an expression here by mistake.
        if label.starts_with("node.") {
            let name = label.strip_prefix("node.labels.").unwrap_or("zone");
            notes.problem(
                &path,
                format!("should be \"node\" or the name of a label, such as {name:?}, is {label:?}"),
            );
        } else if label.len() > WIDEST {
            notes.problem(
                &path,
                format!(
                    "has {} bytes; the names of labels have at most {WIDEST}",
                    label.len()
                ),
            );
        }
        Self::Label(label)
    }
}

/// An expression, compiled.
pub(super) fn compiled<T>(
    notes: &mut Notes,
    fields: &mut Fields<'_>,
    field: &'static str,
    compile: impl FnOnce(&str) -> Result<T, Vec<Mistake>>,
) -> Option<T> {
    let at = fields.get(field)?;
    let source = at.text(notes)?;
    match compile(source) {
        Ok(compiled) => Some(compiled),
        Err(mistakes) => {
            for mistake in mistakes {
                notes.problem(&at.path, mistake.to_string());
            }
            None
        }
    }
}

/// The labels of a node, as a topology gives them.
pub fn read_labels(notes: &mut Notes, fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(labels) = fields.get("labels").and_then(|at| at.object(notes)) else {
        return BTreeMap::new();
    };
    let mut read = BTreeMap::new();
    let mut count = 0;
    for (name, at) in labels.entries() {
        count += 1;
        let Some(value) = scalar(at.value) else {
            at.wrong(notes, "a string");
            continue;
        };
        if name.is_empty() || name.len() > WIDEST || value.len() > WIDEST {
            notes.problem(
                &at.path,
                format!("the names and values of labels have at most {WIDEST} bytes, and names at least one"),
            );
        }
        read.insert(name.to_owned(), value);
    }
    if count > MOST_LABELS {
        notes.problem(
            &labels.path,
            format!("names {count} labels; {MOST_LABELS} is the most"),
        );
    }
    read
}
