//! A simulated Auto Scaling group. It starts and ends instances in its own time, and the real
//! driver calls it.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use mapek::cloud::autoscaling::{Addresses, Api, FailedLaunch, Group as Seen, Life, LifecycleHook, Member};
use mapek::cloud::{CloudError, CloudErrorKind};
use mapek::engine::Effect;

use crate::dice::Dice;
use crate::machine::Machine;
use crate::trace::Trace;
use crate::world::{State, World};

/// An instance.
struct Instance {
    member: Member,
    ip: String,
    /// When it is in service, or gone.
    turns_at: Duration,
}

/// The group.
pub struct Group {
    pub min: u32,
    max: u32,
    pub desired: u32,
    instances: BTreeMap<String, Instance>,
    cores: u32,
    mem: u64,
    made: u32,
    launch_at: Option<Duration>,
    /// The time up to which AWS has done its own work.
    aged: Duration,
    failed: Vec<FailedLaunch>,
    pub launches_fail_until: Duration,
    pub throttled_until: Duration,
    /// When AWS last took an instance away by itself; not before the story.
    pub reclaimed: Duration,
    pub loses_answers_until: Duration,
    pub breaks_until: Duration,
    /// Until when calls take longer, and by how much.
    pub slow: (Duration, Duration),
}

impl Group {
    pub fn new(min: u32, max: u32, cores: u32, mem: u64) -> Self {
        Self {
            min,
            max,
            desired: 0,
            instances: BTreeMap::new(),
            cores,
            mem,
            made: 0,
            launch_at: None,
            aged: Duration::ZERO,
            failed: Vec::new(),
            launches_fail_until: Duration::ZERO,
            throttled_until: Duration::ZERO,
            reclaimed: Duration::ZERO,
            loses_answers_until: Duration::ZERO,
            breaks_until: Duration::ZERO,
            slow: (Duration::ZERO, Duration::ZERO),
        }
    }

    /// The instances that are there from the beginning.
    pub fn start(&mut self, count: u32, machines: &mut BTreeMap<String, Machine>) {
        self.desired = count;
        for _ in 0..count {
            self.launch(Duration::ZERO, Duration::ZERO, machines);
        }
    }

    fn launch(
        &mut self,
        ready: Duration,
        engine_up: Duration,
        machines: &mut BTreeMap<String, Machine>,
    ) -> String {
        self.made += 1;
        let (id, ip) = (format!("i-{:04}", self.made), format!("10.1.0.{}", self.made));
        let member = Member {
            life: Life::of("Pending"),
            healthy: true,
            protected: false,
        };
        let mut machine = Machine::new(&id, &ip, self.cores, self.mem);
        machine.down_until = engine_up;
        machines.insert(id.clone(), machine);
        let instance = Instance {
            member,
            ip,
            turns_at: ready,
        };
        self.instances.insert(id.clone(), instance);
        id
    }

