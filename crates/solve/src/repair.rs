//! The smallest change to an impossible question that makes it possible.
//!
//! Changes are tried from the smallest on, each by solving the changed question; only what was
//! solved is proposed.

use super::explain::{Infeasible, ReasonCode, Words};
use super::instance::{Instance, Resource, Tier};

/// One change to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// This many more VMs: `max_vms`, the group's MaxSize, or hosts.
    MoreVms(u32),
    /// Another `max_node` for the tier at this position.
    MaxNode(usize, u32),
    /// Another `min_node` for the tier at this position.
    MinNode(usize, u32),
    /// This many more steps of a resource for the tier at this position.
    More(usize, Resource, u32),
}

/// Changes that together make a placement possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// What to change; all of them.
    pub changes: Vec<Change>,
    /// The same as a sentence.
    pub text: String,
}

impl Repair {
    /// The question with the changes made.
    #[must_use]
    pub fn applied(&self, instance: &Instance) -> Instance {
        changed(instance, &self.changes).unwrap_or_else(|| instance.clone())
    }
}

/// Most reasons, and most limits of tiers, among which a repair is looked for: with more there is
/// no small change, and trying them takes too long.
const MOST_REASONS: usize = 200;
/// Most questions solved in search of a repair.
const MOST_TRIES: usize = 40;
/// Furthest that the number of VMs is moved.
const MOST_VMS: u32 = 16;

/// Looks for a repair; `solvable` solves a changed question (`None` if it can't tell).
pub fn find(
    instance: &Instance,
    why: &Infeasible,
    mut solvable: impl FnMut(&Instance) -> Option<Tried>,
) -> Option<Repair> {
    if why.reasons.len() > MOST_REASONS {
        return None;
    }
    let mut tries = 0;
    let mut attempt = |changes: &[Change]| {
        tries += 1;
        if tries > MOST_TRIES {
            return None;
        }
        solvable(&changed(instance, changes)?)
    };
    let found = |changes: Vec<Change>| Repair {
        text: say(instance, &changes),
        changes,
    };
    // First, everything that the reasons themselves suggest, and again while new reasons appear.
    let mut changes: Vec<Change> = Vec::new();
    let mut reasons: Vec<(ReasonCode, Option<usize>)> =
        why.reasons.iter().map(|r| (r.code, r.tier)).collect();
    loop {
        let now = changed(instance, &changes)?;
        let before = changes.clone();
        for change in asked(&now, &reasons) {
            merge(&mut changes, change);
        }
        if changes == before {
            break;
        }
        match attempt(&changes)? {
            Tried::Solved => return Some(found(changes)),
            Tried::Reasons(next) => reasons = next,
        }
    }
    // Only the search says no. All limits are lifted, and put back where they do no harm: first
    // those of tiers, then the number of VMs, then each as far as possible.
    let mut lifted = lifts(instance, &changes);
    let with = |lifted: &[Change]| {
        let mut all = changes.clone();
        lifted.iter().for_each(|&c| merge(&mut all, c));
        all
    };
    let mut works = |lifted: &[Change]| matches!(attempt(&with(lifted)), Some(Tried::Solved));
    if lifted.is_empty() || !works(&lifted) {
        return None;
    }
    let vms_only: Vec<Change> = lifted
        .iter()
        .copied()
        .filter(|c| matches!(c, Change::MoreVms(_)))
        .collect();
    let tiers_only: Vec<Change> = lifted
        .iter()
        .copied()
        .filter(|c| !matches!(c, Change::MoreVms(_)))
        .collect();
    for part in [vms_only, tiers_only] {
        if part.len() < lifted.len() && !part.is_empty() && works(&part) {
            lifted = part;
            break;
        }
    }
    let mut at = 0;
    while at < lifted.len() && lifted.len() > 1 {
        let mut without = lifted.clone();
        without.remove(at);
        if works(&without) {
            lifted = without;
        } else {
            at += 1;
        }
    }
    for at in 0..lifted.len() {
        while let Some(nearer) = lifted.get(at).and_then(|&c| halfway(instance, &changes, c)) {
            let mut less = lifted.clone();
            if let Some(slot) = less.get_mut(at) {
                *slot = nearer;
            }
            if works(&less) {
                lifted = less;
                continue;
            }
            // Half is not enough: go up by ones from there.
            while let Some(next) = less.get(at).and_then(|&c| further(c)) {
                if lifted.get(at) == Some(&next) {
                    break;
                }
                if let Some(slot) = less.get_mut(at) {
                    *slot = next;
                }
                if works(&less) {
                    lifted = less.clone();
                    break;
                }
            }
            break;
        }
    }
    Some(found(with(&lifted)))
}

/// Every limit of the instance, as far lifted as makes sense.
fn lifts(instance: &Instance, changes: &[Change]) -> Vec<Change> {
    let now = changed(instance, changes);
    let mut list = Vec::new();
    let few = instance.shapes.iter().any(|shape| shape.max.is_some());
    if few || instance.max_vms.is_some() || instance.max_new.is_some() {
        list.push(Change::MoreVms(MOST_VMS));
    }
    for (ix, tier) in now.iter().flat_map(|i| i.tiers.iter().enumerate()) {
        if list.len() >= MOST_REASONS {
            break;
        }
        let most = tier.demand.most_parts();
        if tier.max_node.is_some_and(|max| max < most) {
            list.push(Change::MaxNode(ix, most));
        }
        if tier.min_node > 1 {
            list.push(Change::MinNode(ix, 1));
        }
    }
    list
}

