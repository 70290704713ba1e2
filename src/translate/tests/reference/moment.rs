//! One VM during one stage: all that may be there at the same moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::topology::PortBinding;
use crate::model::{Container, CoreSet, Cpu, Foreign, Handover, Size, TierId, Topology, Vm};
use crate::translate::Action;

/// A container before the stage, and what the stage makes of it.
struct Change {
    before: Option<Container>,
    after: Option<Container>,
    acted_on: bool,
    /// Both are there for a while.
    beside: bool,
    /// It holds its part and does not run, so that an update to the same size has an effect.
    stalled: bool,
}

/// One VM during one stage.
pub(super) struct Moment {
    containers: BTreeMap<TierId, Change>,
}

/// What a container is after an action that creates, updates or replaces what was there `before`.
pub(super) fn outcome(action: &Action, before: Option<&Container>) -> Option<Container> {
    match action {
        Action::CreateContainer {
            size,
            cores,
            revision,
            digest,
            ..
        } => Some(Container {
            cores: cores.clone(),
            revision: revision.clone(),
            digest: digest.clone(),
            ..Container::from(*size)
        }),
        Action::ReplaceContainer {
            size,
            cores,
            revision,
            digest,
            ..
        } => Some(Container {
            cores: cores.clone(),
            revision: Some(revision.clone()),
            digest: digest.clone(),
            ..Container::from(*size)
        }),
        Action::UpdateContainer { size, cores, .. } => Some(Container {
            cores: cores.clone(),
            revision: before.and_then(|before| before.revision.clone()),
            digest: before.and_then(|before| before.digest.clone()),
            ..Container::from(*size)
        }),
        _ => None,
    }
}

impl Moment {
    pub(super) fn of(vm: &Vm) -> Self {
        let containers = vm.used.iter().map(|(tier, container)| {
            // Which hooks are owed is none of this.
            let container = Container {
                cores: container.cores.clone(),
                revision: container.revision.clone(),
                digest: container.digest.clone(),
                ..Container::from(container.size)
            };
            let change = Change {
                before: Some(container.clone()),
                after: Some(container),
                acted_on: false,
                beside: false,
                stalled: vm.stalled.contains(tier),
            };
            (tier.clone(), change)
        });
        Self {
            containers: containers.collect(),
        }
    }

    /// Takes note of an action on the container of `tier`.
    pub(super) fn add(&mut self, tier: &TierId, action: &Action) -> Result<(), String> {
        let change = self.containers.entry(tier.clone()).or_insert(Change {
            before: None,
            after: None,
            acted_on: false,
            beside: false,
            stalled: false,
        });
        let is_hook = matches!(action, Action::RunScaleHook { .. } | Action::RunTierHook { .. });
        if change.acted_on && !is_hook {
            return Err("it is changed twice in one stage".into());
        }
        match (action, &change.before) {
            (Action::CreateContainer { .. }, Some(_)) => return Err("it runs already".into()),
            (Action::CreateContainer { .. }, None) => {}
            (_, None) => return Err("it does not run".into()),
            (
                Action::UpdateContainer { was, was_cores, .. }
                | Action::DeleteContainer { was, was_cores, .. },
                Some(before),
            ) => {
                // In quota mode cores are not spoken of, whatever was observed.
                let same_cores = was_cores.0.is_empty() || *was_cores == before.cores;
                if *was != before.size || !same_cores {
                    return Err(format!("it is not what it is said to be: {before:?}"));
                }
                if let Action::UpdateContainer { size, .. } = action
                    && was.is_fixed_against(*size)
                {
                    return Err("its disk or GPUs change while it runs".into());
                }
                if outcome(action, Some(before)).as_ref() == Some(before) && !change.stalled {
                    return Err("it changes nothing".into());
                }
            }
            (
                Action::ReplaceContainer {
                    size,
                    was_cores,
                    was_revision,
                    revision,
                    moved,
                    digest,
                    handover,
                    ..
                },
                Some(before),
            ) => {
                let same = *size == before.size && (was_cores.0.is_empty() || *was_cores == before.cores);
                let was = before.revision.as_ref().map_or("", |was| was.as_str());
                if !same || was != was_revision.as_str() {
                    return Err(format!("it is not what it is said to be: {before:?}"));
                }
                let other_image = digest.is_some() && *digest != before.digest;
                if revision == was_revision && moved.is_empty() && !other_image {
                    return Err("it changes nothing".into());
                }
                change.beside = *handover == Handover::StartFirst;
            }
            _ => return Ok(()),
        }
        change.after = outcome(action, change.before.as_ref());
        change.acted_on = true;
        Ok(())
    }

