//! A document that is answered again and again: written as JSON once, with a tag that changes when
//! it does.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::fault::{Code, Fault};

use super::Snapshot;
use super::besides::own_part;
use super::redact::without_secrets;

/// A JSON object as text, with the tag of its content.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// The object.
    pub text: String,
    /// For `ETag`. It is a weak one: answers that carry it differ in the time that they took.
    pub tag: String,
}

impl Document {
    /// `version` stands for what may change without showing in the object, such as a secret.
    fn of(value: &impl Serialize, version: u64) -> Self {
        // Maps with text for keys can always be written.
        let text = serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned());
        let mut tag = "W/\"".to_owned();
        for byte in Sha256::digest(format!("{version} {text}").as_bytes())
            .iter()
            .take(12)
        {
            // Writing to a string can't fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        Self { text, tag }
    }
}

/// Tags that a client has seen, as in `If-Match` and `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Any at all: `*`.
    Any,
    /// One of these, without the mark of weak ones.
    These(Vec<String>),
}

impl Tags {
    /// From a header: `*`, or tags with commas between.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        if header.trim() == "*" {
            return Self::Any;
        }
        Self::These(
            header
                .split(',')
                .map(|tag| strong(tag.trim()).to_owned())
                .collect(),
        )
    }

    /// Whether it is one of them. Weak tags are compared like strong ones.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|one| one == strong(tag)),
        }
    }
}

fn strong(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

impl Snapshot {
    /// The topology as it was put, its secrets as `***`; an empty object before the first.
    #[must_use]
    pub fn topology_document(&self) -> &Document {
        self.shown_topology.get_or_init(|| match &self.topology {
            Some(topology) => Document::of(&without_secrets(&own_part(&topology.document)), self.generation),
            None => Document::of(&Value::Object(Map::new()), 0),
        })
    }

    /// The VMs in use and what each container on them holds, as confirmed.
    #[must_use]
    pub fn allocation_document(&self) -> &Document {
        self.shown_allocation
            .get_or_init(|| Document::of(&self.allocation, 0))
    }

    /// Whether the topology is one of those that a client has seen.
    pub(super) fn topology_seen(&self, seen: &Tags) -> Result<(), Fault> {
        let now = &self.topology_document().tag;
        // `If-Match: *` requires that there is something.
        let there = self.topology.is_some() || *seen != Tags::Any;
        if there && seen.has(now) {
            return Ok(());
        }
        let message = format!(
            "the topology is not the one that If-Match names: its tag is {now}; get it again, and put your changes into it"
        );
        Err(Fault::new(Code::PreconditionFailed, message)
            .with([json!({ "etag": now, "generation": self.generation })]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_whether_weak_or_not() {
        let seen = Tags::parse("\"a\", W/\"b\"");
        assert!(seen.has("W/\"a\"") && seen.has("\"b\"") && !seen.has("\"c\""));
        assert!(Tags::parse(" * ").has("W/\"x\""));
    }

    #[test]
    fn the_tag_follows_the_content() {
        let tag = |value: Value| Document::of(&value, 1).tag;
        assert_eq!(tag(json!({ "a": 1 })), tag(json!({ "a": 1 })));
        assert_ne!(tag(json!({ "a": 1 })), tag(json!({ "a": 2 })));
        assert_ne!(tag(json!({ "a": 1 })), Document::of(&json!({ "a": 1 }), 2).tag);
    }
}
