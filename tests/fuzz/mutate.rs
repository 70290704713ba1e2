//! Valid documents with a few things changed in them, anywhere.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::documents::{any_json, leaf};

/// One change, at a place that its number determines.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    Wrap,
    /// Puts a copy of one part in the place of another.
    Copy(Index),
    /// Adds to a list or an object.
    Add(String, Value),
    /// Writes a text in another way.
    Text(String),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => leaf().prop_map(Change::Replace),
        2 => any_json().prop_map(Change::Replace),
        2 => Just(Change::Remove),
        1 => Just(Change::Wrap),
        2 => any::<Index>().prop_map(Change::Copy),
        2 => ("[a-z_]{0,8}", leaf()).prop_map(|(name, value)| Change::Add(name, value)),
        2 => "\\PC{0,6}".prop_map(Change::Text),
    ]
}

/// One of `valid`, with up to six changes.
pub fn mutated(valid: Vec<Value>) -> impl Strategy<Value = Value> {
    let changes = proptest::collection::vec((any::<Index>(), change()), 0..6);
    (proptest::sample::select(valid), changes).prop_map(|(mut document, changes)| {
        for (place, change) in changes {
            apply(&mut document, &place, change);
        }
        document
    })
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        pointers(child, format!("{at}/{name}"), found);
    }
    found.push(at);
}

fn apply(document: &mut Value, place: &Index, change: Change) {
    let mut places = Vec::new();
    pointers(document, String::new(), &mut places);
    let other = match &change {
        Change::Copy(other) => document.pointer(&places[other.index(places.len())]).cloned(),
        _ => None,
    };
    let at = &places[place.index(places.len())];
    if let Change::Remove = change {
        if let Some((parent, name)) = at.rsplit_once('/') {
            match document.pointer_mut(parent) {
                Some(Value::Object(fields)) => {
                    drop(fields.remove(&name.replace("~1", "/").replace("~0", "~")))
                }
                Some(Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
                _ => {}
            }
        }
        return;
    }
    let Some(target) = document.pointer_mut(at) else {
        return;
    };
    match change {
        Change::Replace(value) => *target = value,
        Change::Remove => {}
        Change::Wrap => *target = Value::from(vec![target.take()]),
        Change::Copy(_) => *target = other.unwrap_or_default(),
        Change::Add(name, value) => match target {
            Value::Object(fields) => drop(fields.insert(name, value)),
            Value::Array(items) => items.push(value),
            other => *other = value,
        },
        Change::Text(more) => {
            if let Value::String(text) = target {
                text.push_str(&more);
            }
        }
    }
}
