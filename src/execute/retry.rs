//! How long to wait before an action is tried again. Pure: the random number is an argument.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(3);

/// The wait after the `attempt`th attempt, counted from 1. It doubles, and is somewhere between
/// half and the whole of that, so that many who failed together do not come back together. `chance`
/// is between 0 and 1.
#[must_use]
pub fn wait(attempt: u32, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    doubled.min(LONGEST).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_vary_by_half() {
        assert_eq!(wait(1, 1.0), FIRST);
        assert_eq!(wait(1, 0.0), FIRST / 2);
        assert_eq!(wait(3, 1.0), FIRST * 4);
        assert_eq!(wait(u32::MAX, 1.0), LONGEST);
    }
}
