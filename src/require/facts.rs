//! A node as expressions see it: `node.id`, `node.labels`, …

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value as Cel;
use cel::objects::Key;
use serde_json::{Map, Value};

/// The most labels of a node that expressions see, and the most entries of any other map or list.
pub const MOST_LABELS: usize = 64;
/// The longest text that they see, in bytes; a longer one is cut.
pub const WIDEST: usize = 256;
/// How deeply maps and lists may be nested in the node: `node.capabilities.runtimes`.
const DEEPEST: usize = 2;

/// What is known about a node. It stays within the sizes with which the cost of expressions is
/// worked out, whatever it was made from.
#[derive(Clone, Debug)]
pub struct Facts(pub(super) Cel);

impl Facts {
    /// The node's fields, by name.
    #[must_use]
    pub fn of(node: &Map<String, Value>) -> Self {
        let fields = node
            .iter()
            .map(|(name, value)| (key(name), bounded(value, DEEPEST)));
        Self(map(fields.collect()))
    }
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(cut(name).to_owned()))
}

fn map(fields: HashMap<Key, Cel>) -> Cel {
    Cel::Map(cel::objects::Map {
        map: Arc::new(fields),
    })
}

/// A whole number is an integer, so that `16` in an expression equals a node's 16.
fn bounded(value: &Value, deep: usize) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, Some(real)) => Cel::Float(real),
            (None, None) => Cel::Null,
        },
        Value::String(text) => Cel::String(Arc::new(cut(text).to_owned())),
        Value::Array(_) | Value::Object(_) if deep == 0 => Cel::Null,
        Value::Array(values) => {
            let values = values.iter().take(MOST_LABELS);
            Cel::List(Arc::new(values.map(|value| bounded(value, deep - 1)).collect()))
        }
        Value::Object(fields) => {
            let fields = fields.iter().take(MOST_LABELS);
            map(fields
                .map(|(name, value)| (key(name), bounded(value, deep - 1)))
                .collect())
        }
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(WIDEST)).unwrap_or(text)
}

/// A value as it is shown to a person: short.
pub(super) fn shown(value: &Cel) -> String {
    /// The longest that is shown.
    const LONGEST: usize = 80;
    let text = written(value);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn written(value: &Cel) -> String {
    match value {
        Cel::Null => "null".to_owned(),
        Cel::Bool(truth) => truth.to_string(),
        Cel::Int(number) => number.to_string(),
        Cel::UInt(number) => number.to_string(),
        Cel::Float(number) => number.to_string(),
        Cel::String(text) if text.is_empty() => "empty".to_owned(),
        Cel::String(text) => text.to_string(),
        Cel::List(values) if values.is_empty() => "empty".to_owned(),
        Cel::List(values) => values.iter().map(written).collect::<Vec<_>>().join(", "),
        Cel::Map(fields) if fields.map.is_empty() => "empty".to_owned(),
        Cel::Map(fields) => {
            let mut names: Vec<String> = fields.map.keys().map(name).collect();
            names.sort();
            names.join(", ")
        }
        other => other.type_of().to_string(),
    }
}

fn name(key: &Key) -> String {
    match key {
        Key::Int(number) => number.to_string(),
        Key::Uint(number) => number.to_string(),
        Key::Bool(truth) => truth.to_string(),
        Key::String(text) => text.to_string(),
    }
}
