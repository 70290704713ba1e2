//! What happens on each VM during one stage, whatever the order: all that may be there at the same moment.

use std::collections::{BTreeMap, HashMap};

use crate::model::topology::PortBinding;
use crate::model::{CoreSet, Cpu, Handover, RevisionId, Size};
use crate::translate::Action;

use super::machine::{Door, Held, Machine};
use super::scene::{Member, TierNo, VmNo};
use super::{Check, Step};

/// A container that a stage makes, changes or removes.
struct Change<'a> {
    before: Option<Held<'a>>,
    after: Option<Held<'a>>,
    /// What it publishes, before and after.
    ports: (&'a [PortBinding], &'a [PortBinding]),
    /// Both are there for a while.
    beside: bool,
}

/// What a container is after an action that creates, updates or replaces what was there `before`.
fn outcome<'a>(action: &'a Action, before: Option<&Held<'a>>) -> Option<Held<'a>> {
    let (size, cores, revision, digest) = match action {
        Action::CreateContainer {
            size,
            cores,
            revision,
            digest,
            ..
        } => (size, cores, revision.as_ref(), digest.as_ref()),
        Action::ReplaceContainer {
            size,
            cores,
            revision,
            digest,
            ..
        } => (size, cores, Some(revision), digest.as_ref()),
        Action::UpdateContainer { size, cores, .. } => {
            let revision = before.and_then(|before| before.revision);
            (size, cores, revision, before.and_then(|before| before.digest))
        }
        _ => return None,
    };
    Some(Held {
        size: *size,
        cores,
        revision,
        digest,
    })
}

