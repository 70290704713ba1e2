//! The meter under which every loop of unknown length runs.
//!
//! Work is counted in ticks, one for a handful of elementary steps. A method has an allowance of
//! ticks, so that it ends at the same place on every machine. Every so many ticks, the meter also
//! looks at the clock and the stop flag, so that no input can hold a thread beyond the deadline.

use super::answer::EndedBy;
use super::watch::Watch;

/// Ticks between two looks at the clock: some 50 µs of work.
const LOOK: u64 = 1 << 14;

/// No limit but the clock and the caller.
pub const UNLIMITED: u64 = u64::MAX;

/// Counts the work of one method on one thread.
pub struct Meter<'a> {
    watch: Watch<'a>,
    allowance: u64,
    spent: u64,
    /// When the clock is looked at next.
    next: u64,
    /// How much of `spent` the watch knows.
    told: u64,
    cut: Option<Cut>,
}

/// Why a method had to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its allowance is used up.
    Allowance,
    /// The clock or the caller ended it.
    Ended(EndedBy),
}

impl<'a> Meter<'a> {
    /// A meter with an allowance of its own.
    #[must_use]
    pub fn new(watch: Watch<'a>, allowance: u64) -> Self {
        Self {
            watch,
            allowance,
            spent: 0,
            next: LOOK.min(allowance),
            told: 0,
            cut: None,
        }
    }

    /// Counts work. False if it must end; then it stays false.
    #[inline]
    pub fn spend(&mut self, ticks: u64) -> bool {
        self.spent = self.spent.saturating_add(ticks);
        if self.spent < self.next {
            return true;
        }
        self.look()
    }

    #[cold]
    fn look(&mut self) -> bool {
        self.tell();
        if self.cut.is_none() {
            self.cut = if self.spent >= self.allowance {
                Some(Cut::Allowance)
            } else {
                self.watch.cut().map(Cut::Ended)
            };
        }
        if self.cut.is_some() {
            self.next = 0;
            return false;
        }
        self.next = self.spent.saturating_add(LOOK).min(self.allowance);
        true
    }

    /// Why it said stop, if it did.
    #[must_use]
    pub const fn cut(&self) -> Option<Cut> {
        self.cut
    }

    fn tell(&mut self) {
        self.watch.count(self.spent - self.told);
        self.told = self.spent;
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}

impl<'a> Watch<'a> {
    /// A meter with this many ticks.
    #[must_use]
    pub fn meter(&self, allowance: u64) -> Meter<'a> {
        Meter::new(*self, allowance)
    }
}
