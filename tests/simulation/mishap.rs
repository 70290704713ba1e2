//! What goes wrong, when it takes effect: calls that meet a mishap, machines that fail, people who
//! interfere with what runs.

use std::time::Duration;

use mapek::engine::{CpuLimit, LABEL_MANAGED, LABEL_OWNER, Limits, State as Doing};

use crate::container::{Container, Whose};
use crate::group::Group;
use crate::machine::Machine;
use crate::story::{Trouble, UNIT_MB};
use crate::world::State;

/// A trouble that waits for a call.
#[derive(Clone, Debug)]
pub struct Armed {
    pub nth: u32,
    pub what: Mishap,
}

#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    LoseAnswer { done: bool },
    Fail { done: bool },
    Slow(Duration),
}

/// The mishap that this call meets.
pub fn due(armed: &mut Vec<Armed>) -> Option<Mishap> {
    for one in armed.iter_mut() {
        one.nth = one.nth.saturating_sub(1);
    }
    let at = armed.iter().position(|one| one.nth == 0)?;
    Some(armed.remove(at).what)
}

/// The machine of that number, with the time.
fn machine(state: &mut State, number: usize) -> Option<&mut Machine> {
    let names: Vec<String> = state.machines.keys().cloned().collect();
    let name = names.get(number % names.len().max(1))?;
    state.machines.get_mut(name)
}

/// Makes a trouble happen.
pub fn strike(state: &mut State, trouble: &Trouble) {
    let now = state.now();
    let coin = state.dice.bits();
    match *trouble {
        Trouble::LoseAnswer { vm, nth, done } => arm(state, vm, nth, Mishap::LoseAnswer { done }),
        Trouble::Fail { vm, nth, done } => arm(state, vm, nth, Mishap::Fail { done }),
        Trouble::Slow { vm, nth, by } => arm(state, vm, nth, Mishap::Slow(by)),
        Trouble::Step { seconds } => state.step_wall_clock(seconds),
        Trouble::DiskFull { length } => state.disk_full_until = now + length,
        Trouble::HooksAway { length } => state.hooks_away_until = now + length,
        Trouble::LaunchesFail { length } => on_group(state, |group| group.launches_fail_until = now + length),
        Trouble::Throttle { length } => on_group(state, |group| group.throttled_until = now + length),
        Trouble::CloudLosesAnswers { length } => {
            on_group(state, |group| group.loses_answers_until = now + length)
        }
        Trouble::CloudBreaks { length } => on_group(state, |group| group.breaks_until = now + length),
        Trouble::CloudSlow { length, by } => on_group(state, |group| group.slow = (now + length, by)),
        Trouble::Reclaim { vm } => on_group(state, |group| drop(group.reclaim(vm, now))),
        Trouble::AgentDies { .. }
        | Trouble::AgentFreezes { .. }
        | Trouble::BadLine { .. }
        | Trouble::Partition { .. }
        | Trouble::AgentLeaves { .. } => crate::agent::hurt(state, trouble),
        Trouble::Kill { .. } | Trouble::Terminate { .. } | Trouble::LoseRecord { .. } => {}
        Trouble::HooksFail { length } => {
            for machine in state.machines.values_mut() {
                machine.hooks_fail_until = now + length;
            }
        }
        Trouble::HooksSlow { length, each } => {
            for machine in state.machines.values_mut() {
                machine.hooks_slow = (now + length, each);
            }
        }
        Trouble::Freeze { vm, .. }
        | Trouble::Restart { vm, .. }
        | Trouble::Away { vm, .. }
        | Trouble::PowerOff { vm, .. }
        | Trouble::Die { vm, .. }
        | Trouble::Stop { vm, .. }
        | Trouble::Pause { vm, .. }
        | Trouble::Remove { vm, .. }
        | Trouble::Unhealthy { vm, .. }
        | Trouble::Crash { vm, .. }
        | Trouble::Rename { vm, .. }
        | Trouble::Backup { vm }
        | Trouble::Restore { vm, .. }
        | Trouble::Foreign { vm, .. }
        | Trouble::ForeignLeave { vm } => {
            if let Some(machine) = machine(state, vm) {
                hurt(machine, trouble, now, coin);
            }
        }
    }
}

fn arm(state: &mut State, vm: usize, nth: u32, what: Mishap) {
    if let Some(machine) = machine(state, vm) {
        machine.armed.push(Armed { nth, what });
    }
}

fn on_group(state: &mut State, strike: impl FnOnce(&mut Group)) {
    if let Some(group) = &mut state.group {
        strike(group);
    }
}

