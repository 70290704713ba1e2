//! A container's log.

use std::pin::Pin;

use futures_util::Stream;

use super::error::EngineError;

/// Pieces of a log, which need not end at the ends of lines.
pub type Log = Pin<Box<dyn Stream<Item = Result<Vec<u8>, EngineError>> + Send>>;

/// Which part of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// At most this many of the last lines; None for all.
    pub tail: Option<u32>,
    /// What was written since then, in seconds since 1970; None for all.
    pub since: Option<i64>,
    /// Whether to go on with what is written later, until the container ends.
    pub follow: bool,
}