/// Whether an action can be done to what is there, and says the truth about it.
fn applies(action: &Action, before: Option<&Held>, stalled: bool) -> Result<(), String> {
    let Some(before) = before else {
        return match action {
            Action::CreateContainer { .. } => Ok(()),
            _ => Err("it does not run".into()),
        };
    };
    // In quota mode cores are not spoken of, whatever was observed.
    let same_cores = |was: &CoreSet| was.0.is_empty() || was == before.cores;
    let told = || {
        format!(
            "it is not what it is said to be: {} on {}",
            before.size, before.cores
        )
    };
    match action {
        Action::CreateContainer { .. } => Err("it runs already".into()),
        Action::UpdateContainer { was, was_cores, .. } | Action::DeleteContainer { was, was_cores, .. } => {
            if *was != before.size || !same_cores(was_cores) {
                return Err(told());
            }
            if let Action::UpdateContainer { size, .. } = action
                && was.is_fixed_against(*size)
            {
                return Err("its disk or GPUs change while it runs".into());
            }
            if outcome(action, Some(before)).as_ref() == Some(before) && !stalled {
                return Err("it changes nothing".into());
            }
            Ok(())
        }
        Action::ReplaceContainer {
            size,
            was_cores,
            was_revision,
            revision,
            moved,
            digest,
            ..
        } => {
            // What does not say what it was made from is said to be of a revision without a name.
            let was = before.revision.map_or("", RevisionId::as_str);
            if *size != before.size || !same_cores(was_cores) || was != was_revision.as_str() {
                return Err(told());
            }
            let other_image = digest.is_some() && digest.as_ref() != before.digest;
            if revision == was_revision && moved.is_empty() && !other_image {
                return Err("it changes nothing".into());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_hook(action: &Action) -> bool {
    matches!(action, Action::RunScaleHook { .. } | Action::RunTierHook { .. })
}

impl<'a> Check<'a> {
    /// What happens to containers in one stage, at any moment of it.
    pub(super) fn containers(&mut self, steps: &[Step<'a>], index: usize) {
        let mut changes: BTreeMap<VmNo, BTreeMap<TierNo, Change<'a>>> = BTreeMap::new();
        for step in steps {
            let (Some(tier), Some(machine)) = (step.tier, self.machines.get(step.vm)) else {
                continue;
            };
            let action = step.action;
            if !machine.there {
                self.breach(format!("stage {index}: {action}, but there is no such VM"));
                continue;
            }
            let before = machine.used.get(&tier).copied();
            let changed = changes.get(&step.vm).is_some_and(|here| here.contains_key(&tier));
            if !is_hook(action) && changed {
                self.breach(format!(
                    "stage {index}: {action}: it is changed twice in one stage"
                ));
                continue;
            }
            if let Err(problem) = applies(action, before.as_ref(), machine.stalled.contains(&tier)) {
                self.breach(format!("stage {index}: {action}: {problem}"));
                continue;
            }
            let Some(member) = self.tiers.get(tier) else {
                continue;
            };
            if is_hook(action) {
                continue;
            }
            let after = outcome(action, before.as_ref());
            let ports = |held: &Option<Held<'a>>| {
                held.as_ref()
                    .map_or(&[][..], |held| member.ports(self.subject.topology, held))
            };
            let change = Change {
                ports: (ports(&before), ports(&after)),
                before,
                after,
                beside: matches!(
                    action,
                    Action::ReplaceContainer {
                        handover: Handover::StartFirst,
                        ..
                    }
                ),
            };
            changes.entry(step.vm).or_default().insert(tier, change);
        }
        for (vm, changes) in changes {
            let Some(machine) = self.machines.get_mut(vm) else {
                continue;
            };
            let mut problems = Vec::new();
            room(machine, &changes, self.pinned, &mut problems);
            doors(machine, &changes, &self.tiers, &mut problems);
            if self.pinned {
                cores(machine, &changes, &self.tiers, &mut problems);
            }
            for (tier, change) in changes {
                self.tiers
                    .get_mut(tier)
                    .into_iter()
                    .for_each(|member| member.becomes(vm, change.before.is_some(), change.after.is_some()));
                machine.take(tier, change.ports.0, self.pinned);
                if let Some(after) = change.after {
                    machine.put(tier, after, change.ports.1, self.pinned);
                }
            }
            let id = machine.id;
            let told = problems.into_iter();
            self.breaches
                .extend(told.map(|problem| format!("stage {index}: on {id} {problem}")));
        }
    }
}

impl Member<'_> {
    /// Takes note of a container that comes or goes.
    fn becomes(&mut self, vm: VmNo, was: bool, is: bool) {
        self.now = self.now + usize::from(is) - usize::from(was);
        if let Some(places) = &mut self.places {
            if is {
                places.insert(vm);
            } else {
                places.remove(&vm);
            }
        }
    }
}

type Changes<'a> = BTreeMap<TierNo, Change<'a>>;

fn room(machine: &Machine, changes: &Changes, pinned: bool, problems: &mut Vec<String>) {
    let mut most = machine.held;
    for change in changes.values() {
        let [old, new] =
            [&change.before, &change.after].map(|held| held.as_ref().map_or(Size::ZERO, |held| held.size));
        most += if change.beside { new } else { old.max(new) - old };
    }
    let mut before = machine.held;
    if pinned {
        // Found on more cores than its size says, a container may go on holding as many.
        before.cpu += machine.beyond;
    }
    // What others have overfilled goes on, and nothing is started there.
    let starts = changes.values().any(|change| {
        let (was, is) = (&change.before, &change.after);
        is.as_ref().is_some_and(|is| {
            was.as_ref()
                .is_none_or(|was| (was.revision, was.digest) != (is.revision, is.digest))
        })
    });
    if starts && machine.foreign != Size::ZERO && !most.fits(machine.room()) {
        problems.push(format!(
            "something is started where {most} may be in use, of {}",
            machine.room()
        ));
    } else if !most.fits(machine.room().max(before)) {
        problems.push(format!("{most} may be in use, of {}", machine.room()));
    }
}

fn clash(these: &[PortBinding], those: &[PortBinding]) -> bool {
    these
        .iter()
        .any(|port| those.iter().any(|other| other.conflicts(port)))
}

fn name<'a>(tiers: &'a [Member], tier: TierNo) -> &'a str {
    tiers.get(tier).map_or("?", |member| member.id.as_str())
}

/// Each container holds the ports of what it was made from, before and after.
fn doors(machine: &Machine, changes: &Changes, tiers: &[Member], problems: &mut Vec<String>) {
    let mut new: HashMap<Door, Vec<TierNo>> = HashMap::new();
    for (tier, change) in changes {
        for port in change.ports.1 {
            new.entry((port.protocol, port.host)).or_default().push(*tier);
        }
    }
    for (one, change) in changes {
        let (before, after) = change.ports;
        if change.beside && clash(before, after) {
            problems.push(format!(
                "{} and its successor may hold the same port",
                name(tiers, *one)
            ));
        }
        let mut met: Vec<TierNo> = Vec::new();
        for port in before.iter().chain(after) {
            let door = (port.protocol, port.host);
            let holders = machine.ports.get(&door).into_iter().flatten();
            met.extend(holders.map(|(tier, _)| *tier));
            met.extend(new.get(&door).into_iter().flatten());
        }
        met.sort_unstable();
        met.dedup();
        for other in met.into_iter().filter(|other| other != one) {
            let theirs = changes.get(&other).map(|change| change.ports);
            if theirs.is_some() && other > *one {
                // Seen from the other side.
                continue;
            }
            let held: Vec<PortBinding>;
            let theirs = match theirs {
                Some(theirs) => theirs,
                None => {
                    let doors = before.iter().chain(after);
                    let mut all: Vec<PortBinding> = doors
                        .filter_map(|port| machine.ports.get(&(port.protocol, port.host)))
                        .flatten()
                        .filter(|(tier, _)| *tier == other)
                        .map(|(_, port)| *port)
                        .collect();
                    all.sort_unstable();
                    all.dedup();
                    held = all;
                    (held.as_slice(), held.as_slice())
                }
            };
            // What clashes before the stage is not made worse by it.
            let worse = !clash(before, theirs.0)
                && (clash(before, theirs.1) || clash(after, theirs.0) || clash(after, theirs.1));
            if worse {
                problems.push(format!(
                    "{} and {} may hold the same port",
                    name(tiers, *one),
                    name(tiers, other)
                ));
            }
        }
    }
}

fn cores(machine: &Machine, changes: &Changes, tiers: &[Member], problems: &mut Vec<String>) {
    let mut new: HashMap<u32, Vec<TierNo>> = HashMap::new();
    for (tier, change) in changes {
        for core in change.after.iter().flat_map(|held| &held.cores.0) {
            new.entry(*core).or_default().push(*tier);
        }
    }
    let none = CoreSet::default();
    let had = |tier: TierNo, core: u32| {
        let held = machine.used.get(&tier);
        held.is_some_and(|held| held.cores.0.contains(&core))
    };
    for (one, change) in changes {
        let old = change.before.map_or(&none, |held| held.cores);
        let after = change.after.map_or(&none, |held| held.cores);
        let out_of_range = |core: &u32| Cpu::cores(*core) >= machine.capacity.cpu && !old.0.contains(core);
        if change.after.is_some() && (after.0.is_empty() || after.0.iter().any(out_of_range)) {
            problems.push(format!("{} gets cores {after:?}", name(tiers, *one)));
        }
        if change.beside && old.0.intersection(&after.0).next().is_some() {
            problems.push(format!(
                "{} and its successor may hold the same core",
                name(tiers, *one)
            ));
        }
        let taken = |core: &u32| machine.foreign_cores.contains(core) && !old.0.contains(core);
        if after.0.iter().any(taken) {
            problems.push(format!(
                "{} may hold a core that somebody else's container holds",
                name(tiers, *one)
            ));
        }
        for core in old.0.union(&after.0) {
            let holders = machine.cores.get(core).into_iter().flatten();
            let holders = holders.chain(new.get(core).into_iter().flatten());
            // What two share before the stage is not made worse by it.
            let shared = |other: TierNo| old.0.contains(core) && had(other, *core);
            if let Some(other) = holders.copied().find(|other| other != one && !shared(*other)) {
                problems.push(format!(
                    "{} and {} may hold the same core",
                    name(tiers, *one),
                    name(tiers, other)
                ));
            }
        }
    }
}
