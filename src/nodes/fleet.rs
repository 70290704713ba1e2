//! All nodes together: which of them are lost. If too many are away at once, it must be this
//! service that is cut off, and none of them is lost. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Moment, Presence, Registry};
use crate::model::VmId;
use crate::model::node::Standing;
use crate::model::topology::Share;

/// What makes a node lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long it has to be away.
    pub lost_after: Duration,
    /// No more than this share of all nodes is lost at once.
    pub max_lost: Share,
    /// The longest time that a node which comes and goes must wait before it is used again.
    pub longest_pause: Duration,
}

/// So many nodes are away at once that this service must be cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// This many are away.
    pub away: usize,
    /// Out of this many.
    pub of: usize,
    /// Since when that is so.
    pub since: Moment,
}

/// A node whose standing has changed since it was last assessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The node.
    pub node: VmId,
    /// Its standing now: ready, silent, lost or aside.
    pub standing: Standing,
    /// Why, unless it is ready.
    pub reason: Option<String>,
}

/// The result of an assessment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Nodes whose standing has changed.
    pub turns: Vec<Turn>,
    /// From now on this service counts as cut off.
    pub cut_off: Option<Isolation>,
    /// It no longer does.
    pub over: bool,
    /// How many nodes are ready, aside, silent and lost.
    pub counts: [(Standing, usize); 4],
}

impl Registry {
    /// Finds out which nodes of a fleet are lost, and which are back. Those that were lost before
    /// are no longer part of the fleet, so many can be lost one after the other.
    pub fn assess(&mut self, fleet: &BTreeSet<VmId>, rules: Rules, now: Moment) -> Assessment {
        let mut found = Assessment {
            turns: Vec::new(),
            cut_off: None,
            over: false,
            counts: [Standing::Ready, Standing::Aside, Standing::Silent, Standing::Lost]
                .map(|standing| (standing, 0)),
        };
        for node in fleet {
            let known = self.of(node, now);
            if known.lost.is_some() && known.absence(now).is_none() {
                known.come_back(rules.lost_after, rules.longest_pause, now);
            }
        }
        let members = || self.known.iter().filter(|(node, _)| fleet.contains(*node));
        let rest = || members().filter(|(_, known)| known.lost.is_none());
        let of = rest().count();
        let away: Vec<(VmId, Moment)> = rest()
            .filter_map(|(node, known)| Some((node.clone(), known.absence(now)?.since)))
            .collect();
        // A single node can't be compared with others.
        let too_many = of > 1 && rules.max_lost.is_exceeded_by(away.len(), of);
        let last_isolated = self.isolated_until;
        let overdue = |since: &Moment| {
            let from = last_isolated.map_or(since.since_start, |until| {
                since.since_start.max(until.since_start)
            });
            now.since_start.saturating_sub(from) >= rules.lost_after
        };
        let long_away =
            |since: &Moment| now.since_start.saturating_sub(since.since_start) >= rules.lost_after;
        if too_many {
            self.isolated_until = Some(now);
            let since = self.isolation.map_or(now, |isolation| isolation.since);
            if self.isolation.is_some() || away.iter().any(|(_, since)| long_away(since)) {
                let isolation = Isolation {
                    away: away.len(),
                    of,
                    since,
                };
                found.cut_off = self.isolation.is_none().then_some(isolation);
                self.isolation = Some(isolation);
            }
        } else {
            found.over = self.isolation.take().is_some();
            for (node, _) in away.iter().filter(|(_, since)| overdue(since)) {
                self.of(node, now).lose(now);
            }
        }
        found.turns = self.turns(fleet, now);
        let standings = self.known.iter().filter(|(node, _)| fleet.contains(*node));
        for standing in standings.filter_map(|(_, known)| known.told) {
            for (of, count) in &mut found.counts {
                *count += usize::from(*of == standing);
            }
        }
        found
    }

    fn turns(&mut self, fleet: &BTreeSet<VmId>, now: Moment) -> Vec<Turn> {
        let mut turns = Vec::new();
        let members = self.known.iter_mut().filter(|(node, _)| fleet.contains(*node));
        for (node, known) in members {
            let (standing, reason) = match known.presence(now) {
                Presence::Here => (Standing::Ready, None),
                Presence::Unsteady(why) => (Standing::Aside, Some(why)),
                Presence::Silent(why) => (Standing::Silent, Some(why)),
                Presence::Lost(why) => (Standing::Lost, Some(why)),
            };
            let before = known.told.replace(standing);
            if before.unwrap_or(Standing::Ready) != standing {
                turns.push(Turn {
                    node: node.clone(),
                    standing,
                    reason,
                });
            }
        }
        turns
    }
}
