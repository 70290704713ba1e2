//! Reads a JSON document field by field, and collects everything that is wrong on the way.
//!
//! A reader never stops at the first problem: a value that can't be read is noted with its path and
//! returned as None, and reading goes on. Fields that nobody asked for become warnings.

use serde_json::{Map, Number, Value};

use super::problem::{Problem, Problems, Warning};
use super::units::{Cpu, hundredths_of};

/// What was noted while reading.
#[derive(Default)]
pub struct Notes {
    problems: Vec<Problem>,
    /// What the author should know.
    pub warnings: Vec<Warning>,
}

impl Notes {
    /// Notes that something is wrong.
    pub fn problem(&mut self, path: &str, problem: impl Into<String>) {
        self.problems.push(Problem {
            path: path.to_owned(),
            problem: problem.into(),
        });
    }

    /// Notes something that is accepted, but that its author should know.
    pub fn warn(&mut self, path: &str, warning: impl Into<String>) {
        self.warnings.push(Problem {
            path: path.to_owned(),
            problem: warning.into(),
        });
    }

    /// Whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems, if there are any.
    pub fn into_problems(self) -> Problems {
        Problems(self.problems)
    }
}

/// A value with its path.
#[derive(Clone, Debug)]
pub struct At<'a> {
    /// Path from the root.
    pub path: String,
    /// The value.
    pub value: &'a Value,
}

/// The kind of a value, in a person's words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Appends a key to a path. Keys that would be ambiguous are quoted.
pub fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{}]", Value::from(key)),
    }
}

impl<'a> At<'a> {
    /// The root of a document.
    pub fn root(value: &'a Value) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// Notes that this value is not what it should be.
    pub fn wrong(&self, notes: &mut Notes, wanted: &str) {
        notes.problem(&self.path, format!("should be {wanted}, is {}", kind(self.value)));
    }

    /// The value as an object.
    pub fn object(self, notes: &mut Notes) -> Option<Fields<'a>> {
        let Value::Object(map) = self.value else {
            self.wrong(notes, "an object");
            return None;
        };
        Some(Fields {
            path: self.path,
            map,
            known: Vec::new(),
        })
    }

    /// The value's members, when it is a list.
    pub fn list(&self, notes: &mut Notes) -> Vec<At<'a>> {
        let Value::Array(values) = self.value else {
            self.wrong(notes, "a list");
            return Vec::new();
        };
        let at = |(index, value)| At {
            path: format!("{}[{index}]", self.path),
            value,
        };
        values.iter().enumerate().map(at).collect()
    }

    /// The value as text that is not empty.
    pub fn text(&self, notes: &mut Notes) -> Option<&'a str> {
        let Value::String(text) = self.value else {
            self.wrong(notes, "a string");
            return None;
        };
        if text.trim().is_empty() {
            notes.problem(&self.path, "is empty");
            return None;
        }
        if text.contains('\0') {
            notes.problem(&self.path, "has a NUL character");
            return None;
        }
        Some(text)
    }

    fn number(&self, notes: &mut Notes) -> Option<&'a Number> {
        if let Value::Number(number) = self.value {
            return Some(number);
        }
        self.wrong(notes, "a number");
        None
    }

    /// The value as a whole number between `least` and `most`; `6.0` counts as 6.
    pub fn whole(&self, notes: &mut Notes, least: u64, most: u64) -> Option<u64> {
        let number = self.number(notes)?;
        let whole = match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Some(whole),
            (None, Some(value)) if value.fract() == 0.0 && (0.0..9e15).contains(&value) =>
            {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                Some(value as u64)
            }
            _ => None,
        };
        match whole {
            Some(whole) if (least..=most).contains(&whole) => Some(whole),
            _ => {
                let problem = format!("should be a whole number from {least} to {most}, is {number}");
                notes.problem(&self.path, problem);
                None
            }
        }
    }

    /// The value as an amount of cores in steps of `step` hundredths, up to `most` cores.
    pub fn cores(&self, notes: &mut Notes, step: u64, most: u32) -> Option<Cpu> {
        let number = self.number(notes)?;
        if let Some(hundredths) = hundredths_of(number)
            && hundredths <= u64::from(most) * 100
        {
            if hundredths.is_multiple_of(step) {
                return Some(Cpu::hundredths(hundredths));
            }
            let problem =
                format!("should be whole cores, is {number} (decimal cores need cpu_mode \"quota\")");
            notes.problem(&self.path, problem);
            return None;
        }
        let steps = if step == 100 {
            "whole cores"
        } else {
            "cores in steps of 0.01"
        };
        notes.problem(
            &self.path,
            format!("should be {steps} from 0 to {most}, is {number}"),
        );
        None
    }

    /// A list of texts, or one text that is split into words as a shell would.
    pub fn words(&self, notes: &mut Notes) -> Option<Vec<String>> {
        match self.value {
            Value::String(text) => {
                let words = shlex::split(text);
                if words.is_none() {
                    notes.problem(&self.path, "has a quote that is not closed");
                }
                if text.contains('\0') {
                    notes.problem(&self.path, "has a NUL character");
                }
                words
            }
            Value::Array(_) => Some(
                self.list(notes)
                    .iter()
                    .filter_map(|at| match at.value {
                        Value::String(word) if !word.contains('\0') => Some(word.clone()),
                        _ => {
                            at.wrong(notes, "a string without NUL characters");
                            None
                        }
                    })
                    .collect(),
            ),
            _ => {
                self.wrong(notes, "a string or a list of strings");
                None
            }
        }
    }
}

