//! The promises that hold after every step, checked against what is really there, not against what
//! the service believes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mapek::execute::{Bindings, Event, Frozen, Outcome, real_name};
use mapek::model::{Allocation, VmId};
use mapek::translate::{Action, Stage};
use serde_json::Value;
use uuid::Uuid;

use crate::calls::{Call, Deed};
use crate::compare::{misread, overfull, untrue};
use crate::group::Group;
use crate::hooks::Due;
use crate::machine::Machine;

/// What is known about one execution.
pub struct Known {
    pub actions: Vec<Action>,
    pub begun: BTreeMap<usize, Duration>,
    /// Machines on which a dependency is started again for an action on another machine.
    pub helped: BTreeSet<String>,
    /// Actions that the present process is working on.
    pub running: BTreeSet<usize>,
    pub bindings: Bindings,
    pub cancelled: bool,
    /// The present run of the service has begun it.
    pub begun_here: bool,
    /// It is being rolled back.
    pub back: bool,
    pub ended: bool,
    pub began: Duration,
    pub plan: Value,
    /// What should be there once it has succeeded, and once it is rolled back.
    pub target: Allocation,
    pub from: Allocation,
    /// The group's desired capacity when it began.
    pub desired: Option<u32>,
    /// VMs that came, that went, and that may have gone.
    pub made: u32,
    pub gone: u32,
    pub unsure: u32,
}

/// Everything that the checks remember.
#[derive(Default)]
pub struct Checks {
    executions: BTreeMap<Uuid, Known>,
    /// In the order in which they began.
    order: Vec<Uuid>,
    /// The executions that keys have begun, and those with which requests under them were answered.
    keys: BTreeMap<String, Uuid>,
    answered: BTreeMap<(u8, usize), Uuid>,
    /// What was shown, by `plan_id`.
    shown: BTreeMap<String, Vec<Stage>>,
    /// Whatever foreign containers were there by then have certainly been seen.
    looked_at: Duration,
    /// Whose record the service has: other owners' revisions mean nothing to it.
    pub owner: Option<Uuid>,
    /// The plan that was reached last, by the order in which things happened.
    reached: Option<Value>,
    /// Intents that were answered as taken.
    intended: BTreeSet<Uuid>,
    /// Intents that were answered as taken back.
    taken_back: BTreeSet<Uuid>,
    /// Nodes that surely take nothing new: that was answered, and nobody has asked since that it ends.
    cordoned: BTreeSet<VmId>,
    /// How often somebody has asked that a node may be used again.
    lifted: u64,
    /// Hooks that are still to run.
    pub due: Due,
}

/// Longer than the time from a look at what is there to the execution that starts from it.
pub const LOOK: Duration = Duration::from_secs(40);

impl Checks {
    /// A short name for an execution.
    pub fn name(&self, id: Uuid) -> String {
        match self.order.iter().position(|known| *known == id) {
            Some(index) => format!("e{index}"),
            None => "an unknown execution".to_owned(),
        }
    }

    /// An intent was accepted.
    pub fn intended(&mut self, id: Uuid) {
        self.intended.insert(id);
    }

    /// An intent was answered as taken back.
    pub fn taken_back(&mut self, id: Uuid) {
        self.taken_back.insert(id);
    }

    /// Whether it was answered that an intent is taken back.
    pub fn is_taken_back(&self, id: Uuid) -> bool {
        self.taken_back.contains(&id)
    }

    /// That a node takes nothing new was answered.
    pub fn cordoned(&mut self, node: VmId) {
        self.cordoned.insert(node);
    }

    /// Somebody asks that a node may be used again.
    pub fn uncordoned(&mut self, node: &VmId) {
        self.cordoned.remove(node);
        self.lifted += 1;
    }

    /// How often somebody has asked that.
    pub fn lifted(&self) -> u64 {
        self.lifted
    }

    /// All intents that were accepted.
    pub fn all_intended(&self) -> Vec<Uuid> {
        self.intended.iter().copied().collect()
    }

    pub fn new_life(&mut self) {
        for known in self.executions.values_mut() {
            known.running.clear();
            known.begun_here = false;
        }
    }

    /// Translate has shown these stages.
    pub fn shown(&mut self, plan_id: &str, stages: &[Stage]) {
        self.shown.insert(plan_id.to_owned(), stages.to_vec());
    }

    /// A request under a key was answered. Returns the promise that this broke.
    pub fn answered(&mut self, key: u8, plan: usize, id: Uuid) -> Option<String> {
        let before = *self.answered.entry((key, plan)).or_insert(id);
        (before != id).then(|| format!("Idempotency-Key key{key} was answered with two executions"))
    }

