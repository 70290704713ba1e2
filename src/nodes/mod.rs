//! What each node last said, and its standing that follows from that.
//!
//! Pure: the time since the start of this process is an argument and never goes back. The wall
//! clock decides nothing; it is only recorded for people. What was heard before a restart is not
//! known here, so a node is silent for a full period before it counts as lost, however long `mapek`
//! was down.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::model::node::Standing;
use crate::model::{About, VmId};

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
}

#[derive(Clone, Debug)]
struct Known {
    heard: Heard,
    /// Why it does not answer; None if it did last time.
    silent: Option<String>,
    /// Since when it has answered, or has not.
    turned: Moment,
    /// Its standing when that was last asked, and since when.
    stood: Option<(Standing, Moment)>,
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

impl Registry {
    /// A node answered.
    pub fn heard(&mut self, node: &VmId, heard: Heard, now: Moment) {
        let known = self.known.entry(node.clone()).or_insert_with(|| Known::new(now));
        if known.silent.take().is_some() {
            known.turned = now;
        }
        known.heard = heard;
    }

    /// A node did not answer.
    pub fn unheard(&mut self, node: &VmId, why: &str, now: Moment) {
        let known = self.known.entry(node.clone()).or_insert_with(|| Known::new(now));
        if known.silent.is_none() {
            known.turned = now;
        }
        known.silent = Some(why.to_owned());
    }

    /// Forgets nodes that no source has any more.
    pub fn keep(&mut self, nodes: &BTreeSet<VmId>) {
        self.known.retain(|node, _| nodes.contains(node));
    }

    /// What it said last.
    #[must_use]
    pub fn last(&self, node: &VmId) -> Option<&Heard> {
        Some(&self.known.get(node)?.heard)
    }

    /// A node's standing now. What makes it unusable by itself goes before what somebody wants of
    /// it.
    pub fn stands(&mut self, node: &VmId, told: &Told, lost_after: Duration, now: Moment) -> Stands {
        let known = self.known.entry(node.clone()).or_insert_with(|| Known::new(now));
        let silent_for = now.since_start.saturating_sub(known.turned.since_start);
        let (standing, reason) = match (&known.silent, told) {
            (_, Told::Leaving(why)) => (Standing::Leaving, Some(why.clone())),
            // A node that is still being started need not answer.
            (_, Told::Aside(why)) => (Standing::Aside, Some(why.clone())),
            (Some(why), _) if silent_for >= lost_after => {
                let seconds = lost_after.as_secs();
                let reason = format!("it has not answered for {seconds} s and more: {why}");
                (Standing::Lost, Some(reason))
            }
            (Some(why), _) => (Standing::Silent, Some(format!("it does not answer: {why}"))),
            (None, Told::Draining(why)) => (Standing::Draining, Some(why.clone())),
            (None, Told::Cordoned(why)) => (Standing::Cordoned, Some(why.clone())),
            (None, Told::Nothing) => (Standing::Ready, None),
        };
        let since = match known.stood {
            Some((stood, since)) if stood == standing => since,
            // It became silent when it did not answer, not when somebody asked.
            _ if matches!(standing, Standing::Silent | Standing::Ready) => known.turned,
            _ => now,
        };
        known.stood = Some((standing, since));
        Stands {
            standing,
            reason,
            since: since.at,
        }
    }
}

impl Known {
    fn new(now: Moment) -> Self {
        Self {
            heard: Heard::default(),
            silent: None,
            turned: now,
            stood: None,
        }
    }
}
