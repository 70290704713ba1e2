//! The table of the service's options, made from the definition of the command line.

use clap::Args;

use super::Options;
use super::defaults::told;

/// A row for each option, in Markdown.
#[must_use]
pub fn options_text() -> String {
    let mut text = "| flag | environment | |\n|---|---|---|\n".to_owned();
    let command = told(Options::augment_args(clap::Command::new("mapek")));
    for option in command.get_arguments() {
        let flag = option.get_long().unwrap_or_default();
        let variable = option
            .get_env()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.replace('|', "\\|").replace('<', "&lt;");
        text.push_str(&format!("| `--{flag}` | `{variable}` | {help} |\n"));
    }
    text
}
