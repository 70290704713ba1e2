//! What differs from what should be, by kind and since when, and when it is time to do something
//! about it. Pure: the time since the start comes in as an argument, and never runs back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Observed;
use crate::fault::{Code, Fault};
use crate::model::topology::SelfHeal;
use crate::model::{Allocation, Plan, Topology, Vm, VmId};

use super::drift::{Drift, differences};

/// How something differs: it is not there, does not run, is frozen, ends again and again, is unhealthy, holds
/// something else than it should, was made from an earlier revision, is not in the allocation, or somebody else's container has its name; its VM can't
/// be asked, has another engine, or could not be asked for so long that it counts as lost; less of the tier is held
/// than the plan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DifferenceKind, example = "stopped")]
pub enum Kind {
    /// The allocation has it, its engine does not, or its VM is gone.
    Missing,
    /// It is there and does not run.
    Stopped,
    /// It is frozen: it holds its part and does nothing.
    Paused,
    /// It ends again and again, and is between two restarts.
    Restarting,
    /// Its health check fails.
    Unhealthy,
    /// It holds something else than it should.
    Resized,
    /// It was made from an earlier revision of its tier: the next execution replaces it.
    Outdated,
    /// Its engine has it, the allocation does not.
    Unknown,
    /// A container that is not ours has its name.
    Foreign,
    /// Its VM can't be asked.
    Unreachable,
    /// Another engine answers in the place of the one that it was put on.
    EngineChanged,
    /// Its VM could not be asked for so long that it counts as lost.
    Lost,
    /// The allocation holds less of a tier than the plan asks for.
    Short,
    /// A hook of it is still to run: the next execution runs it.
    HookOwed,
}

impl Kind {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Unhealthy => "unhealthy",
            Self::Resized => "resized",
            Self::Outdated => "outdated",
            Self::Unknown => "unknown",
            Self::Foreign => "foreign",
            Self::Unreachable => "unreachable",
            Self::EngineChanged => "engine_changed",
            Self::Lost => "lost",
            Self::Short => "short",
            Self::HookOwed => "hook_owed",
        }
    }
}

/// Where something differs: a container, and its VM unless it is about all of a tier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The VM.
    pub vm: Option<VmId>,
    /// The container, or the tier.
    pub container: String,
}

/// What is seen in one look: how each place differs, and in what, for a person.
pub type Look = BTreeMap<Place, (Kind, Vec<String>)>;

/// How what runs differs from what should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "vm": "vm1", "container": "rubis_db", "kind": "stopped", "details": ["not running"],
    "since": "2026-11-21T06:00:00Z" }))]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The VM; null where it is about all of a tier.
    #[schema(value_type = Option<String>, example = "vm1")]
    pub vm: Option<VmId>,
    /// The container, or the tier.
    #[schema(example = "rubis_db")]
    pub container: String,
    /// How it differs.
    pub kind: Kind,
    /// In what, for a person.
    #[schema(example = json!(["not running"]))]
    pub details: Vec<String>,
    /// Since when it was seen to.
    #[schema(value_type = String, format = "date-time", example = "2026-11-21T06:00:00Z")]
    pub since: Timestamp,
}

/// What differs on one VM.
pub fn on_vm(topology: &Topology, name: &VmId, vm: &Vm, seen: Result<&[Observed], &Fault>) -> Look {
    let place = |container: &str| Place {
        vm: Some(name.clone()),
        container: container.to_owned(),
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(fault) => {
            // What was on a VM that the cloud has taken away is surely gone.
            let (kind, what) = match fault.code {
                Code::CloudRefused => (Kind::Missing, "VM gone"),
                Code::EngineChanged => (Kind::EngineChanged, "VM unreachable"),
                _ => (Kind::Unreachable, "VM unreachable"),
            };
            let unknown = |tier: &crate::model::TierId| {
                let details = vec![format!("{what}: {}", fault.message)];
                (place(tier.as_str()), (kind, details))
            };
            return vm.used.keys().map(unknown).collect();
        }
    };
    let there: BTreeMap<&str, &Observed> = seen.iter().map(|one| (one.name.as_str(), one)).collect();
    let names = vm
        .used
        .keys()
        .map(|tier| tier.as_str())
        .chain(there.keys().copied());
    let mut look = Look::new();
    for name in names {
        let found = differences(topology, vm.used.get(name), there.get(name).copied());
        // The first is the worst.
        if let Some(first) = found.first() {
            let details = found.iter().map(ToString::to_string).collect();
            look.insert(place(name), (Kind::from(first), details));
        }
    }
    look
}

