//! What is recorded, compared with what is really there.

use std::collections::BTreeMap;
use std::time::Duration;

use mapek::engine::{CpuLimit, LABEL_APP, LABEL_OWNER, LABEL_REVISION, State};
use mapek::execute::{Bindings, Left, Outcome, real_name};
use mapek::model::{Allocation, TierId, Vm, VmId};
use mapek::translate::Action;
use uuid::Uuid;

use crate::calls::words;
use crate::checks::{Known, LOOK};
use crate::group::Group;
use crate::machine::Machine;
use crate::story::UNIT_MB;

impl Known {
    /// Whether the group's desired capacity differs from what the VMs that came and went explain.
    pub fn leaked(&self, group: Option<&Group>) -> Option<String> {
        let (group, before) = (group?, self.desired?);
        let right = (before + self.made).saturating_sub(self.gone);
        // If AWS takes an instance away by itself, it also replaces it by itself.
        let fine = self.unsure > 0 || group.desired == right || group.reclaimed >= self.began;
        (!fine).then(|| format!("the desired capacity is {}, and should be {right}", group.desired))
    }

    /// What differs from the promised result of the execution, on machines where nobody else has
    /// interfered.
    pub fn unreached(
        &self,
        outcome: Outcome,
        machines: &BTreeMap<String, Machine>,
        owner: Option<Uuid>,
    ) -> Option<String> {
        let promised = match outcome {
            Outcome::Succeeded => &self.target,
            Outcome::RolledBack => &self.from,
            Outcome::Failed | Outcome::Cancelled | Outcome::RollbackFailed => return None,
        };
        promised.vms.iter().find_map(|(vm, held)| {
            let machine = machines.get(real_name(&self.bindings, vm).as_str())?;
            // Nobody sees what happens between the last look and the beginning.
            if machine.disturbed.max(machine.unseen) + LOOK >= self.began {
                return None;
            }
            let ours = machine
                .containers
                .values()
                .filter(|one| one.ours() && one.holds());
            let owner = owner.map(|owner| owner.to_string());
            let revision = |one: &crate::container::Container| {
                let own = one.labels.get(LABEL_OWNER) == owner.as_ref();
                one.labels.get(LABEL_REVISION).filter(|_| own).cloned()
            };
            let there: BTreeMap<&str, (u64, Option<String>)> = ours
                .map(|one| {
                    (
                        one.name.as_str(),
                        (one.limits.memory / (UNIT_MB << 20), revision(one)),
                    )
                })
                .collect();
            let wanted: BTreeMap<&str, (u64, Option<String>)> = held
                .used
                .iter()
                .map(|(tier, one)| {
                    // What was adopted may be anything.
                    let told = there.get(tier.as_str()).and_then(|there| there.1.clone());
                    let wanted = told.map(|told| one.revision.as_ref().map_or(told, ToString::to_string));
                    (tier.as_str(), (one.size.mem, wanted))
                })
                .collect();
            if there != wanted {
                return Some(format!(
                    "{} has {there:?}, and should have {wanted:?}",
                    machine.name
                ));
            }
            self.lost_sight(promised, held, machine, machines)
        })
    }
}

impl Known {
    /// A container that looks for a dependency elsewhere than where that is. On the way back what was so before stays.
    fn lost_sight(
        &self,
        promised: &Allocation,
        held: &Vm,
        machine: &Machine,
        machines: &BTreeMap<String, Machine>,
    ) -> Option<String> {
        let ours = machine
            .containers
            .values()
            .filter(|one| one.ours() && one.holds());
        for one in ours {
            let tier = TierId::new(&one.name);
            let before = held.used.get(&tier).and_then(|held| held.addresses.as_ref());
            if before == Some(&one.addresses) {
                continue;
            }
            let app = one.labels.get(LABEL_APP).map_or("", String::as_str);
            for (name, address) in &one.addresses {
                let dependency = TierId::of(app, name);
                let mut places = promised.places(&dependency).peekable();
                let is_there = |vm: &VmId| {
                    let at = machines.get(real_name(&self.bindings, vm).as_str());
                    at.is_none_or(|at| at.ip == *address)
                };
                if places.peek().is_some() && !places.any(|(vm, _)| is_there(vm)) {
                    return Some(format!(
                        "{} on {} looks for {dependency} at {address}",
                        one.name, machine.name
                    ));
                }
            }
        }
        None
    }
}

