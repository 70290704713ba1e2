//! Colours, one for each meaning. Whether any are shown is decided where it is printed: not in a
//! pipe, not with `NO_COLOR`.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// What is made.
pub const CREATE: Style = AnsiColor::Green.on_default();
/// What is changed.
pub const CHANGE: Style = AnsiColor::Yellow.on_default();
/// What is removed, and what went wrong.
pub const DELETE: Style = AnsiColor::Red.on_default();
/// What is run.
pub const HOOK: Style = AnsiColor::Cyan.on_default();
/// What matters.
pub const STRONG: Style = Style::new().bold();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

/// A text in a style.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A count with its noun: `1 VM`, `2 VMs`.
pub fn count(count: usize, one: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {one}s")
    }
}

/// A number without needless zeros.
pub fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
