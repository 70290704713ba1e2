//! What an agent does next, depending on the service's answer. Pure: the random number is an
//! argument.

use std::time::Duration;

/// What the service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was accepted.
    Taken {
        /// The service wants the next refresh within this time.
        refresh: Option<Duration>,
        /// After this time without a refresh the node is lost.
        lost_after: Option<Duration>,
        /// The node's standing there, and why.
        standing: Option<String>,
    },
    /// A later start of the agent has registered, with this epoch.
    Stale(u64),
    /// The service does not know the node.
    Unknown(String),
    /// The service refuses.
    Refused(String),
    /// There was no answer, or none that could be used.
    Away(String),
}

impl Answered {
    /// For people.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Taken { .. } => "it was taken".to_owned(),
            Self::Stale(epoch) => {
                format!("another agent of this node has registered since, with epoch {epoch}")
            }
            Self::Unknown(why) | Self::Refused(why) | Self::Away(why) => why.clone(),
        }
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same again, after a pause.
    Pause {
        /// How long.
        pause: Duration,
        /// What people should know.
        told: Option<String>,
    },
    /// The end, for this reason.
    Over(String),
}

/// The agent's present state.
#[derive(Clone, Debug)]
pub struct Course {
    epoch: u64,
    refresh: Duration,
    lost_after: Duration,
    /// The service knows everything about the node.
    known: bool,
    /// The service has accepted this start at least once.
    taken: bool,
    /// How many times in a row it failed.
    failures: u32,
    /// What people were told last.
    told: Option<String>,
}

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Course {
    /// At the beginning.
    #[must_use]
    pub const fn new(epoch: u64, refresh: Duration) -> Self {
        Self {
            epoch,
            refresh,
            lost_after: LONGEST_PAUSE,
            known: false,
            taken: false,
            failures: 0,
            told: None,
        }
    }

    /// Which start of the agent this is.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the service knows everything about the node, so that a refresh can be short.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.known
    }

    /// Applies an answer. `chance` is a number from 0 to 1, so that many agents do not come back at
    /// the same instant.
    pub fn after(&mut self, answered: &Answered, chance: f64) -> Next {
        match answered {
            Answered::Taken {
                refresh,
                lost_after,
                standing,
            } => {
                (self.known, self.taken, self.failures) = (true, true, 0);
                self.refresh = refresh.unwrap_or(self.refresh);
                self.lost_after = lost_after.unwrap_or(self.lost_after);
                let standing = standing.as_deref().unwrap_or("ready");
                Next::Pause {
                    pause: self.refresh,
                    told: self.news(format!("registered: {standing}")),
                }
            }
            // If the machine's clock was set back, its number is too small.
            Answered::Stale(epoch) if !self.taken => {
                self.epoch = epoch.saturating_add(1);
                Next::Pause {
                    pause: Duration::ZERO,
                    told: None,
                }
            }
            Answered::Stale(_) => Next::Over(answered.why()),
            // It is told everything at once.
            Answered::Unknown(_) if self.known => {
                self.known = false;
                Next::Pause {
                    pause: Duration::ZERO,
                    told: None,
                }
            }
            Answered::Unknown(why) | Answered::Refused(why) => {
                self.known = false;
                self.fail(why, chance)
            }
            Answered::Away(why) => self.fail(why, chance),
        }
    }

    fn fail(&mut self, why: &str, chance: f64) -> Next {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        // A service that has come back waits for a refresh, and then for `lost_after`, before it
        // counts a node as lost.
        let in_time = self.refresh.saturating_add(self.lost_after / 2);
        let longest = LONGEST_PAUSE.min(in_time).max(FIRST_PAUSE);
        Next::Pause {
            pause: doubled.min(longest).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0),
            told: self.news(why.to_owned()),
        }
    }

    /// What people were not told just before.
    fn news(&mut self, what: String) -> Option<String> {
        if self.told.as_ref() == Some(&what) {
            return None;
        }
        self.told = Some(what.clone());
        Some(what)
    }
}
