//! Where the values of a JSON text are: line and column by JSON path. Pure.
//!
//! serde_json reads a text without keeping places, so this reads it once more. It is meant for
//! texts that serde_json accepts; in others it finds what it can.

use std::collections::HashMap;

use crate::model::path;

/// A place in a text, both from 1. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The places of all values of a text.
#[derive(Debug, Default)]
pub struct Spans<'t> {
    text: &'t str,
    found: HashMap<String, usize>,
    /// Fields that occur a second time in their object: path and offset.
    twice: Vec<(String, usize)>,
}

impl<'t> Spans<'t> {
    /// Walks through a text.
    pub fn of(text: &'t str) -> Self {
        let mut walk = Walk {
            at: 0,
            spans: Self {
                text,
                ..Self::default()
            },
        };
        walk.blank();
        walk.spans.found.insert(String::new(), walk.at);
        walk.value("");
        walk.spans
    }

    /// The place of a field or element. If it is not there, the place of what it is missing from.
    pub fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(at) = self.found.get(path) {
                return self.place_at(*at);
            }
            // A quoted key may contain dots and brackets; a path that is cut within it is not
            // found.
            path = path
                .rfind(['.', '['])
                .and_then(|cut| path.get(..cut))
                .unwrap_or_default();
        }
    }

    /// Fields that are given more than once, each with its later place. Only the last one counts.
    pub fn twice(&self) -> impl Iterator<Item = (&str, Place)> {
        self.twice
            .iter()
            .map(|(path, at)| (path.as_str(), self.place_at(*at)))
    }

    fn place_at(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let last = before.rsplit('\n').next().unwrap_or_default();
        Place {
            line,
            column: last.chars().count() + 1,
        }
    }
}

struct Walk<'t> {
    at: usize,
    spans: Spans<'t>,
}

impl Walk<'_> {
    fn byte(&self) -> Option<u8> {
        self.spans.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Skips what is expected next, and blanks around it.
    fn pass(&mut self, expected: u8) -> bool {
        self.blank();
        let there = self.byte() == Some(expected);
        if there {
            self.at += 1;
        }
        self.blank();
        there
    }

    fn value(&mut self, path: &str) {
        match self.byte() {
            Some(b'{') => self.object(path),
            Some(b'[') => self.list(path),
            Some(b'"') => {
                self.string();
            }
            _ => {
                while self
                    .byte()
                    .is_some_and(|byte| !b",]}".contains(&byte) && !byte.is_ascii_whitespace())
                {
                    self.at += 1;
                }
            }
        }
    }

    fn object(&mut self, of: &str) {
        self.pass(b'{');
        while self.byte() == Some(b'"') {
            let at = self.at;
            let member = path(of, &self.string());
            if self.spans.found.insert(member.clone(), at).is_some() {
                self.spans.twice.push((member.clone(), at));
            }
            self.pass(b':');
            self.value(&member);
            if !self.pass(b',') {
                break;
            }
        }
        self.pass(b'}');
    }

    fn list(&mut self, of: &str) {
        self.pass(b'[');
        let mut index = 0_usize;
        while self.byte().is_some_and(|byte| byte != b']') {
            let element = format!("{of}[{index}]");
            self.spans.found.insert(element.clone(), self.at);
            self.value(&element);
            index += 1;
            if !self.pass(b',') {
                break;
            }
        }
        self.pass(b']');
    }

    /// Skips a string, and returns its content.
    fn string(&mut self) -> String {
        let begin = self.at;
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        let text = self.spans.text.get(begin..self.at).unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const TEXT: &str = "{\n  \"a\": [1, {\"é\\\"\": true, \"b\": null}],\n  \"c.d\": {}, \"a b\":\"x\"\n}";

    #[test]
    fn every_value_has_its_line_and_column() {
        let spans = Spans::of(TEXT);
        for (path, line, column) in [
            ("", 1, 1),
            ("a", 2, 3),
            ("a[0]", 2, 9),
            ("a[1]", 2, 12),
            ("a[1][\"é\\\"\"]", 2, 13),
            ("a[1].b", 2, 26),
            ("[\"c.d\"]", 3, 3),
            ("[\"a b\"]", 3, 14),
            // What is not there is missing from something that is.
            ("a[1].x.y", 2, 12),
            ("[\"c.d\"].x", 3, 3),
            ("x", 1, 1),
        ] {
            assert_eq!(spans.place(path), Place { line, column }, "{path}");
        }
        assert_eq!(spans.twice().count(), 0);
    }

    #[test]
    fn a_member_that_is_given_twice_is_noticed() {
        let spans = Spans::of("{\"a\": {\"b\": 1},\n \"a\": 2}");
        let twice: Vec<_> = spans.twice().collect();
        assert_eq!(twice, [("a", Place { line: 2, column: 2 })]);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    /// Every path of a document, with its value.
    fn paths(of: &str, value: &Value, found: &mut Vec<(String, Value)>) {
        found.push((of.to_owned(), value.clone()));
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(key, value)| paths(&path(of, key), value, found)),
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    paths(&format!("{of}[{index}]"), value, found);
                }
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn at_the_place_of_a_path_stands_its_value(document in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
            let spans = Spans::of(&text);
            let mut all = Vec::new();
            paths("", &document, &mut all);
            prop_assert_eq!(spans.found.len(), all.len());
            for (path, value) in all {
                let rest = text.get(spans.found[&path]..).unwrap();
                // The place of a field is that of its key.
                let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
                let first = values.next().unwrap().unwrap();
                let after = rest.get(values.byte_offset()..).unwrap().trim_start();
                let there = match after.strip_prefix(':') {
                    Some(behind) => serde_json::Deserializer::from_str(behind).into_iter().next().unwrap().unwrap(),
                    None => first,
                };
                prop_assert_eq!(there, value, "{}", path);
            }
        }

        #[test]
        fn any_text_is_walked_over_without_a_panic(text in ".{0,60}") {
            let spans = Spans::of(&text);
            spans.place("a.b[3]");
        }
    }

    #[test]
    fn a_place_in_a_text_that_ends_too_early_is_found_all_the_same() {
        for text in ["", "{", "{\"a", "{\"a\\", "[1,", "{\"a\":"] {
            Spans::of(text).place("a");
        }
        assert_eq!(json!(Spans::of("[1,").place("[0]").column), json!(2));
    }
}
