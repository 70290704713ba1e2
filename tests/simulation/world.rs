//! The simulated world: machines, a cloud, a disk, and virtual time. It outlives the services that
//! are killed in it.
//!
//! Requests are queued with the time at which they take effect, and everything that looks settles
//! first what is due. So a request of a service that was killed meanwhile has its effect all the
//! same, as a real engine's would.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use mapek::engine::LABEL_OWNER;
use mapek::outside::Outside;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::agent::Agent;
use crate::calls::{Answer, Call, Deed, Refusal};
use crate::checks::Checks;
use crate::container::Whose;
use crate::dice::Dice;
use crate::group::Group;
use crate::machine::Machine;
use crate::story::{CloudKind, Setting};
use crate::trace::Trace;

/// How a request came out. `Broken` is a connection that breaks before anything is done.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer(Answer),
    Refused(Refusal),
    Broken,
}

type Slot = Arc<Mutex<Option<Reply>>>;

/// A request on its way.
struct Request {
    machine: String,
    call: Call,
    sent: Duration,
    slot: Slot,
}

/// What the world holds.
pub struct State {
    /// The story's time at which this life of the service began.
    base: Duration,
    life: Option<Instant>,
    wall_step: i64,
    pub dice: Dice,
    pub machines: BTreeMap<String, Machine>,
    pub group: Option<Group>,
    /// The agents of machines that register themselves.
    pub agents: BTreeMap<String, Agent>,
    queue: BTreeMap<(Duration, u64), Request>,
    count: u64,
    /// The service is killed: nothing that it does counts any more.
    pub dead: bool,
    steps: u64,
    kill_at: Option<u64>,
    pub disk_full_until: Duration,
    pub hooks_away_until: Duration,
    /// Whose record it is that the service has, and whose were lost before.
    pub owner: Option<Uuid>,
    pub lost_owners: Vec<Uuid>,
    pub trace: Trace,
    pub checks: Checks,
    pub violation: Option<String>,
}

/// A handle to the world.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    /// Tells the story's teller that the service was killed, or a promise broken.
    pub over: Arc<Notify>,
}

/// Nobody begins before this.
const EPOCH_S: i64 = 1_790_000_000;

