//! What an agent does next, by what the service answered. Pure: chance comes in as an argument.

use std::time::Duration;

/// What the service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was taken.
    Taken {
        /// The service wants to hear of it again within this time.
        refresh: Option<Duration>,
        /// After this time without a refresh the node is lost.
        lost_after: Option<Duration>,
        /// How the node stands there, and why.
        standing: Option<String>,
    },
    /// A start of the agent with this epoch has registered, which is later.
    Stale(u64),
    /// The service does not know the node.
    Unknown(String),
    /// The service says no.
    Refused(String),
    /// No answer came, or none that says anything.
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

/// How far an agent is.
#[derive(Clone, Debug)]
pub struct Course {
    epoch: u64,
    refresh: Duration,
    lost_after: Duration,
    /// The service knows all that there is to say.
    known: bool,
    /// The service has ever taken this start.
    taken: bool,
    /// How often in a row it went wrong.
    failures: u32,
    /// What people were told last.
    told: Option<String>,
}

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Course {
    /// At the begin.
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

    /// Whether the service knows all that there is to say, so that a refresh can be short.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.known
    }

    /// Takes an answer in. `chance` is a number from 0 to 1: many agents are not to come back at the same instant.
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
            // A machine whose clock ran back has a number that is too small.
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
        // The service that is back waits for a refresh and for `lost_after` before a node is lost to it.
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