    /// A request under a key was told that an execution runs. Returns the promise that this broke:
    /// the answer should have been its own execution.
    pub fn told_to_wait(&self, key: u8) -> Option<String> {
        let own = *self.keys.get(&format!("key{key}"))?;
        // One that an earlier run has begun may be held.
        let runs = self
            .executions
            .get(&own)
            .is_some_and(|known| known.begun_here && !known.ended);
        runs.then(|| {
            format!(
                "a request under key{key} is told to wait for {}, which it began itself",
                self.name(own)
            )
        })
    }

    /// After a start: the plan that the service believes to be the one that was reached last.
    pub fn reached(&self, known: Option<&Value>) -> Option<String> {
        (known != self.reached.as_ref()).then(|| {
            "the service has started, and takes another plan to be the one that was reached last".to_owned()
        })
    }

    /// A day has passed by the wall clock; a key is kept for that long.
    pub fn a_day_later(&mut self) {
        self.keys.clear();
        self.answered.clear();
    }

    /// A cancel was accepted.
    pub fn cancelled(&mut self, id: Uuid) {
        if let Some(known) = self.executions.get_mut(&id) {
            known.cancelled = true;
        }
    }

    /// After each change on a machine. Returns the promise that it broke.
    pub fn deed(&self, machine: &Machine, deed: &Deed) -> Option<String> {
        if let Some(container) = &deed.trespass {
            return Some(format!(
                "container {container} on {} is not mapek's, and was touched",
                machine.name
            ));
        }
        if let Some(container) = &deed.bereft {
            let replaces = |known: &Known| {
                known
                    .running
                    .iter()
                    .filter_map(|index| known.actions.get(*index))
                    .any(|action| {
                        let here = real_name(&known.bindings, action.vm()).as_str() == machine.name;
                        let it = action.container().is_some_and(|tier| tier.as_str() == container);
                        here && it && matches!(action, Action::ReplaceContainer { .. })
                    })
            };
            if self.executions.values().any(replaces) {
                return Some(format!(
                    "{container} on {} was removed before its successor was up",
                    machine.name
                ));
            }
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
        let about = deed.fuller.as_deref()?;
        overfull(machine, looked_at, Some(about))
    }

    /// Before a request is sent that changes something on a machine. Returns the promise that it
    /// breaks.
    pub fn sent(&self, machine: &Machine, call: &Call) -> Option<String> {
        let recorded = self.executions.values().any(|known| {
            let on_machine = |index: &usize| {
                let action = known.actions.get(*index);
                action.is_some_and(|action| real_name(&known.bindings, action.vm()).as_str() == machine.name)
            };
            // A rollback ends with a look at all VMs that the way out would have concerned.
            let looked_at = known.back && (0..known.actions.len()).any(|index| on_machine(&index));
            let helped = known.helped.contains(&machine.name);
            !known.ended && (looked_at || helped || known.begun.keys().any(on_machine))
        });
        (!recorded).then(|| format!("{} is asked {call:?}, and no record says so", machine.name))
    }

    /// The record is lost: nobody knows any more what was there before.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Before an execution is recorded.
    pub fn begin(&mut self, frozen: &Frozen, now: Duration, desired: Option<u32>) -> Option<String> {
        self.looked_at = now.saturating_sub(LOOK);
        let mut actions = frozen.actions().map(|(_, action)| action);
        let put = actions.find(|action| {
            matches!(action, Action::CreateContainer { .. }) && self.cordoned.contains(action.vm())
        });
        if let Some(action) = put {
            return Some(format!(
                "an execution is begun that is to {action}, though that is cordoned"
            ));
        }
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
            helped: BTreeSet::new(),
            running: BTreeSet::new(),
            bindings: Bindings::new(),
            cancelled: false,
            begun_here: true,
            back: false,
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
                self.due.done(&done, &known.actions, &known.bindings);
                let since = *known.begun.get(action)?;
                return untrue(&done, &known.bindings, since, machines)
                    .map(|what| format!("{name} confirms \"{done}\", but {what}"));
            }
            Event::Replanned { stages, target, .. } => {
                known.actions.extend(stages.iter().flatten().cloned());
                known.target = target.clone();
            }
            Event::RollbackBegun { stages } => {
                known.back = true;
                known.actions.extend(stages.iter().flatten().cloned());
            }
            Event::Finished { outcome } => {
                known.ended = true;
                if *outcome == Outcome::Succeeded {
                    self.reached = Some(known.plan.clone());
                }
                return known
                    .leaked(group)
                    .or_else(|| known.unreached(*outcome, machines, self.owner))
                    .map(|what| format!("{name} ends as {}, but {what}", outcome.as_str()));
            }
            Event::ActionProgressed { starts, .. } => {
                known
                    .helped
                    .extend(starts.iter().map(|place| place.vm.to_string()));
            }
            Event::CloudNoted { .. }
            | Event::Pulling { .. }
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
