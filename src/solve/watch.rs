//! When to stop: the caller's clock and stop flag behind one question.
//!
//! The rooms of the solver never read a clock of their own; they ask here, between pieces of
//! work that are short by construction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::answer::EndedBy;

/// Deadline, clock and stop flag of one solve.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    clock: &'a (dyn Fn() -> Duration + Sync),
    stop: &'a AtomicBool,
    deadline: Duration,
}

impl<'a> Watch<'a> {
    /// A watch whose deadline is a reading of `clock`.
    #[must_use]
    pub fn new(clock: &'a (dyn Fn() -> Duration + Sync), stop: &'a AtomicBool, deadline: Duration) -> Self {
        Self {
            clock,
            stop,
            deadline,
        }
    }

    /// Why work must end now, if it must.
    #[must_use]
    pub fn cut(&self) -> Option<EndedBy> {
        if self.stop.load(Ordering::Relaxed) {
            Some(EndedBy::Stopped)
        } else if (self.clock)() >= self.deadline {
            Some(EndedBy::Deadline)
        } else {
            None
        }
    }

    /// Time left until the deadline.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_sub((self.clock)())
    }

    /// The same watch with an earlier end: at most `share` from now.
    #[must_use]
    pub fn within(&self, share: Duration) -> Self {
        let soon = (self.clock)().saturating_add(share);
        Self {
            deadline: self.deadline.min(soon),
            ..*self
        }
    }
}
