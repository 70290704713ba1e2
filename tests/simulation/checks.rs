//! The promises that hold after every step, checked against what really is, not against what the
//! service believes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mapek::engine::{CpuLimit, State};
use mapek::execute::{Bindings, Event, Frozen, Left, Outcome, real_name};
use mapek::model::Allocation;
use mapek::translate::{Action, Stage};
use serde_json::Value;
use uuid::Uuid;

use crate::group::Group;
use crate::machine::{Deed, Machine};
use crate::story::UNIT_MB;

/// What is known of one execution.
struct Known {
    actions: Vec<Action>,
    begun: BTreeMap<usize, Duration>,
    /// Actions that this very process is at.
    running: BTreeSet<usize>,
    bindings: Bindings,
    cancelled: bool,
    ended: bool,
    began: Duration,
    plan: Value,
    /// What should be once it has succeeded, and once it is rolled back.
    target: Allocation,
    from: Allocation,
    /// The group's desired capacity when it began.
    desired: Option<u32>,
    /// VMs that came, that went, and that may have gone.
    made: u32,
    gone: u32,
    unsure: u32,
}

/// All that the checks remember.
#[derive(Default)]
pub struct Checks {
    executions: BTreeMap<Uuid, Known>,
    /// In the order in which they were begun.
    order: Vec<Uuid>,
    keys: BTreeMap<String, Uuid>,
    /// What was shown, by `plan_id`.
    shown: BTreeMap<String, Vec<Stage>>,
    /// What anybody else had there by then has surely been seen.
    looked_at: Duration,
    /// The plan that was reached last, by the order in which things happened.
    reached: Option<Value>,
}

/// Longer than it takes from a look at what is to the execution that sets out from it.
const LOOK: Duration = Duration::from_secs(40);

impl Checks {
    /// A short name for an execution.
    pub fn name(&self, id: Uuid) -> String {
        match self.order.iter().position(|known| *known == id) {
            Some(index) => format!("e{index}"),
            None => "an unknown execution".to_owned(),
        }
    }

    pub fn new_life(&mut self) {
        for known in self.executions.values_mut() {
            known.running.clear();
        }
    }

    /// Translate has shown these stages.
    pub fn shown(&mut self, plan_id: &str, stages: &[Stage]) {
        self.shown.insert(plan_id.to_owned(), stages.to_vec());
    }

    /// A cancel was answered with yes.
    pub fn cancelled(&mut self, id: Uuid) {
        if let Some(known) = self.executions.get_mut(&id) {
            known.cancelled = true;
        }
    }

    /// After each deed on a machine. Answers with the promise that it broke.
    pub fn deed(&self, machine: &Machine, deed: &Deed) -> Option<String> {
        if let Some(container) = &deed.trespass {
            return Some(format!(
                "container {container} on {} is not mapek's, and was touched",
                machine.name
            ));
        }
        if let Some(hook) = &deed.twice {
            return Some(format!(
                "hook {hook} on {} was started while it still ran",
                machine.name
            ));
        }
        // A container that was there before others came may stay where they came.
        let looked_at = if deed.fresh {
            self.looked_at
        } else {
            Duration::ZERO
        };
        if deed.fuller {
            overfull(machine, looked_at)
        } else {
            None
        }
    }

