//! Writes answers to standard output: JSON, and tables without rules.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

use super::problem::{Exit, Problem, written};

/// A text, with its colours if they are wanted.
///
/// # Errors
///
/// When it can't be written.
pub fn print(text: &str) -> Result<(), Problem> {
    written(writeln!(anstream::stdout(), "{text}"))
}

/// JSON, laid out for reading.
///
/// # Errors
///
/// When it can't be written.
pub fn print_json(answer: &Value) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(answer)
        .map_err(|error| Problem::new(Exit::Failed, error.to_string()))?;
    written(writeln!(std::io::stdout(), "{text}"))
}

/// A table. Columns whose heading begins with a space are aligned to the right.
#[must_use]
pub fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.trim_start()));
    for row in rows {
        table.add_row(row);
    }
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if heading.starts_with(' ') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// The fields of an object that are objects themselves; `time` and the like are left out.
pub fn objects(answer: &Value) -> impl Iterator<Item = (&String, &serde_json::Map<String, Value>)> {
    answer
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key, value.as_object()?)))
}

/// A value as a cell: texts without quotes, a dash for nothing.
#[must_use]
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number
            .as_f64()
            .map_or_else(|| number.to_string(), super::style::number),
        Some(other) => other.to_string(),
    }
}

/// The resources that are told only where there are any: what they are called in JSON and over a column.
pub const FURTHER: [(&str, &str); 2] = [("disk_gb", " DISK GB"), ("gpus", " GPUS")];

/// Those of them that an answer tells of anywhere.
#[must_use]
pub fn further(answer: &Value) -> Vec<(&'static str, &'static str)> {
    FURTHER
        .into_iter()
        .filter(|(key, _)| tells(answer, key))
        .collect()
}

fn tells(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(map) => {
            map.get(key)
                .and_then(Value::as_f64)
                .is_some_and(|amount| amount > 0.0)
                || map.values().any(|value| tells(value, key))
        }
        Value::Array(list) => list.iter().any(|value| tells(value, key)),
        _ => false,
    }
}