    /// Instances that are not about to be removed.
    pub fn staying(&self) -> impl Iterator<Item = &String> {
        let stays = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.member.stays());
        stays.map(|(id, _)| id)
    }

    /// AWS takes an instance away, and starts another in its place.
    pub fn reclaim(&mut self, number: usize, now: Duration) -> Option<String> {
        let ids: Vec<String> = self.staying().cloned().collect();
        let id = ids.get(number % ids.len().max(1))?.clone();
        self.end(&id, now);
        self.reclaimed = now + Duration::from_secs(60);
        Some(id)
    }

    fn end(&mut self, id: &str, now: Duration) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.member.life = Life::of("Terminating");
            instance.turns_at = now + Duration::from_secs(20);
        }
    }

    pub fn settled(&self) -> bool {
        u32::try_from(self.instances.len()).unwrap() == self.desired
            && self.instances.values().all(|instance| instance.member.serves())
    }

    /// What AWS does by itself, up to now.
    pub fn age(
        &mut self,
        now: Duration,
        machines: &mut BTreeMap<String, Machine>,
        dice: &mut Dice,
        trace: &mut Trace,
    ) {
        loop {
            let turns = self
                .instances
                .values()
                .filter(|one| one.member.life != Life::InService);
            let next = turns.map(|one| one.turns_at).chain(self.launch_at).min();
            match next.filter(|at| *at <= now) {
                Some(at) => self.turn(at.max(self.aged), machines, dice, trace),
                None => break,
            }
        }
        self.turn(now, machines, dice, trace);
        self.aged = now;
    }

    fn turn(
        &mut self,
        now: Duration,
        machines: &mut BTreeMap<String, Machine>,
        dice: &mut Dice,
        trace: &mut Trace,
    ) {
        let turning: Vec<String> = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.turns_at <= now && instance.member.life != Life::InService)
            .map(|(id, _)| id.clone())
            .collect();
        for id in turning {
            let Some(instance) = self.instances.get_mut(&id) else {
                continue;
            };
            if matches!(instance.member.life, Life::Leaving(_)) {
                trace.note(now, &format!("  {id} is gone"));
                self.instances.remove(&id);
                machines.remove(&id);
            } else {
                instance.member.life = Life::InService;
            }
        }
        if self.launch_at.is_some_and(|at| at <= now) {
            self.launch_at = None;
            if self.launches_fail_until > now {
                let reason = "We currently do not have sufficient capacity".to_owned();
                let at = i64::try_from(now.as_secs()).unwrap() + 1;
                self.failed.insert(0, FailedLaunch { at, reason });
                trace.note(now, "  a launch fails");
            } else {
                let ready = now + dice.millis(2_000, 40_000);
                let up = ready + dice.millis(0, 20_000);
                let id = self.launch(ready, up, machines);
                trace.note(now, &format!("  {id} is launched"));
            }
        }
        let staying = u32::try_from(self.staying().count()).unwrap();
        if staying > self.desired {
            let mut victims = self
                .instances
                .iter()
                .filter(|(_, one)| one.member.stays() && !one.member.protected);
            if let Some(id) = victims.next().map(|(id, _)| id.clone()) {
                trace.note(now, &format!("  AWS takes {id} away: there are too many"));
                self.end(&id, now);
            }
        }
        if staying >= self.desired {
            self.launch_at = None;
        } else if self.launch_at.is_none() {
            self.launch_at = Some(now + dice.millis(500, 15_000));
        }
    }
}

/// The calls of AWS.
pub struct SimulatedAws(pub World);

impl SimulatedAws {
    async fn call<T>(
        &self,
        changes: bool,
        call: impl FnOnce(&mut State, Duration) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        self.0.step().await;
        let pause = {
            let state = &mut *self.0.lock();
            let (now, pause) = (state.now(), state.dice.millis(10, 150));
            let slow = state.group.as_ref().map(|group| group.slow);
            let more = slow.filter(|(until, _)| *until > now).map(|(_, by)| by);
            pause + more.unwrap_or_default()
        };
        tokio::time::sleep(pause).await;
        self.0.step().await;
        let (answer, lost) = {
            let mut state = self.0.lock();
            state.settle();
            let now = state.now();
            let group = state.group.as_ref();
            if group.is_some_and(|group| group.throttled_until > now) {
                return Err(error(
                    CloudErrorKind::Failing,
                    Effect::None,
                    "Throttling: Rate exceeded",
                ));
            }
            if group.is_some_and(|group| group.breaks_until > now) {
                return Err(broken(changes));
            }
            let lost = group.is_some_and(|group| group.loses_answers_until > now);
            let answer = call(&mut state, now);
            state.settle();
            (answer, lost)
        };
        self.0.step().await;
        if lost {
            return Err(broken(changes));
        }
        answer
    }

    async fn change(
        &self,
        line: String,
        change: impl FnOnce(&mut Group, Duration) -> Result<(), CloudError>,
    ) -> Result<(), CloudError> {
        let call = |state: &mut State, now| {
            state.note(&format!("  AWS: {line}"));
            change(group(state)?, now)
        };
        self.call(true, call).await
    }
}