    /// Before an execution is recorded.
    pub fn begin(&mut self, frozen: &Frozen, now: Duration, desired: Option<u32>) -> Option<String> {
        self.looked_at = now.saturating_sub(LOOK);
        if let Some((id, _)) = self.executions.iter().find(|(_, known)| !known.ended) {
            return Some(format!(
                "an execution is begun while {} is unfinished",
                self.name(*id)
            ));
        }
        if let Some(key) = &frozen.idempotency_key
            && let Some(before) = self.keys.insert(key.clone(), frozen.id)
        {
            return Some(format!(
                "Idempotency-Key {key} has begun {} already",
                self.name(before)
            ));
        }
        if let Some(plan_id) = &frozen.plan_id
            && self
                .shown
                .get(plan_id)
                .is_some_and(|shown| *shown != frozen.stages)
        {
            return Some("a sealed plan is carried out otherwise than it was shown".to_owned());
        }
        if frozen.reconcile.is_some() && self.reached.as_ref() != Some(&frozen.plan) {
            return Some("another plan is restored than the one that was reached last".to_owned());
        }
        let known = Known {
            actions: frozen.stages.iter().flatten().cloned().collect(),
            begun: BTreeMap::new(),
            running: BTreeSet::new(),
            bindings: Bindings::new(),
            cancelled: false,
            ended: false,
            began: now,
            plan: frozen.plan.clone(),
            target: frozen.target.clone(),
            from: frozen.from.clone().into(),
            desired,
            made: 0,
            gone: 0,
            unsure: 0,
        };
        self.executions.insert(frozen.id, known);
        self.order.push(frozen.id);
        None
    }

    /// The text of an action, for the trace.
    pub fn action(&self, id: Uuid, index: usize) -> String {
        let action = self
            .executions
            .get(&id)
            .and_then(|known| known.actions.get(index));
        action.map_or_else(|| format!("action {index}"), ToString::to_string)
    }

    /// Once an event is recorded.
    pub fn record(
        &mut self,
        id: Uuid,
        event: &Event,
        now: Duration,
        machines: &BTreeMap<String, Machine>,
        group: Option<&Group>,
    ) -> Option<String> {
        let name = self.name(id);
        let known = self.executions.get_mut(&id)?;
        match event {
            Event::ActionStarted { action, attempt } => {
                if known.cancelled && !known.begun.contains_key(action) {
                    return Some(format!(
                        "action {action} of {name} is begun after its cancel was answered"
                    ));
                }
                if !known.running.insert(*action) {
                    return Some(format!(
                        "action {action} of {name} is begun (attempt {attempt}) while it runs"
                    ));
                }
                known.begun.entry(*action).or_insert(now);
            }
            Event::AttemptFailed { action, .. } => {
                known.running.remove(action);
            }
            Event::ActionFailed { action, left, .. } => {
                known.running.remove(action);
                let failed = known.actions.get(*action)?.clone();
                let since = *known.begun.get(action)?;
                if let Some(left) = left
                    && let Some(what) = misread(&failed, left, &known.bindings, since, machines)
                {
                    return Some(format!(
                        "{name} says what failed \"{failed}\" has left, but {what}"
                    ));
                }
                if let Some(Action::CreateVm { .. } | Action::DeleteVm { .. }) = known.actions.get(*action) {
                    known.unsure += 1;
                }
            }
            Event::ActionSucceeded { action, finding } => {
                known.running.remove(action);
                let done = known.actions.get(*action)?.clone();
                match &done {
                    Action::CreateVm { .. } => known.made += 1,
                    Action::DeleteVm { .. } => known.gone += 1,
                    _ => {}
                }
                if let (Action::CreateVm { vm }, Some(found)) = (&done, &finding.vm) {
                    known.bindings.insert(vm.clone(), found.clone());
                }
                let since = *known.begun.get(action)?;
                return untrue(&done, &known.bindings, since, machines)
                    .map(|what| format!("{name} confirms \"{done}\", but {what}"));
            }
            Event::Replanned { stages, target, .. } => {
                known.actions.extend(stages.iter().flatten().cloned());
                known.target = target.clone();
            }
            Event::RollbackBegun { stages } => known.actions.extend(stages.iter().flatten().cloned()),
            Event::Finished { outcome } => {
                known.ended = true;
                if *outcome == Outcome::Succeeded {
                    self.reached = Some(known.plan.clone());
                }
                return known
                    .leaked(group)
                    .or_else(|| known.unreached(*outcome, machines))
                    .map(|what| format!("{name} ends as {}, but {what}", outcome.as_str()));
            }
            Event::ActionProgressed { .. }
            | Event::CloudNoted { .. }
            | Event::ActionSkipped { .. }
            | Event::ReplanFailed(_)
            | Event::Resumed {}
            | Event::ActionSettled { .. }
            | Event::Held {}
            | Event::CancelRequested(_)
            | Event::ResumeRequested(_)
            | Event::RollbackRequested(_)
            | Event::Lost(_) => {}
        }
        None
    }