impl World {
    pub fn new(seed: u64, setting: &Setting, kept: bool) -> Self {
        let mut machines = BTreeMap::new();
        if let CloudKind::Hosts(count) | CloudKind::Nodes(count) = setting.cloud {
            for number in 1..=count {
                let (name, ip) = (format!("vm{number}"), format!("10.0.0.{number}"));
                machines.insert(name.clone(), Machine::new(&name, &ip, setting.cores, setting.mem));
            }
        }
        let mut group = None;
        if let CloudKind::Group { min, max, start } = setting.cloud {
            let mut made = Group::new(min, max, setting.cores, setting.mem);
            made.start(start, &mut machines);
            group = Some(made);
        }
        let agents = match setting.cloud {
            CloudKind::Nodes(_) => machines
                .keys()
                .map(|name| (name.clone(), Agent::default()))
                .collect(),
            CloudKind::Hosts(_) | CloudKind::Group { .. } => BTreeMap::new(),
        };
        let state = State {
            base: Duration::ZERO,
            life: None,
            wall_step: 0,
            dice: Dice::new(seed ^ 0x5eed_0fc4_a2ce),
            machines,
            group,
            agents,
            queue: BTreeMap::new(),
            count: 0,
            dead: true,
            steps: 0,
            kill_at: None,
            disk_full_until: Duration::ZERO,
            hooks_away_until: Duration::ZERO,
            owner: None,
            lost_owners: Vec::new(),
            trace: Trace::new(kept),
            checks: Checks::default(),
            violation: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            over: Arc::default(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A service begins to live, on the runtime of the caller.
    pub fn begin_life(&self) {
        let mut state = self.lock();
        state.life = Some(Instant::now());
        state.dead = false;
        state.kill_at = None;
        state.checks.new_life();
    }

    /// The service is gone.
    pub fn end_life(&self) {
        let mut state = self.lock();
        state.base = state.now();
        state.life = None;
        state.dead = true;
        state.kill_at = None;
    }

    /// Time passes while no service lives.
    pub fn pass_until(&self, at: Duration) {
        let mut state = self.lock();
        state.base = state.base.max(at);
        state.settle();
    }

    pub fn now(&self) -> Duration {
        self.lock().now()
    }

    /// One more moment at which the service may be killed. Nothing follows where it is.
    pub async fn step(&self) {
        if self.lock().is_killed(&self.over) {
            pending::<()>().await;
        }
    }

    pub fn kill_after(&self, steps: u64) {
        let mut state = self.lock();
        state.kill_at = Some(state.steps + steps);
    }

    pub fn note(&self, line: &str) {
        self.lock().note(line);
    }

    pub fn broken(&self, promise: String) {
        let mut state = self.lock();
        state.broken(promise);
        self.over.notify_one();
    }

    /// Sends a request to a machine and waits until it has its effect, or breaks.
    pub async fn send(&self, machine: &str, call: Call, travel: Duration) -> Reply {
        let slot = Slot::default();
        let mut at = {
            let mut state = self.lock();
            let at = state.now() + travel;
            let request = Request {
                machine: machine.to_owned(),
                call,
                sent: state.now(),
                slot: Arc::clone(&slot),
            };
            state.enqueue(at, request);
            at
        };
        loop {
            let pause = at.saturating_sub(self.now());
            tokio::time::sleep(pause).await;
            let mut state = self.lock();
            state.settle();
            if state.violation.is_some() {
                self.over.notify_one();
            }
            let reply = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            match reply {
                Some(reply) => return reply,
                None => at = (state.now() + Duration::from_millis(1)).max(state.thaws(machine)),
            }
        }
    }
}

impl State {
    pub fn now(&self) -> Duration {
        self.base + self.life.map(|life| life.elapsed()).unwrap_or_default()
    }

    pub fn note(&mut self, line: &str) {
        let now = self.now();
        self.trace.note(now, line);
    }

    /// A promise was broken. The first counts.
    pub fn broken(&mut self, promise: String) {
        if self.violation.is_none() {
            self.note(&format!("BROKEN: {promise}"));
            self.violation = Some(promise);
        }
    }

    /// The service's record is gone, and with it all that it knew.
    pub fn lose_record(&mut self) {
        let now = self.now();
        for machine in self.machines.values_mut() {
            machine.forget(now);
        }
        self.checks.forget();
        self.lost_owners.extend(self.owner.take());
    }

    /// What an owner had made is the service's now.
    pub fn adopted(&mut self, owner: Uuid) {
        self.lost_owners.retain(|lost| *lost != owner);
        let now = self.now();
        for machine in self.machines.values_mut() {
            machine.disturb(now);
            for container in machine.containers.values_mut() {
                let of = container.labels.get(LABEL_OWNER);
                if matches!(container.whose, Whose::Forgotten(_)) && *of.unwrap() == owner.to_string() {
                    container.whose = Whose::Ours;
                }
            }
        }
    }

    pub fn step_wall_clock(&mut self, seconds: i64) {
        self.wall_step += seconds;
        if seconds >= 86_400 {
            self.checks.a_day_later();
        }
    }

    fn is_killed(&mut self, over: &Notify) -> bool {
        self.steps += 1;
        if !self.dead && self.kill_at.is_some_and(|at| at <= self.steps) {
            self.dead = true;
            self.note("the service is killed");
            over.notify_one();
        }
        self.dead
    }

    /// The same for work that can't wait: whether the service is killed now.
    pub fn step_here(&mut self, over: &Notify) -> bool {
        self.is_killed(over)
    }

    fn enqueue(&mut self, at: Duration, request: Request) {
        self.count += 1;
        self.queue.insert((at, self.count), request);
    }

    fn thaws(&self, machine: &str) -> Duration {
        self.machines
            .get(machine)
            .map_or(Duration::ZERO, |machine| machine.frozen_until)
    }

    /// Lets everything take effect that is due.
    pub fn settle(&mut self) {
        let now = self.now();
        while let Some(entry) = self.queue.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            let request = entry.remove();
            self.take_effect(at, request);
        }
        for machine in self.machines.values_mut() {
            machine.age(now);
        }
        if let Some(group) = &mut self.group {
            group.age(now, &mut self.machines, &mut self.dice, &mut self.trace);
        }
    }

    fn take_effect(&mut self, at: Duration, request: Request) {
        let soon = self.dice.millis(100, 3000);
        let Some(machine) = self.machines.get_mut(&request.machine) else {
            *request.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Reply::Broken);
            return;
        };
        machine.age(at);
        if machine.frozen_until > at {
            let later = machine.frozen_until;
            self.enqueue(later, request);
            return;
        }
        let mut deed = Deed {
            sent: request.sent,
            ..Deed::default()
        };
        let reply = if machine.up(at) {
            match machine.apply(at, soon, &request.call, &mut deed) {
                Ok(answer) => Reply::Answer(answer),
                Err(refusal) => Reply::Refused(refusal),
            }
        } else {
            Reply::Broken
        };
        *request.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
        if !deed.text.is_empty() {
            let line = format!("  {}: {}", request.machine, deed.text);
            self.trace.note(at, &line);
        }
        let broken = self.checks.deed(&self.machines[&request.machine], &deed);
        if let Some(promise) = broken {
            self.broken(promise);
        }
    }
}

#[async_trait]
impl Outside for World {
    fn now(&self) -> Timestamp {
        let state = self.lock();
        let now = state.now();
        let seconds = EPOCH_S + state.wall_step + i64::try_from(now.as_secs()).unwrap();
        Timestamp::new(seconds, i32::try_from(now.subsec_nanos()).unwrap()).unwrap()
    }

    /// As random as a real one, and ordered by the wall clock as a real one is.
    fn id(&self) -> Uuid {
        let millis = u64::try_from(Outside::now(self).as_millisecond()).unwrap();
        let bits = self.lock().dice.bits().to_le_bytes();
        let random: [u8; 10] = std::array::from_fn(|index| bits[index]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    fn chance(&self) -> f64 {
        self.lock().dice.fraction()
    }

    /// Here and now, but not before others had their turn: as on a thread of its own.
    async fn run(&self, _on: &Handle, work: Box<dyn FnOnce() + Send>) {
        self.pause().await;
        work();
        self.pause().await;
    }
}

impl World {
    async fn pause(&self) {
        self.step().await;
        let pause = {
            let dice = &mut self.lock().dice;
            dice.percent(20).then(|| dice.millis(1, 4))
        };
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => tokio::task::yield_now().await,
        }
    }
}