/// The fields of an object.
pub struct Fields<'a> {
    /// Path of the object.
    pub path: String,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The field, unless it is absent or null.
    pub fn get(&mut self, key: &'static str) -> Option<At<'a>> {
        self.known.push(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(At {
            path: join(&self.path, key),
            value,
        })
    }

    /// The field under its name or under a synonym, which is accepted with a warning.
    pub fn get_or(&mut self, notes: &mut Notes, key: &'static str, synonym: &'static str) -> Option<At<'a>> {
        let (field, other) = (self.get(key), self.get(synonym));
        match (field, other) {
            (Some(field), Some(other)) => {
                notes.problem(&other.path, format!("says the same as {key}; keep one of them"));
                Some(field)
            }
            (None, Some(other)) => {
                notes.warn(&other.path, format!("taken as {key}"));
                Some(other)
            }
            (field, None) => field,
        }
    }

    /// A field that must be there.
    pub fn need(&mut self, notes: &mut Notes, key: &'static str) -> Option<At<'a>> {
        let field = self.get(key);
        if field.is_none() {
            notes.problem(&join(&self.path, key), "is missing");
        }
        field
    }

    /// Text, if the field is there.
    pub fn text(&mut self, notes: &mut Notes, key: &'static str) -> Option<String> {
        self.get(key)?.text(notes).map(str::to_owned)
    }

    /// A whole number between `least` and `most`, if the field is there.
    pub fn whole(&mut self, notes: &mut Notes, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let whole = self.get(key)?.whole(notes, u64::from(least), u64::from(most))?;
        u32::try_from(whole).ok()
    }

    /// True or false, if the field is there.
    pub fn truth(&mut self, notes: &mut Notes, key: &'static str) -> Option<bool> {
        let at = self.get(key)?;
        if at.value.as_bool().is_none() {
            at.wrong(notes, "true or false");
        }
        at.value.as_bool()
    }

    /// All entries, for objects whose keys are names.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> + use<'a> {
        let path = self.path.clone();
        self.map.iter().map(move |(key, value)| {
            (
                key.as_str(),
                At {
                    path: join(&path, key),
                    value,
                },
            )
        })
    }

    /// Names the fields that nobody asked for, as warnings, with the nearest known name.
    pub fn finish(self, notes: &mut Notes) {
        #[cfg(test)]
        KNOWN.with_borrow_mut(|known| known.entry(self.path.clone()).or_default().extend(&self.known));
        for key in self.map.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let warning = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("is not a field that mapek knows; did you mean {near}?"),
                None => "is not a field that mapek knows; it is kept and given back".to_owned(),
            };
            notes.warn(&join(&self.path, key), warning);
        }
    }
}

#[cfg(test)]
thread_local! {
    static KNOWN: std::cell::RefCell<KnownFields> = std::cell::RefCell::default();
}

/// The fields that readers asked for, by the path of the object.
#[cfg(test)]
pub(crate) type KnownFields = std::collections::BTreeMap<String, std::collections::BTreeSet<&'static str>>;

/// What `read` returns, and the fields that it asked for.
#[cfg(test)]
pub(crate) fn known_fields<T>(read: impl FnOnce() -> T) -> (T, KnownFields) {
    KNOWN.take();
    (read(), KNOWN.take())
}

/// Names as people list alternatives: `a, b or c`.
pub fn alternatives(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The known name that was probably meant by `name`.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let lower = name.to_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.88)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
