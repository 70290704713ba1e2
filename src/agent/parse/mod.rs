//! What the kernel's files mean. Pure: texts come in, and what is missing or has another form is
//! left out.

pub mod capabilities;
pub mod counters;
pub mod devices;
pub mod health;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

/// Facts, by name.
pub type Facts = Map<String, Value>;

/// Those of these that exist.
fn facts<const N: usize>(of: [(&str, Option<Value>); N]) -> Facts {
    let there = of
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    there.collect()
}

/// Text, unless it is empty; cut to the length that the service accepts.
fn text(text: &str) -> Option<Value> {
    const LONGEST: usize = 200;
    let text = text.trim();
    (!text.is_empty()).then(|| Value::from(text.chars().take(LONGEST).collect::<String>()))
}

/// A number with this many decimals.
fn rounded(number: f64, decimals: i32) -> Option<Value> {
    let scale = 10_f64.powi(decimals);
    let number = (number * scale).round() / scale;
    number.is_finite().then(|| Value::from(number))
}

/// The value after `name:`, up to the end of its line.
fn field<'t>(of: &'t str, name: &str) -> Option<&'t str> {
    of.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// KiB of a line of `/proc/meminfo`.
fn kib(meminfo: &str, name: &str) -> Option<u64> {
    field(meminfo, name)?.split_whitespace().next()?.parse().ok()
}