    /// An execution that has not ended, by the record.
    pub fn unfinished(&self) -> Option<Uuid> {
        self.executions
            .iter()
            .find(|(_, known)| !known.ended)
            .map(|(id, _)| *id)
    }

    pub fn newest(&self) -> Option<Uuid> {
        self.order.last().copied()
    }
}

impl Known {
    /// Whether the group's desired capacity is another than what came and went explains.
    fn leaked(&self, group: Option<&Group>) -> Option<String> {
        let (group, before) = (group?, self.desired?);
        let right = (before + self.made).saturating_sub(self.gone);
        // What AWS takes away by itself it starts anew by itself.
        let fine = self.unsure > 0 || group.desired == right || group.reclaimed >= self.began;
        (!fine).then(|| format!("the desired capacity is {}, and should be {right}", group.desired))
    }

    /// What is not as the end of the execution promises, on machines that nobody else had a hand in.
    fn unreached(&self, outcome: Outcome, machines: &BTreeMap<String, Machine>) -> Option<String> {
        let promised = match outcome {
            Outcome::Succeeded => &self.target,
            Outcome::RolledBack => &self.from,
            Outcome::Failed | Outcome::Cancelled | Outcome::RollbackFailed => return None,
        };
        promised.vms.iter().find_map(|(vm, held)| {
            let machine = machines.get(real_name(&self.bindings, vm).as_str())?;
            // What happens between the last look and the begin is seen by nobody.
            if machine.disturbed + LOOK >= self.began {
                return None;
            }
            let ours = machine
                .containers
                .values()
                .filter(|one| one.ours() && one.holds());
            let there: BTreeMap<&str, u64> = ours
                .map(|one| (one.name.as_str(), one.limits.memory / (UNIT_MB << 20)))
                .collect();
            let wanted: BTreeMap<&str, u64> = held
                .used
                .iter()
                .map(|(tier, one)| (tier.as_str(), one.size.mem))
                .collect();
            (there != wanted).then(|| format!("{} has {there:?}, and should have {wanted:?}", machine.name))
        })
    }
}

/// What is not as a confirmed action says, unless somebody else had a hand in it since.
fn untrue(
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
        Action::CreateContainer { size, cores, .. } | Action::UpdateContainer { size, cores, .. } => {
            let Some(there) = there else {
                return Some("there is no such container".to_owned());
            };
            if there.state != State::Running {
                return Some(format!("the container is {:?}", there.state));
            }
            let cpu_differs = match &there.limits.cpu {
                CpuLimit::Cores(pinned) => pinned != cores,
                CpuLimit::Quota(cpu) => *cpu != size.cpu,
            };
            let differs = cpu_differs || there.limits.memory != (size.mem * UNIT_MB) << 20;
            differs.then(|| format!("the container has {}", crate::machine::words(&there.limits)))
        }
        Action::DeleteContainer { .. } => there.map(|_| "the container is still there".to_owned()),
        _ => None,
    }
}

/// What is otherwise than a failed action says that it left, unless somebody else had a hand in it.
fn misread(
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

/// Whether the containers of a machine hold more than it has, those of others included that have been
/// there since `looked_at`.
pub fn overfull(machine: &Machine, looked_at: Duration) -> Option<String> {
    let counts = |since: Option<Duration>| since.is_none_or(|since| since <= looked_at);
    let holding = || {
        let containers = machine.containers.values();
        containers.filter(|container| container.holds() && counts(container.foreign_since))
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
                    if let Some(other) = taken.insert(*core, &container.name) {
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
