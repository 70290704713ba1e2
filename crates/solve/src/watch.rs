//! When to stop: the caller's clock and stop flag behind one question.
//!
//! No method of the solver reads a clock of its own. Between pieces of work that are short by
//! construction it asks here; loops whose length the input decides go through a
//! [`super::meter::Meter`], which asks here for them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::answer::EndedBy;

/// Deadline, clock, stop flag and the count of all work of one solve.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    clock: &'a (dyn Fn() -> Duration + Sync),
    stop: &'a AtomicBool,
    spent: &'a AtomicU64,
    begun: Duration,
    deadline: Duration,
}

/// What a first placement may take beyond the deadline. Together with the tenth of the time that was
/// given, it leaves half of the overrun that callers are promised to the checks and to the actions.
const GRACE: Duration = Duration::from_millis(250);

impl<'a> Watch<'a> {
    /// A watch whose deadline is a reading of `clock`. `spent` counts the work of all methods.
    #[must_use]
    pub fn new(
        clock: &'a (dyn Fn() -> Duration + Sync),
        stop: &'a AtomicBool,
        spent: &'a AtomicU64,
        deadline: Duration,
    ) -> Self {
        Self {
            clock,
            stop,
            spent,
            begun: clock(),
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

    /// Time since the solve began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        (self.clock)().saturating_sub(self.begun)
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

    /// The same watch with a little more time: for what must be done before there is any answer, and
    /// for the last touches to one.
    #[must_use]
    pub fn grace(&self) -> Self {
        let given = self.deadline.saturating_sub(self.begun);
        Self {
            deadline: self.deadline.max(self.begun).saturating_add(GRACE + given / 10),
            ..*self
        }
    }

    /// Adds to the count of all work.
    pub fn count(&self, ticks: u64) {
        self.spent.fetch_add(ticks, Ordering::Relaxed);
    }

    /// All work so far, in ticks.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }
}