/// A connection broke: the caller can't know whether that was before or after the effect.
fn broken(changes: bool) -> CloudError {
    let effect = if changes { Effect::Unknown } else { Effect::None };
    error(CloudErrorKind::Unreachable, effect, "connection reset by peer")
}

fn group(state: &mut State) -> Result<&mut Group, CloudError> {
    let missing = || {
        error(
            CloudErrorKind::Misconfigured,
            Effect::None,
            "there is no such group",
        )
    };
    state.group.as_mut().ok_or_else(missing)
}

fn error(kind: CloudErrorKind, effect: Effect, message: &str) -> CloudError {
    CloudError {
        message: message.to_owned(),
        kind,
        effect,
    }
}

#[async_trait]
impl Api for SimulatedAws {
    async fn group(&self) -> Result<Seen, CloudError> {
        let call = |state: &mut State, _| {
            let group = group(state)?;
            let members = group
                .instances
                .iter()
                .map(|(id, one)| (id.clone(), one.member.clone()));
            Ok(Seen {
                min: group.min,
                max: group.max,
                desired: group.desired,
                members: members.collect(),
                ..Seen::default()
            })
        };
        self.call(false, call).await
    }

    async fn addresses(&self, instances: &[String]) -> Result<BTreeMap<String, Addresses>, CloudError> {
        let call = |state: &mut State, _| {
            let group = group(state)?;
            let known = instances.iter().filter_map(|id| {
                let ip = group.instances.get(id)?.ip.clone();
                let addresses = Addresses {
                    private_ip: Some(ip),
                    ..Addresses::default()
                };
                Some((id.clone(), addresses))
            });
            Ok(known.collect())
        };
        self.call(false, call).await
    }

    async fn set_desired(&self, capacity: u32) -> Result<(), CloudError> {
        let change = |group: &mut Group, _| {
            if capacity > group.max || capacity < group.min {
                return Err(error(
                    CloudErrorKind::Refused,
                    Effect::None,
                    "ValidationError: capacity",
                ));
            }
            group.desired = capacity;
            Ok(())
        };
        self.change(format!("desired capacity {capacity}"), change).await
    }

    async fn set_max(&self, max: u32) -> Result<(), CloudError> {
        let change = |group: &mut Group, _| {
            group.max = max;
            Ok(())
        };
        self.change(format!("MaxSize {max}"), change).await
    }

    async fn protect(&self, instances: &[String], protected: bool) -> Result<(), CloudError> {
        let change = |group: &mut Group, _| {
            for id in instances {
                match group.instances.get_mut(id) {
                    Some(instance) if instance.member.serves() => instance.member.protected = protected,
                    _ => {
                        return Err(error(
                            CloudErrorKind::Refused,
                            Effect::None,
                            "ValidationError: not in service",
                        ));
                    }
                }
            }
            Ok(())
        };
        self.change(format!("protection of {instances:?} {protected}"), change)
            .await
    }

    async fn terminate(&self, instance: &str, decrement: bool) -> Result<(), CloudError> {
        let change = |group: &mut Group, now| {
            let stays = group
                .instances
                .get(instance)
                .is_some_and(|one| one.member.stays());
            if !stays || (decrement && group.desired <= group.min) {
                return Err(error(
                    CloudErrorKind::Refused,
                    Effect::None,
                    "ValidationError: instance",
                ));
            }
            group.end(instance, now);
            group.desired -= u32::from(decrement);
            Ok(())
        };
        self.change(format!("terminate {instance}, decrement {decrement}"), change)
            .await
    }

    async fn hooks(&self) -> Result<Vec<LifecycleHook>, CloudError> {
        self.call(false, |_, _| Ok(Vec::new())).await
    }

    async fn rivals(&self) -> Result<Vec<String>, CloudError> {
        self.call(false, |_, _| Ok(Vec::new())).await
    }

    async fn failed_launches(&self) -> Result<Vec<FailedLaunch>, CloudError> {
        self.call(false, |state, _| Ok(group(state)?.failed.clone()))
            .await
    }
}