/// What goes wrong on one machine. `coin` decides what is left to chance.
fn hurt(machine: &mut Machine, trouble: &Trouble, now: Duration, mut coin: u128) {
    let toss = move || {
        coin >>= 1;
        coin & 1 == 1
    };
    match *trouble {
        Trouble::Freeze { length, .. } => machine.frozen_until = machine.frozen_until.max(now + length),
        Trouble::Away { length, .. } => machine.down_until = machine.down_until.max(now + length),
        Trouble::Restart { length, .. } => {
            machine.down_until = machine.down_until.max(now + length);
            machine.disturb(now + length);
            machine.end_all(now + length, toss);
        }
        Trouble::PowerOff { length, .. } => {
            machine.off_until = machine.off_until.max(now + length);
            machine.disturb(now + length);
            machine.end_all(now + length, toss);
        }
        Trouble::Unhealthy { length, .. } => {
            machine.sick_until = now + length;
            machine.disturb(now + length);
        }
        Trouble::Crash { length, .. } => {
            machine.crash_until = now + length;
            machine.disturb(now + length);
        }
        Trouble::Foreign {
            cores,
            mem,
            named,
            of_another,
            ..
        } => {
            machine.disturb(now);
            let size = (cores, (mem * UNIT_MB) << 20);
            machine.put_foreign(now, named.unwrap_or("theirs"), size, of_another);
        }
        Trouble::Backup { .. } => machine.backup = Some(machine.containers.clone()),
        Trouble::Restore { length, .. } => {
            machine.off_until = machine.off_until.max(now + length);
            machine.disturb(now + length);
            if let Some(backup) = machine.backup.clone() {
                machine.containers = backup;
            }
            machine.end_all(now + length, toss);
        }
        Trouble::ForeignLeave { .. } => machine.others_leave(),
        Trouble::Die { container, .. }
        | Trouble::Stop { container, .. }
        | Trouble::Pause { container, .. }
        | Trouble::Rename { container, .. }
        | Trouble::Remove { container, .. } => {
            machine.disturb(now);
            let ours = machine.containers.values().filter(|one| one.ours());
            let ids: Vec<String> = ours.map(|one| one.id.clone()).collect();
            let Some(id) = ids.get(container % ids.len().max(1)).cloned() else {
                return;
            };
            if let Trouble::Die { .. } = trouble {
                machine.crash(&id, now + Duration::from_secs(1));
            } else if let Trouble::Remove { .. } = trouble {
                machine.containers.remove(&id);
            } else if let Trouble::Rename { .. } = trouble {
                machine.rename(now, &id);
            } else if let Some(one) = machine.containers.get_mut(&id) {
                match trouble {
                    Trouble::Pause { .. } if one.state == Doing::Running => one.state = Doing::Paused,
                    Trouble::Stop { .. } => one.state = Doing::Exited,
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

impl Machine {
    /// Ends all containers. Each comes back by itself once the engine is up, or does not.
    fn end_all(&mut self, at: Duration, mut comes_back: impl FnMut() -> bool) {
        self.execs.clear();
        for container in self.containers.values_mut().filter(|container| container.holds()) {
            container.state = Doing::Exited;
            container.back_at = comes_back().then_some(at);
        }
    }

    /// The process of a container ends, and the engine starts it again.
    fn crash(&mut self, id: &str, back_at: Duration) {
        self.execs.retain(|_, exec| exec.container != id);
        if let Some(container) = self
            .containers
            .get_mut(id)
            .filter(|container| container.state == Doing::Running)
        {
            container.state = Doing::Restarting;
            container.restarts += 1;
            container.back_at = Some(back_at);
        }
    }

    /// Somebody else interferes here, until then.
    pub fn disturb(&mut self, until: Duration) {
        self.disturbed = self.disturbed.max(until);
    }

    /// Somebody else starts a container, if its name is free; perhaps another `mapek`.
    fn put_foreign(&mut self, now: Duration, name: &str, (cores, memory): (u64, u64), of_another: bool) {
        if self.named(name).is_some() {
            return;
        }
        let id = self.new_id();
        let pinned = (0..u32::try_from(cores).unwrap().min(self.cores)).collect();
        let labels = [(LABEL_MANAGED, "true"), (LABEL_OWNER, "another")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            image: "theirs".to_owned(),
            labels: labels.into_iter().filter(|_| of_another).collect(),
            ports: Vec::new(),
            fixed: Default::default(),
            addresses: std::collections::BTreeMap::new(),
            limits: Limits {
                cpu: CpuLimit::Cores(mapek::model::CoreSet(pinned)),
                memory,
            },
            state: Doing::Running,
            healthy_at: None,
            checked: false,
            restarts: 0,
            back_at: None,
            whose: Whose::Theirs(now),
        };
        self.containers.insert(id, container);
    }

    /// All foreign containers are removed.
    pub fn others_leave(&mut self) {
        self.containers
            .retain(|_, container| matches!(container.whose, Whose::Ours | Whose::Forgotten(_)));
    }

    /// The record that says whose containers these are is lost.
    pub fn forget(&mut self, now: Duration) {
        self.disturb(now);
        for container in self.containers.values_mut().filter(|container| container.ours()) {
            container.whose = Whose::Forgotten(now);
        }
    }

    /// Somebody renames a container, and owns it from then on.
    fn rename(&mut self, now: Duration, id: &str) {
        if let Some(container) = self.containers.get_mut(id) {
            container.name = format!("{}-{id}", container.name);
            container.whose = Whose::Renamed(now);
        }
    }
}