impl From<&Drift> for Kind {
    fn from(drift: &Drift) -> Self {
        match drift {
            Drift::Missing => Self::Missing,
            Drift::Unknown => Self::Unknown,
            Drift::Stopped => Self::Stopped,
            Drift::Paused => Self::Paused,
            Drift::Restarting => Self::Restarting,
            Drift::Unhealthy => Self::Unhealthy,
            Drift::Resized { .. } => Self::Resized,
            Drift::Outdated { .. } => Self::Outdated,
            Drift::Foreign { .. } => Self::Foreign,
            Drift::Unreachable { .. } => Self::Unreachable,
            Drift::EngineChanged { .. } => Self::EngineChanged,
        }
    }
}

/// The tiers of which the allocation holds something else than the plan that was reached asks for:
/// a repair failed, or a VM was given up.
pub fn short(plan: &Plan, allocation: &Allocation) -> Look {
    let held = allocation.totals();
    let mut look = Look::new();
    for (tier, wanted) in &plan.tiers {
        let has = held.get(tier).copied().unwrap_or_default();
        if has.cpu < wanted.cpu || has.mem < wanted.mem {
            let details = vec![format!("the plan asks for {wanted}, and {has} are held")];
            let place = Place {
                vm: None,
                container: tier.to_string(),
            };
            look.insert(place, (Kind::Short, details));
        }
    }
    look
}

/// The containers that are owed hooks which the topology names.
pub fn owed(topology: &Topology, allocation: &Allocation) -> Look {
    let mut look = Look::new();
    for (id, vm) in &allocation.vms {
        for (tier, held) in &vm.used {
            let Some(spec) = topology.tiers.get(tier) else {
                continue;
            };
            let mut details = Vec::new();
            if held.owed.scale && !spec.on_node_scale.is_empty() {
                details.push("its scale hook has not succeeded since it was created or updated".to_owned());
            }
            if held.owed.tier.is_some() && spec.on_dependency_scale.is_some() {
                details.push("its tier hook has not succeeded since a dependency changed".to_owned());
            }
            if !details.is_empty() {
                let (vm, container) = (Some(id.clone()), tier.to_string());
                look.insert(Place { vm, container }, (Kind::HookOwed, details));
            }
        }
    }
    look
}

/// What is known of one place.
#[derive(Clone, Debug)]
struct Known {
    kind: Kind,
    details: Vec<String>,
    /// Since when, after the start and by the clock on the wall.
    since: Duration,
    at: Timestamp,
    /// How often something was done about it, or could not be.
    tried: u32,
    /// Not before that is it tried again.
    next: Duration,
    /// It is unhealthy, and was restarted until the pauses were as long as they get. It is left as it is.
    spent: bool,
    /// That it is left as it is was told.
    told: bool,
    /// When it was last seen to differ. It is remembered for a while after that, so that what comes and goes
    /// is not tried again at once each time.
    seen: Duration,
}

/// What has to be told after a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// New, or differs in another way than before.
    pub begun: Vec<Difference>,
    /// Differs no more.
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
    /// Takes a look in. `now` is the time since the start, `at` what is written down for it.
    pub fn take(&mut self, look: Look, heal: SelfHeal, now: Duration, at: Timestamp) -> News {
        let mut news = News::default();
        let last = std::mem::replace(&mut self.looked, now);
        let (lost_after, grace) = (seconds(heal.lost_after_s), seconds(heal.grace_s));
        for (place, (mut kind, details)) in look {
            let before = self.known.get(&place);
            let lasts = before.is_some_and(|known| known.seen == last);
            let since = before.filter(|_| lasts).map_or(now, |known| known.since);
            if kind == Kind::Unreachable && now.saturating_sub(since) >= lost_after {
                kind = Kind::Lost;
            }
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

    /// What has differed for long enough that something should be done about it now. A VM that does
    /// not answer, or has another engine, is none of that: nothing can be done until it has its own
    /// again, is given up, or counts as lost. Nor is what was restarted in vain often enough. What is
    /// outdated is replaced by the next execution: what a topology changes is rolled out when somebody asks for it.
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
            | Kind::Unknown
            | Kind::Foreign
            | Kind::Lost
            | Kind::Short
            | Kind::HookOwed => true,
        })
    }

    /// What was restarted in vain often enough, and was not told of yet. It is told of once.
    pub fn hopeless(&mut self) -> Vec<Place> {
        let places = self.places(|known| known.kind == Kind::Unhealthy && known.spent && !known.told);
        for place in &places {
            if let Some(known) = self.known.get_mut(place) {
                known.told = true;
            }
        }
        places
    }

    /// Those that differ, whose pause is over, and of which this is true.
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

    /// Why something is done about these places, each for a person.
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

    /// Notes that something was done about these places, or could not be. Answers whether it is the first
    /// time for one of them. The next time is twice as far away, up to the longest pause.
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
