//! What differs from what should be, by kind and since when, and when it is time to do something
//! about it. Pure: the time since the start comes in as an argument, and never runs back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::topology::SelfHeal;

use crate::service::reconciler::difference::{Difference, Kind, Look, Place};

/// What is known about one place.
#[derive(Clone, Debug)]
struct Known {
    kind: Kind,
    details: Vec<String>,
    /// Since when, after the start and by the wall clock.
    since: Duration,
    at: Timestamp,
    /// How many times something was done about it, or could not be.
    tried: u32,
    /// It is not tried again before this.
    next: Duration,
    /// It is unhealthy, and was restarted until the pauses were as long as they get. It is left as
    /// it is.
    spent: bool,
    /// That it is left as it is has been reported.
    told: bool,
    /// When it was last seen to differ. It is remembered for a while after that, so that what comes
    /// and goes is not tried again at once each time.
    seen: Duration,
}

/// What has to be reported after a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// New, or differs in another way than before.
    pub begun: Vec<Difference>,
    /// No longer differs.
    pub over: Vec<Place>,
}

/// What differs, over many looks.
#[derive(Debug, Default)]
pub struct Watch {
    known: BTreeMap<Place, Known>,
    /// When the last look was.
    looked: Duration,
}

impl Watch {
    /// Applies a look. `now` is the time since the start, `at` is what is recorded for it.
    pub fn take(&mut self, look: Look, heal: SelfHeal, now: Duration, at: Timestamp) -> News {
        let mut news = News::default();
        let last = std::mem::replace(&mut self.looked, now);
        let grace = seconds(heal.grace_s);
        for (place, (kind, details)) in look {
            let before = self.known.get(&place);
            let lasts = before.is_some_and(|known| known.seen == last);
            let same = |known: &&Known| lasts && known.kind == kind && known.details == details;
            if before.filter(same).is_none() {
                news.begun.push(Difference {
                    vm: place.vm.clone(),
                    container: place.container.clone(),
                    kind,
                    details: details.clone(),
                    since: before.filter(|_| lasts).map_or(at, |known| known.at),
                });
            }
            let known = self.known.entry(place).or_insert_with(|| Known {
                kind,
                details: Vec::new(),
                since: now,
                at,
                tried: 0,
                next: now.saturating_add(grace),
                spent: false,
                told: false,
                seen: now,
            });
            if !lasts {
                (known.since, known.at) = (now, at);
                known.next = known.next.max(now.saturating_add(grace));
            }
            (known.kind, known.details, known.seen) = (kind, details, now);
        }
        let over = self
            .known
            .iter()
            .filter(|(_, known)| known.seen == last && last != now);
        news.over = over.map(|(place, _)| place.clone()).collect();
        let forget = seconds(heal.backoff_max_s);
        self.known
            .retain(|_, known| now.saturating_sub(known.seen) < forget || known.seen == now);
        news
    }

    /// What differs now.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let now = self.known.iter().filter(|(_, known)| known.seen == self.looked);
        now.map(|(place, known)| Difference {
            vm: place.vm.clone(),
            container: place.container.clone(),
            kind: known.kind,
            details: known.details.clone(),
            since: known.at,
        })
        .collect()
    }

    /// What has differed for so long that something should be done about it now. This leaves out
    /// VMs that do not answer, or have another engine: nothing can be done until they are back, are
    /// given up, or count as lost. It leaves out what was restarted in vain often enough. It also
    /// leaves out what is outdated: a changed topology is rolled out when somebody sends a plan.
    #[must_use]
    pub fn due(&self) -> Vec<Place> {
        self.places(|known| match known.kind {
            Kind::Unreachable | Kind::EngineChanged | Kind::Outdated => false,
            Kind::Unhealthy => !known.spent,
            Kind::Missing
            | Kind::Stopped
            | Kind::Paused
            | Kind::Restarting
            | Kind::Resized
            | Kind::StaleAddress
            | Kind::Unknown
            | Kind::Foreign
            | Kind::Lost
            | Kind::Short
            | Kind::HookOwed => true,
        })
    }

    /// What was restarted in vain often enough, and has not been reported yet. It is reported once.
    pub fn hopeless(&mut self) -> Vec<Place> {
        let places = self.places(|known| known.kind == Kind::Unhealthy && known.spent && !known.told);
        for place in &places {
            if let Some(known) = self.known.get_mut(place) {
                known.told = true;
            }
        }
        places
    }

    /// Those that differ, whose pause is over, and for which this is true.
    fn places(&self, is: impl Fn(&Known) -> bool) -> Vec<Place> {
        let now = self.looked;
        let due = self
            .known
            .iter()
            .filter(|(_, known)| known.seen == now && known.next <= now && is(known));
        due.map(|(place, _)| place.clone()).collect()
    }

    /// Those of these places that differ in this way.
    #[must_use]
    pub fn of_kind(&self, places: &[Place], kind: Kind) -> BTreeSet<Place> {
        let is = |place: &&Place| self.known.get(place).is_some_and(|known| known.kind == kind);
        places.iter().filter(is).cloned().collect()
    }

    /// Forgets how often things were tried: somebody wants something else now, which may help.
    pub fn try_anew(&mut self) {
        for known in self.known.values_mut() {
            (known.tried, known.spent, known.told) = (0, false, false);
        }
    }

    /// Why something is done about these places, for people.
    #[must_use]
    pub fn reasons(&self, places: &[Place]) -> Vec<String> {
        let reason = |place: &Place| {
            let known = self.known.get(place)?;
            let at = place
                .vm
                .as_ref()
                .map(|vm| format!(" on vm '{vm}'"))
                .unwrap_or_default();
            let (kind, details) = (known.kind.as_str(), known.details.join("; "));
            Some(format!("{}{at} is {kind}: {details}", place.container))
        };
        places.iter().filter_map(reason).collect()
    }

    /// Records that something was done about these places, or could not be. Returns whether it is
    /// the first time for one of them. The next pause is twice as long, up to the longest.
    pub fn tried(&mut self, places: &[Place], heal: SelfHeal, now: Duration) -> bool {
        let mut first = false;
        for place in places {
            let Some(known) = self.known.get_mut(place) else {
                continue;
            };
            first |= known.tried == 0;
            let doubled = heal
                .grace_s
                .max(1)
                .saturating_mul(2_u32.saturating_pow(known.tried));
            known.tried = known.tried.saturating_add(1);
            known.next = now.saturating_add(seconds(doubled.min(heal.backoff_max_s)));
            known.spent = doubled >= heal.backoff_max_s;
        }
        first
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

#[cfg(test)]
mod tests;
