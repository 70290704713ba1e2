//! What each node last said, to whoever looked and by itself, and its standing that follows from
//! that.
//!
//! Pure: the time since the start of this process is an argument and never goes back. The wall
//! clock decides nothing; it is only recorded for people. What was heard before a restart is not
//! known here, so a node is silent for a full period before it counts as lost, however long `mapek`
//! was down.
//!
//! | | |
//! |---|---|
//! | `known` | one node: its lease, what its engine answered, whether it is away and since when |
//! | `fleet` | all of them: who is lost, and when so many are away that it must be us who is cut off |

mod fleet;
mod known;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::model::node::Standing;
use crate::model::{About, VmId};

pub use fleet::{Assessment, Isolation, Rules, Turn};
use known::Known;
pub use known::Lease;

/// A moment: since the start, and by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the start of this process.
    pub since_start: Duration,
    /// What is recorded for it.
    pub at: Timestamp,
}

/// What a node's engine answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What it says about itself.
    pub about: About,
    /// Its health.
    pub health: Map<String, Value>,
}

/// What is known of the nodes.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    known: BTreeMap<VmId, Known>,
    /// So many are away at once that this service must be cut off.
    isolation: Option<Isolation>,
    /// When that was last so. No node counts as lost before a full period after that.
    isolated_until: Option<Moment>,
}

/// What others than its engine say about a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: it can be used.
    Nothing,
    /// It takes nothing new, for this reason.
    Cordoned(String),
    /// Everything on it is being moved away, for this reason.
    Draining(String),
    /// Its source has put it aside, for this reason.
    Aside(String),
    /// Its source is taking it away, for this reason.
    Leaving(String),
}

/// A node's standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stands {
    /// How.
    pub standing: Standing,
    /// Why, unless it can be used.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Whether a node is there, regardless of what anybody wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Here,
    /// It is back after having been lost repeatedly, and is not used for a while.
    Unsteady(String),
    /// It has not reported when it should have.
    Silent(String),
    /// That has lasted so long that it counts as lost.
    Lost(String),
}

impl Registry {
    /// A node's engine answered.
    pub fn heard(&mut self, node: &VmId, heard: Heard, now: Moment) {
        self.of(node, now).heard(heard, now);
    }

    /// A node's engine did not answer.
    pub fn unheard(&mut self, node: &VmId, why: &str, now: Moment) {
        self.of(node, now).unheard(why, now);
    }

    /// A node reported that it is there.
    pub fn refreshed(&mut self, node: &VmId, lease: Lease, now: Moment) {
        self.of(node, now).refreshed(lease);
    }

    /// A node reported that it is leaving: no more refreshes are expected.
    pub fn left(&mut self, node: &VmId) {
        if let Some(known) = self.known.get_mut(node) {
            known.lease = None;
        }
    }

    /// Forgets nodes that no source has any more.
    pub fn keep(&mut self, nodes: &BTreeSet<VmId>) {
        self.known.retain(|node, _| nodes.contains(node));
    }

    /// What its engine last said.
    #[must_use]
    pub fn last(&self, node: &VmId) -> Option<&Heard> {
        Some(&self.known.get(node)?.heard)
    }

    /// Its health, as it last reported it.
    #[must_use]
    pub fn health(&self, node: &VmId) -> Option<&Map<String, Value>> {
        Some(&self.known.get(node)?.lease.as_ref()?.health)
    }

    /// If so many are away at once that this service must be cut off: that.
    #[must_use]
    pub const fn isolation(&self) -> Option<&Isolation> {
        self.isolation.as_ref()
    }

    /// Whether a node is there, as it was last assessed; an unknown node counts as there.
    #[must_use]
    pub fn presence(&self, node: &VmId, now: Moment) -> Presence {
        self.known
            .get(node)
            .map_or(Presence::Here, |known| known.presence(now))
    }

    /// Whether it should refresh.
    #[must_use]
    pub fn is_overdue(&self, node: &VmId, now: Moment) -> bool {
        self.known.get(node).is_some_and(|known| known.is_overdue(now))
    }

    /// A node's standing now. What makes it unusable by itself goes before what somebody wants of
    /// it.
    pub fn stands(&mut self, node: &VmId, told: &Told, now: Moment) -> Stands {
        let known = self.of(node, now);
        let (standing, reason) = match (known.presence(now), told) {
            (_, Told::Leaving(why)) => (Standing::Leaving, Some(why.clone())),
            // A node that is still being started need not answer.
            (_, Told::Aside(why)) => (Standing::Aside, Some(why.clone())),
            (Presence::Lost(why), _) => (Standing::Lost, Some(why)),
            (Presence::Silent(why), _) => (Standing::Silent, Some(why)),
            (Presence::Unsteady(why), _) => (Standing::Aside, Some(why)),
            (Presence::Here, Told::Draining(why)) => (Standing::Draining, Some(why.clone())),
            (Presence::Here, Told::Cordoned(why)) => (Standing::Cordoned, Some(why.clone())),
            (Presence::Here, Told::Nothing) => (Standing::Ready, None),
        };
        let since = known.stands(standing, now);
        Stands {
            standing,
            reason,
            since: since.at,
        }
    }

    fn of(&mut self, node: &VmId, now: Moment) -> &mut Known {
        self.known.entry(node.clone()).or_insert_with(|| Known::new(now))
    }
}
