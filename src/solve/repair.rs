//! The smallest change to an impossible question that makes it possible.
//!
//! Changes are tried from the smallest on, each by solving the changed question; only what was
//! solved is proposed.

use super::explain::{Infeasible, ReasonCode, Words};
use super::instance::Instance;

/// One change to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// So many more VMs: `max_vms`, the group's MaxSize, or hosts.
    MoreVms(u32),
    /// Another `max_node` for the tier at this position.
    MaxNode(usize, u32),
    /// Another `min_node` for the tier at this position.
    MinNode(usize, u32),
    /// So many more memory units for the tier at this position.
    MoreMem(usize, u32),
    /// So many more cpu steps for the tier at this position.
    MoreCpu(usize, u32),
}

/// Changes that together make a placement possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// What to change; all of them.
    pub changes: Vec<Change>,
    /// The same as a sentence.
    pub text: String,
}

/// Most questions solved in search of a repair.
const MOST_TRIES: usize = 12;
/// Furthest that one limit is moved.
const FURTHEST: u32 = 3;

/// Looks for a repair; `solvable` solves a changed question (and says no when it cannot tell).
pub fn find(
    instance: &Instance,
    why: &Infeasible,
    mut solvable: impl FnMut(&Instance) -> Option<Tried>,
) -> Option<Repair> {
    let mut tries = 0;
    let mut attempt = |changes: &[Change]| {
        tries += 1;
        if tries > MOST_TRIES {
            return Verdict::GaveUp;
        }
        match changed(instance, changes) {
            Some(instance) => match solvable(&instance) {
                Some(Tried::Solved) => Verdict::Works,
                Some(Tried::Reasons(why)) => Verdict::Still(why),
                None => Verdict::Still(Vec::new()),
            },
            None => Verdict::Still(Vec::new()),
        }
    };
    // What the reasons themselves ask for, all of it, again while new reasons appear.
    let mut changes: Vec<Change> = Vec::new();
    let mut reasons: Vec<(ReasonCode, Option<usize>)> =
        why.reasons.iter().map(|r| (r.code, r.tier)).collect();
    for _ in 0..MOST_TRIES {
        let before = changes.clone();
        let Some(now) = changed(instance, &changes) else {
            return None;
        };
        for &(code, tier) in &reasons {
            demand(&now, code, tier, &mut changes);
        }
        if changes == before {
            break;
        }
        match attempt(&changes) {
            Verdict::Works => {
                return Some(Repair {
                    text: say(instance, &changes),
                    changes,
                });
            }
            Verdict::Still(next) => reasons = next,
            Verdict::GaveUp => return None,
        }
        if reasons.iter().all(|r| r.0 == ReasonCode::Together) {
            break;
        }
    }
    // Each change on its own, the least first.
    for by in 1..=FURTHEST {
        let vms = instance.max_vms.is_some() || instance.max_new.is_some();
        let mut single: Vec<Change> = Vec::new();
        if vms {
            single.push(Change::MoreVms(by));
        }
        for (ix, tier) in instance.tiers.iter().enumerate() {
            if let Some(max) = tier.max_node {
                single.push(Change::MaxNode(ix, max.saturating_add(by)));
            }
            if tier.min_node > by {
                single.push(Change::MinNode(ix, tier.min_node - by));
            }
        }
        for change in single {
            let mut all: Vec<Change> = changes.clone();
            merge(&mut all, change);
            match attempt(&all) {
                Verdict::Works => {
                    return Some(Repair {
                        text: say(instance, &all),
                        changes: all,
                    });
                }
                Verdict::Still(_) => {}
                Verdict::GaveUp => return None,
            }
        }
    }
    None
}

/// What solving a changed question came to.
pub enum Tried {
    /// It has a placement.
    Solved,
    /// It has none, for these reasons.
    Reasons(Vec<(ReasonCode, Option<usize>)>),
}

enum Verdict {
    Works,
    Still(Vec<(ReasonCode, Option<usize>)>),
    GaveUp,
}

/// The least change that one reason asks for, on top of what `now` has already.
fn demand(now: &Instance, code: ReasonCode, tier: Option<usize>, changes: &mut Vec<Change>) {
    let spec = tier.and_then(|ix| now.tiers.get(ix).map(|t| (ix, t)));
    let change = match (code, spec) {
        (ReasonCode::OneResourceMissing, Some((ix, t))) if t.demand.cpu == 0 => Change::MoreCpu(ix, 1),
        (ReasonCode::OneResourceMissing, Some((ix, _))) => Change::MoreMem(ix, 1),
        (ReasonCode::MaxNodeTooSmall, Some((ix, t))) => {
            Change::MaxNode(ix, t.max_node.unwrap_or(1).saturating_add(1))
        }
        (ReasonCode::TooThin, Some((ix, t))) if t.demand.cpu < t.demand.mem => Change::MoreCpu(ix, 1),
        (ReasonCode::TooThin, Some((ix, _))) => Change::MoreMem(ix, 1),
        (ReasonCode::MinAboveMax, Some((ix, t))) => Change::MinNode(ix, t.max_node.unwrap_or(1).max(1)),
        (ReasonCode::TooFewVms | ReasonCode::PortsExhausted, _) => Change::MoreVms(1),
        _ => return,
    };
    merge(changes, change);
}

/// Adds `change`, or moves the one of its kind further.
fn merge(changes: &mut Vec<Change>, change: Change) {
    for c in changes.iter_mut() {
        match (c, change) {
            (Change::MoreVms(n), Change::MoreVms(by)) => {
                *n = n.saturating_add(by);
                return;
            }
            (Change::MoreMem(a, n), Change::MoreMem(b, by))
            | (Change::MoreCpu(a, n), Change::MoreCpu(b, by))
                if *a == b =>
            {
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
            }
            Change::MaxNode(ix, to) => next.tiers.get_mut(ix)?.max_node = Some(to),
            Change::MinNode(ix, to) => next.tiers.get_mut(ix)?.min_node = to,
            Change::MoreMem(ix, by) => {
                let d = &mut next.tiers.get_mut(ix)?.demand;
                d.mem = d.mem.saturating_add(by);
            }
            Change::MoreCpu(ix, by) => {
                let d = &mut next.tiers.get_mut(ix)?.demand;
                d.cpu = d.cpu.saturating_add(by);
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
            Change::MoreMem(ix, by) => format!("{} more for {}", words.mem(by), name(ix)),
            Change::MoreCpu(ix, by) => format!("{} more for {}", words.cpu(by), name(ix)),
        })
        .collect();
    format!("it would be possible with {}", parts.join(" and "))
}
