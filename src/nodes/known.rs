//! What is known about one node: its lease, what its engine answered, and whether it is away. Pure.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Heard, Moment, Presence};
use crate::model::node::Standing;

/// A refresh may be this late, since it has a way to go.
const SLACK: Duration = Duration::from_millis(500);
/// Losses that are further apart than this are unrelated.
const MEMORY: Duration = Duration::from_secs(3600);

/// A node's own report that it is there, and will report again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it reported.
    pub refreshed: Moment,
    /// Within which time it promised to report again.
    pub every: Duration,
    /// Its health.
    pub health: Map<String, Value>,
}

impl Lease {
    /// When the next refresh is overdue.
    fn due(&self) -> Duration {
        self.refreshed.since_start + self.every + SLACK
    }
}

/// One node.
#[derive(Clone, Debug)]
pub struct Known {
    pub heard: Heard,
    /// Only nodes with an agent have one.
    pub lease: Option<Lease>,
    /// Why its engine does not answer; None if it did last time.
    silent: Option<String>,
    /// Since when it has answered, or has not.
    turned: Moment,
    /// Since when it counts as lost.
    pub lost: Option<Moment>,
    /// How many times it was lost, without a long time in between.
    losses: u32,
    /// When it was last lost.
    last_loss: Option<Moment>,
    /// It is not used before this time.
    pub steady_from: Option<Moment>,
    /// Its standing when that was last asked, and since when.
    stood: Option<(Standing, Moment)>,
    /// Its standing when it was last assessed.
    pub told: Option<Standing>,
}

/// A node is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Since when.
    pub since: Moment,
    /// What shows it.
    pub why: String,
}

impl Known {
    pub fn new(now: Moment) -> Self {
        Self {
            heard: Heard::default(),
            lease: None,
            silent: None,
            turned: now,
            lost: None,
            losses: 0,
            last_loss: None,
            steady_from: None,
            stood: None,
            told: None,
        }
    }

    pub fn heard(&mut self, heard: Heard, now: Moment) {
        if self.silent.take().is_some() {
            self.turned = now;
        }
        self.heard = heard;
    }

    pub fn unheard(&mut self, why: &str, now: Moment) {
        if self.silent.is_none() {
            self.turned = now;
        }
        self.silent = Some(why.to_owned());
    }

    /// Requests overtake each other: an older one changes nothing.
    pub fn refreshed(&mut self, lease: Lease) {
        let older = |kept: &Lease| kept.refreshed.since_start > lease.refreshed.since_start;
        if !self.lease.as_ref().is_some_and(older) {
            self.lease = Some(lease);
        }
    }

    /// Whether it is away: its refresh is overdue, or its engine does not answer, whichever began
    /// first.
    pub fn absence(&self, now: Moment) -> Option<Absence> {
        let overdue = self.lease.as_ref().and_then(|lease| {
            let due = lease.due();
            (now.since_start >= due).then(|| {
                let every = lease.every.as_secs();
                let late = now.since_start.saturating_sub(due);
                let late = jiff::SignedDuration::try_from(late).unwrap_or_default();
                Absence {
                    since: Moment {
                        since_start: due,
                        at: now.at.checked_sub(late).unwrap_or(now.at),
                    },
                    why: format!("its agent has not refreshed, which it promised to do every {every} s"),
                }
            })
        });
        let silent = self.silent.as_ref().map(|why| Absence {
            since: self.turned,
            why: format!("it does not answer: {why}"),
        });
        match (overdue, silent) {
            (Some(overdue), Some(silent)) if silent.since.since_start < overdue.since.since_start => {
                Some(Absence {
                    since: silent.since,
                    ..overdue
                })
            }
            (Some(overdue), _) => Some(overdue),
            (None, silent) => silent,
        }
    }

    /// Whether a refresh is overdue.
    pub fn is_overdue(&self, now: Moment) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| now.since_start >= lease.due())
    }

    /// From now on it counts as lost. If it comes and goes, it must wait longer each time before it
    /// is used again, so that nothing moves to and fro.
    pub fn lose(&mut self, now: Moment) {
        let long_ago = |last: Moment| now.since_start.saturating_sub(last.since_start) > MEMORY;
        if self.last_loss.is_some_and(long_ago) {
            self.losses = 0;
        }
        self.losses = self.losses.saturating_add(1);
        (self.lost, self.last_loss) = (Some(now), Some(now));
    }

    /// It was lost, and is back. The first time, it may be used at once.
    pub fn come_back(&mut self, lost_after: Duration, longest: Duration, now: Moment) {
        self.lost = None;
        self.steady_from = self.losses.checked_sub(2).map(|times| {
            let pause = lost_after
                .saturating_mul(2_u32.saturating_pow(times))
                .min(longest);
            Moment {
                since_start: now.since_start + pause,
                at: jiff::SignedDuration::try_from(pause)
                    .ok()
                    .and_then(|pause| now.at.checked_add(pause).ok())
                    .unwrap_or(now.at),
            }
        });
    }

    pub fn presence(&self, now: Moment) -> Presence {
        let absence = self.absence(now);
        match (self.lost, absence) {
            (Some(_), Some(Absence { why, .. })) => Presence::Lost(why),
            // It is back, and nobody has noticed that yet.
            (Some(_), None) => Presence::Silent("it was lost, and has just come back".to_owned()),
            (None, Some(Absence { why, .. })) => Presence::Silent(why),
            (None, None) => match self.steady_from {
                Some(from) if from.since_start > now.since_start => Presence::Unsteady(format!(
                    "it was lost {} times: it is used again once it has stayed until {:.0}",
                    self.losses, from.at
                )),
                _ => Presence::Here,
            },
        }
    }

    /// Records its standing, and returns since when it has had it.
    pub fn stands(&mut self, standing: Standing, now: Moment) -> Moment {
        let since = match (self.stood, standing) {
            (Some((stood, since)), _) if stood == standing => since,
            // It became silent when it did not answer, not when somebody asked.
            (_, Standing::Silent) => self.absence(now).map_or(now, |absence| absence.since),
            (_, Standing::Lost) => self.lost.unwrap_or(now),
            (_, Standing::Ready) => self.turned,
            _ => now,
        };
        self.stood = Some((standing, since));
        since
    }
}
