//! Random numbers, from a seed.

use std::time::Duration;

/// Random numbers that are the same for the same seed.
pub struct Dice(fastrand::Rng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// From 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.u64(0..end)
    }

    /// From `first` up to and including `last`.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        self.0.u64(first..=last)
    }

    /// True in this many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.0.usize(0..of.len())]
    }

    pub fn fraction(&mut self) -> f64 {
        self.0.f64()
    }

    pub fn millis(&mut self, first: u64, last: u64) -> Duration {
        Duration::from_millis(self.between(first, last))
    }

    /// Usually short, sometimes long: each magnitude is as likely as the next.
    pub fn spread(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let (low, high) = (shortest.as_secs_f64().ln(), longest.as_secs_f64().ln());
        let seconds = (low + (high - low) * self.fraction()).exp();
        // Whole milliseconds read well in a story.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Duration::from_millis((seconds * 1000.0).round() as u64)
    }

    pub fn bits(&mut self) -> u128 {
        self.0.u128(..)
    }
}