/// A change half as far from where things stand; `None` if there is nothing between.
fn halfway(instance: &Instance, changes: &[Change], change: Change) -> Option<Change> {
    let now = changed(instance, changes)?;
    match change {
        Change::MoreVms(n) => (n > 1).then_some(Change::MoreVms(n / 2)),
        Change::MaxNode(ix, to) => {
            let from = now.tiers.get(ix)?.max_node?;
            (to > from + 1).then_some(Change::MaxNode(ix, from + (to - from) / 2))
        }
        Change::MinNode(ix, to) => {
            let from = now.tiers.get(ix)?.min_node;
            (from > to + 1).then_some(Change::MinNode(ix, from - (from - to) / 2))
        }
        Change::More(..) => None,
    }
}

/// The next change of its kind.
const fn further(change: Change) -> Option<Change> {
    match change {
        Change::MoreVms(n) => Some(Change::MoreVms(n + 1)),
        Change::MaxNode(ix, to) => Some(Change::MaxNode(ix, to + 1)),
        Change::MinNode(ix, to) if to > 1 => Some(Change::MinNode(ix, to - 1)),
        _ => None,
    }
}

/// The result of solving a changed question.
pub enum Tried {
    /// It has a placement.
    Solved,
    /// It has none, for these reasons.
    Reasons(Vec<(ReasonCode, Option<usize>)>),
}

/// The smallest changes that the reasons ask for, in addition to what `now` already has.
fn asked(now: &Instance, reasons: &[(ReasonCode, Option<usize>)]) -> Vec<Change> {
    let mut list = Vec::new();
    for &(code, tier) in reasons {
        let spec = tier.and_then(|ix| now.tiers.get(ix).map(|t| (ix, t)));
        let change = match (code, spec) {
            (ReasonCode::OneResourceMissing, Some((ix, t))) => Change::More(ix, scarcer(t), 1),
            (ReasonCode::MaxNodeTooSmall, Some((ix, t))) => {
                Change::MaxNode(ix, t.max_node.unwrap_or(1).saturating_add(1))
            }
            (ReasonCode::TooThin, Some((ix, t))) if t.min_node > 1 => Change::MinNode(ix, t.min_node - 1),
            (ReasonCode::TooThin, Some((ix, t))) => Change::More(ix, scarcer(t), 1),
            (ReasonCode::MinAboveMax, Some((ix, t))) => Change::MinNode(ix, t.max_node.unwrap_or(1).max(1)),
            (ReasonCode::TooFewVms | ReasonCode::PortsExhausted, _) => Change::MoreVms(1),
            _ => continue,
        };
        // Another reason for the same change does not make it larger.
        if !list.contains(&change) {
            list.push(change);
        }
    }
    list
}

/// Of cpu and memory, the one of which a tier asks for fewer steps; memory where it asks for as many.
fn scarcer(tier: &Tier) -> Resource {
    if tier.demand.cpu < tier.demand.mem {
        Resource::Cpu
    } else {
        Resource::Mem
    }
}

/// Adds `change`, or moves the one of its kind further.
fn merge(changes: &mut Vec<Change>, change: Change) {
    for c in changes.iter_mut() {
        match (c, change) {
            (Change::MoreVms(n), Change::MoreVms(by)) => {
                *n = n.saturating_add(by);
                return;
            }
            (Change::More(a, of, n), Change::More(b, other, by)) if (*a, *of) == (b, other) => {
                *n = n.saturating_add(by);
                return;
            }
            (Change::MaxNode(a, n), Change::MaxNode(b, to))
            | (Change::MinNode(a, n), Change::MinNode(b, to))
                if *a == b =>
            {
                *n = to;
                return;
            }
            _ => {}
        }
    }
    changes.push(change);
}

fn changed(instance: &Instance, changes: &[Change]) -> Option<Instance> {
    let mut next = instance.clone();
    for &change in changes {
        match change {
            Change::MoreVms(by) => {
                next.max_vms = next.max_vms.map(|n| n.saturating_add(by));
                next.max_new = next.max_new.map(|n| n.saturating_add(by));
                for shape in &mut next.shapes {
                    shape.max = shape.max.map(|n| n.saturating_add(by));
                }
            }
            Change::MaxNode(ix, to) => next.tiers.get_mut(ix)?.max_node = Some(to),
            Change::MinNode(ix, to) => next.tiers.get_mut(ix)?.min_node = to,
            Change::More(ix, resource, by) => {
                let demand = &mut next.tiers.get_mut(ix)?.demand;
                demand.set(resource, demand.of(resource).saturating_add(by));
            }
        }
    }
    Some(next)
}

fn say(instance: &Instance, changes: &[Change]) -> String {
    let words = Words {
        hundredths: instance.cpu_step,
    };
    let name = |ix: usize| instance.tiers.get(ix).map_or("?", |t| t.name.as_str());
    let parts: Vec<String> = changes
        .iter()
        .map(|&c| match c {
            Change::MoreVms(1) => "one more VM".to_owned(),
            Change::MoreVms(n) => format!("{n} more VMs"),
            Change::MaxNode(ix, to) => format!("max_node {to} for {}", name(ix)),
            Change::MinNode(ix, to) => format!("min_node {to} for {}", name(ix)),
            Change::More(ix, resource, by) => {
                format!("{} more for {}", words.amount(by.into(), resource), name(ix))
            }
        })
        .collect();
    format!("it would be possible with {}", parts.join(" and "))
}