/// What is not as a confirmed action says, unless somebody else had a hand in it since.
pub fn untrue(
    action: &Action,
    bindings: &Bindings,
    since: Duration,
    machines: &BTreeMap<String, Machine>,
) -> Option<String> {
    let machine = machines.get(real_name(bindings, action.vm()).as_str())?;
    if machine.disturbed >= since {
        return None;
    }
    let tier = action.container()?.as_str();
    let there = machine
        .containers
        .values()
        .find(|container| container.ours() && container.name == tier);
    match action {
        Action::CreateContainer { size, cores, .. }
        | Action::UpdateContainer { size, cores, .. }
        | Action::ReplaceContainer { size, cores, .. } => {
            let Some(there) = there else {
                return Some("there is no such container".to_owned());
            };
            if there.state != State::Running {
                return Some(format!("the container is {:?}", there.state));
            }
            if let Action::ReplaceContainer { revision, .. } = action
                && there.labels.get(LABEL_REVISION).map(String::as_str) != Some(revision.as_str())
            {
                return Some("the container is of another revision".to_owned());
            }
            let cpu_differs = match &there.limits.cpu {
                CpuLimit::Cores(pinned) => pinned != cores,
                CpuLimit::Quota(cpu) => *cpu != size.cpu,
            };
            let differs = cpu_differs || there.limits.memory != (size.mem * UNIT_MB) << 20;
            differs.then(|| format!("the container has {}", words(&there.limits)))
        }
        Action::DeleteContainer { .. } => there.map(|_| "the container is still there".to_owned()),
        _ => None,
    }
}

/// What differs from what a failed action says it left, unless somebody else has interfered.
pub fn misread(
    action: &Action,
    left: &Left,
    bindings: &Bindings,
    since: Duration,
    machines: &BTreeMap<String, Machine>,
) -> Option<String> {
    let machine = machines.get(real_name(bindings, action.vm()).as_str())?;
    let tier = action.container()?.as_str();
    if machine.disturbed >= since {
        return None;
    }
    let mut ours = machine
        .containers
        .values()
        .filter(|one| one.ours() && one.holds());
    let there = ours
        .find(|one| one.name == tier)
        .map(|one| one.limits.memory / (UNIT_MB << 20));
    let said = left.container().map(|held| held.size.mem);
    (there != said).then(|| format!("it says {said:?} memory units, and there are {there:?}"))
}

/// Whether the containers of a machine hold more than it has, including foreign ones that have been
/// there since `looked_at`. If a container is given, cores that two containers share count only if
/// it is one of them.
pub fn overfull(machine: &Machine, looked_at: Duration, by: Option<&str>) -> Option<String> {
    let counts = |since: Option<Duration>| since.is_none_or(|since| since <= looked_at);
    let holding = || {
        let containers = machine.containers.values();
        containers.filter(|container| container.holds() && counts(container.whose.foreign_since()))
    };
    let memory: u64 = holding().map(|container| container.limits.memory).sum();
    if memory > (machine.mem * UNIT_MB) << 20 {
        return Some(format!(
            "{} is overfull: its containers hold {} MiB",
            machine.name,
            memory >> 20
        ));
    }
    let mut hundredths = 0;
    let mut taken: BTreeMap<u32, &str> = BTreeMap::new();
    for container in holding() {
        match &container.limits.cpu {
            CpuLimit::Quota(cpu) => hundredths += cpu.in_hundredths(),
            CpuLimit::Cores(cores) => {
                for core in &cores.0 {
                    if *core >= machine.cores {
                        return Some(format!(
                            "{} has no core {core}, which {} has",
                            machine.name, container.name
                        ));
                    }
                    if let Some(other) = taken.insert(*core, &container.name)
                        && by.is_none_or(|by| by == other || by == container.name)
                    {
                        return Some(format!(
                            "core {core} of {} is in both {other} and {}",
                            machine.name, container.name
                        ));
                    }
                }
            }
        }
    }
    let pinned = 100 * taken.len() as u64;
    let all = u64::from(machine.cores) * 100;
    (hundredths + pinned > all).then(|| {
        let held = hundredths + pinned;
        format!(
            "{} is overfull: its containers hold {held} of {all} hundredths of a core",
            machine.name
        )
    })
}
