//! What a caller gives to a solve besides the question, and what it may get instead of an answer.

use std::time::Duration;

use super::explain::Infeasible;
use super::verify::Violation;

/// How long and how hard to search.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time on the clock at which the best answer so far is returned.
    pub deadline: Duration,
    /// Search until the answer is proven: no limit on work, only on time.
    pub exact: bool,
    /// Seed of the search.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            exact: false,
            seed: 0x006d_6170_656b,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SolveError {
    /// Proven: no placement exists.
    #[error(transparent)]
    Infeasible(#[from] Infeasible),
    /// The clock ended the search before a placement was found, or shown not to exist.
    #[error("no placement was found within the deadline, and none was shown to be impossible")]
    Undecided,
    /// The caller went away.
    #[error("the search was stopped before a placement was found")]
    Stopped,
    /// The plan asks for more VMs than can be planned for.
    #[error("the plan needs at least {0} VMs, more than can be planned for at once")]
    TooLarge(u64),
    /// A mistake of the solver: its answer did not pass the checker and is not returned.
    #[error("the solver made an answer that its checker refuses: {0}")]
    Refused(#[from] Violation),
}
