//! Measured times, as a table in Markdown.

use std::time::Duration;

/// A table with a row for each comparison.
pub struct Table {
    lines: Vec<String>,
}

impl Table {
    /// Without rows yet.
    pub fn new(title: &str) -> Self {
        let head = "| | mapek | (fastest to slowest) | bare client | (fastest to slowest) | ratio |";
        let lines = ["", title, "", head, "|---|--:|--:|--:|--:|--:|"].map(str::to_owned);
        Self {
            lines: lines.to_vec(),
        }
    }

    /// Adds the medians of both, in seconds times `unit`, and their ratio.
    pub fn row(&mut self, what: &str, mapek: &[Duration], bare: &[Duration], unit: f64) {
        let [(a, a_range), (b, b_range)] = [mapek, bare].map(|times| {
            let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * unit).collect();
            times.sort_by(f64::total_cmp);
            let range = format!("{:.2} to {:.2}", times[0], times[times.len() - 1]);
            (times[times.len() / 2], range)
        });
        let ratio = a / b;
        self.lines.push(format!(
            "| {what} | {a:.2} | {a_range} | {b:.2} | {b_range} | {ratio:.2} |"
        ));
    }

    /// Prints it.
    pub fn print(&self) {
        for line in &self.lines {
            println!("{line}");
        }
    }
}
