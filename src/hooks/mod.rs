//! Hooks: fetched from git or a folder, delivered into containers, run there.
//!
//! `source` and `set` are pure; `cache`, `git` and `folder` read; `run` talks to an engine. A hook
//! is run as an argument vector, never through a shell. Which hooks run when is decided elsewhere.

mod cache;
mod error;
mod fetch;
mod folder;
mod git;
mod listen;
mod run;
mod set;
mod signed;
mod source;
#[cfg(test)]
mod tests;

pub use error::{At, FetchError, HookError};
pub use fetch::{Fetcher, resolved};
pub use run::{HookCall, Runs, run};
pub use set::{HookSet, Kind, Missing};
pub use source::shown;