    /// What may be wrong at some moment of the stage.
    pub(super) fn problems(
        &self,
        topology: &Topology,
        capacity: Size,
        foreign: &Foreign,
        pinned: bool,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        self.room(capacity - foreign.size, pinned, &mut problems);
        self.ports(topology, &mut problems);
        if pinned {
            self.cores(capacity, &foreign.cores, &mut problems);
        }
        problems
    }

    fn room(&self, capacity: Size, pinned: bool, problems: &mut Vec<String>) {
        let mut most = Size::ZERO;
        let mut before = Size::ZERO;
        for change in self.containers.values() {
            let sizes = [&change.before, &change.after].map(|c| c.as_ref().map_or(Size::ZERO, |c| c.size));
            let [old, new] = sizes;
            most += if change.beside { old + new } else { old.max(new) };
            before += old;
            if pinned {
                // Found on more cores than its size says, it may go on holding as many.
                let cores = change.before.as_ref().map_or(0, |c| c.cores.0.len());
                let held = Cpu::cores(u32::try_from(cores).unwrap_or(u32::MAX));
                before.cpu += held.saturating_sub(old.cpu);
            }
        }
        let limit = capacity.max(before);
        if !most.fits(limit) {
            problems.push(format!("{most} may be in use, of {capacity}"));
        }
    }

    /// Each container holds the ports of what it was made from, before and after.
    fn ports(&self, topology: &Topology, problems: &mut Vec<String>) {
        let published = |tier: &TierId, held: &Option<Container>| -> Vec<PortBinding> {
            let held = held.as_ref();
            held.map_or_else(Vec::new, |held| {
                topology.ports_at(tier, held.revision.as_ref()).to_vec()
            })
        };
        let clash = |these: &[PortBinding], those: &[PortBinding]| {
            these.iter().any(|port| those.iter().any(|p| p.conflicts(port)))
        };
        for (one, change) in &self.containers {
            let (before, after) = (published(one, &change.before), published(one, &change.after));
            if change.beside && clash(&before, &after) {
                problems.push(format!("{one} and its successor may hold the same port"));
            }
            for (other, beside) in self.containers.range(..one.clone()) {
                let theirs = (published(other, &beside.before), published(other, &beside.after));
                // What clashes before the stage is not made worse by it.
                let worse = !clash(&before, &theirs.0)
                    && (clash(&before, &theirs.1) || clash(&after, &theirs.0) || clash(&after, &theirs.1));
                if worse {
                    problems.push(format!("{one} and {other} may hold the same port"));
                }
            }
        }
    }

    fn cores(&self, capacity: Size, foreign: &CoreSet, problems: &mut Vec<String>) {
        let cores = |container: &Option<Container>| -> BTreeSet<u32> {
            container.iter().flat_map(|c| c.cores.0.iter().copied()).collect()
        };
        for (one, change) in &self.containers {
            let (old, new) = (cores(&change.before), cores(&change.after));
            if change.acted_on
                && let Some(after) = &change.after
            {
                let out_of_range = new
                    .iter()
                    .any(|core| Cpu::cores(*core) >= capacity.cpu && !old.contains(core));
                if new.is_empty() || out_of_range {
                    problems.push(format!("{one} gets cores {:?}", after.cores));
                }
            }
            if change.beside && old.intersection(&new).next().is_some() {
                problems.push(format!("{one} and its successor may hold the same core"));
            }
            if new
                .iter()
                .any(|core| foreign.0.contains(core) && !old.contains(core))
            {
                problems.push(format!(
                    "{one} may hold a core that somebody else's container holds"
                ));
            }
            for (other, beside) in self.containers.range(..one.clone()) {
                let (other_old, other_new) = (cores(&beside.before), cores(&beside.after));
                let shared_before: BTreeSet<u32> = old.intersection(&other_old).copied().collect();
                let all: BTreeSet<u32> = old.union(&new).copied().collect();
                let other_all: BTreeSet<u32> = other_old.union(&other_new).copied().collect();
                if all
                    .intersection(&other_all)
                    .any(|core| !shared_before.contains(core))
                {
                    problems.push(format!("{one} and {other} may hold the same core"));
                }
            }
        }
    }
}
