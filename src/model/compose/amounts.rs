//! Amounts as Compose writes them: durations, bytes, cores.

use serde_json::Value;

/// Whole seconds of a duration such as `1m30s`, at least one where it is not zero.
pub fn seconds(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let mut rest = value.as_str()?.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, left) = unit.split_at(end);
        total += number
            * match unit {
                "us" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = left;
    }
    // Far below 2^53.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (total <= 1e9).then(|| total.ceil() as u64)
}

/// Bytes of an amount such as `512M`.
pub fn bytes(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let text = value.as_str()?.trim().to_ascii_lowercase();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "" | "b" => 1.0,
        "k" | "kb" => 1024.0,
        "m" | "mb" => 1024.0 * 1024.0,
        "g" | "gb" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (bytes <= 1e15).then(|| bytes.ceil() as u64)
}

/// Hundredths of a core, rounded up.
pub fn hundredths(value: &Value) -> Option<u64> {
    let cores = match value {
        Value::String(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    let fine = (0.0..=1e6).contains(&cores);
    // What 0.1 lacks of a tenth is no hundredth more.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fine.then(|| (cores * 100.0 - 1e-6).ceil().max(0.0) as u64)
}
