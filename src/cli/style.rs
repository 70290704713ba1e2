//! Colours, one for each meaning. Whether they are shown is decided when they are printed: not in a
//! pipe, and not with `NO_COLOR`.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// Something that is created.
pub const CREATE: Style = AnsiColor::Green.on_default();
/// Something that is changed.
pub const CHANGE: Style = AnsiColor::Yellow.on_default();
/// Something that is removed, and errors.
pub const DELETE: Style = AnsiColor::Red.on_default();
/// Something that is run.
pub const HOOK: Style = AnsiColor::Cyan.on_default();
/// Something important.
pub const STRONG: Style = Style::new().bold();
/// Something less important.
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

/// A number without unneeded zeros.
pub fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
