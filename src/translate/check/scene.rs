//! What a check knows of tiers and VMs, with numbers in the place of names: a name is looked up once for each action.

use std::collections::HashMap;

use crate::model::topology::{CpuMode, PortBinding, Tier};
use crate::model::{Allocation, RevisionId, TierId, Topology, VmId};
use crate::translate::{Action, Stage};

use super::machine::{Held, Machine};
use super::{Check, Step, Subject, hooks};

/// The number of a tier.
pub(super) type TierNo = usize;
/// The number of a VM.
pub(super) type VmNo = usize;

/// The numbers that names have.
#[derive(Default)]
pub(super) struct Numbers<'a> {
    tiers: HashMap<&'a TierId, TierNo>,
    vms: HashMap<&'a VmId, VmNo>,
}

impl Numbers<'_> {
    pub(super) fn tier(&self, id: &TierId) -> Option<TierNo> {
        self.tiers.get(id).copied()
    }

    pub(super) fn vm(&self, id: &VmId) -> Option<VmNo> {
        self.vms.get(id).copied()
    }
}

/// A tier, and how many containers it has.
pub(super) struct Member<'a> {
    pub id: &'a TierId,
    /// None for one that the topology does not have.
    pub spec: Option<&'a Tier>,
    /// The revision that the topology has.
    current: Option<&'a RevisionId>,
    /// What it depends on.
    pub needs: Vec<TierNo>,
    /// What depends on it.
    pub users: Vec<TierNo>,
    /// How many containers it has at first, in the end, and before the stage that is looked at.
    pub first: usize,
    pub last: usize,
    pub now: usize,
    /// How many of them go down in the stage that is looked at, and how many are replaced.
    pub downs: usize,
    pub replaced: usize,
    /// Whether it is somewhere else in the end, or of another size.
    pub moves: bool,
    /// A VM that it is on in the end: the first one.
    pub home: Option<VmNo>,
    /// It stays, and had no container at some moment.
    pub was_down: bool,
    /// Where it is before the stage that is looked at; kept only where somebody has to be told.
    pub places: Option<std::collections::BTreeSet<VmNo>>,
}

impl<'a> Member<'a> {
    fn new(topology: &'a Topology, id: &'a TierId) -> Self {
        let spec = topology.tiers.get(id);
        let hears = spec.is_some_and(|spec| spec.on_dependency_scale.is_some());
        Self {
            id,
            spec,
            current: topology.revisions.current(id),
            needs: Vec::new(),
            users: Vec::new(),
            first: 0,
            last: 0,
            now: 0,
            downs: 0,
            replaced: 0,
            moves: false,
            home: None,
            was_down: false,
            places: hears.then(std::collections::BTreeSet::new),
        }
    }

    /// How many containers surely run at every moment of the stage that is looked at.
    pub(super) fn least(&self) -> usize {
        self.now.saturating_sub(self.downs)
    }

    /// What a container of it publishes.
    pub(super) fn ports(&self, topology: &'a Topology, held: &Held<'a>) -> &'a [PortBinding] {
        match self.spec {
            Some(spec) if held.revision.is_none() || held.revision == self.current => &spec.ports,
            _ => topology.ports_at(self.id, held.revision),
        }
    }
}

impl<'a> Check<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, breaches: Vec<String>) -> Self {
        let topology = subject.topology;
        let mut check = Self {
            subject,
            pinned: topology.infrastructure.cpu_mode == CpuMode::Cpuset,
            breaches,
            numbers: Numbers::default(),
            tiers: Vec::with_capacity(topology.tiers.len()),
            machines: Vec::with_capacity(subject.from.vms.len().max(subject.to.vms.len())),
            log: hooks::Log::default(),
            arrivals: HashMap::new(),
        };
        for id in topology.tiers.keys() {
            check.number(id);
        }
        for (number, spec) in topology.tiers.values().enumerate() {
            for other in &spec.depends_on {
                let other = check.number(other);
                if let Some(member) = check.tiers.get_mut(number) {
                    member.needs.push(other);
                }
                if let Some(member) = check.tiers.get_mut(other) {
                    member.users.push(number);
                }
            }
        }
        check.count(subject.to, false);
        check.count(subject.from, true);
        check.compare();
        check
    }

    fn number(&mut self, id: &'a TierId) -> TierNo {
        *self.numbers.tiers.entry(id).or_insert_with(|| {
            self.tiers.push(Member::new(self.subject.topology, id));
            self.tiers.len() - 1
        })
    }

    fn machine(&mut self, id: &'a VmId) -> VmNo {
        *self.numbers.vms.entry(id).or_insert_with(|| {
            self.machines.push(Machine::new(
                id,
                self.subject.from.vms.get(id),
                self.subject.to.vms.get(id),
            ));
            self.machines.len() - 1
        })
    }

    /// Takes note of what there is at first (`present`), or will be in the end.
    fn count(&mut self, side: &'a Allocation, present: bool) {
        for (id, vm) in &side.vms {
            let at = self.machine(id);
            for (tier, container) in &vm.used {
                let number = self.number(tier);
                let Some(member) = self.tiers.get_mut(number) else {
                    continue;
                };
                if !present {
                    member.last += 1;
                    member.home = member.home.or(Some(at));
                    continue;
                }
                member.first += 1;
                member.now += 1;
                if let Some(places) = &mut member.places {
                    places.insert(at);
                }
                let held = Held::of(container);
                let ports = member.ports(self.subject.topology, &held);
                if let Some(machine) = self.machines.get_mut(at) {
                    if vm.stalled.contains(tier) {
                        machine.stalled.insert(number);
                    }
                    machine.put(number, held, ports, self.pinned);
                }
            }
        }
    }

    /// Which tiers are somewhere else in the end, or of another size.
    fn compare(&mut self) {
        let (from, to) = (self.subject.from, self.subject.to);
        for (these, those) in [(from, to), (to, from)] {
            for (id, vm) in &these.vms {
                let other = those.vms.get(id);
                for (tier, container) in &vm.used {
                    let there = other.and_then(|vm| vm.used.get(tier));
                    if there.map(|there| there.size) == Some(container.size) {
                        continue;
                    }
                    let number = self.number(tier);
                    if let Some(member) = self.tiers.get_mut(number) {
                        member.moves = true;
                    }
                }
            }
        }
    }

    /// Looks up what the actions of a stage are about.
    pub(super) fn resolve(&mut self, stage: &[&'a Action]) -> Vec<Step<'a>> {
        let steps = stage.iter().map(|action| Step {
            action,
            vm: self.machine(action.vm()),
            tier: action.container().map(|tier| self.number(tier)),
        });
        steps.collect()
    }
}

/// The stages with the actions that `keep` says.
pub(super) fn sifted<'a>(
    stages: &'a [Stage],
    mut keep: impl FnMut(usize, &'a Action) -> bool,
) -> Vec<Vec<&'a Action>> {
    let mut sifted = Vec::with_capacity(stages.len());
    for (index, stage) in stages.iter().enumerate() {
        let kept: Vec<&Action> = stage.iter().filter(|action| keep(index, action)).collect();
        // A stage that had nothing else is none; one that was empty from the start is still a breach.
        if !kept.is_empty() || stage.is_empty() {
            sifted.push(kept);
        }
    }
    sifted
}
