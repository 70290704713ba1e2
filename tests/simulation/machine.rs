//! One simulated VM with its engine: what a Docker daemon does to each request, and no more.

use std::collections::BTreeMap;
use std::time::Duration;

use mapek::engine::{ContainerSpec, CpuLimit, Health, LABEL_MANAGED, Limits, Observed, State};
use mapek::model::topology::PortBinding;

/// A request to an engine, as Docker has them.
#[derive(Clone, Debug)]
pub enum Call {
    Info,
    List,
    Inspect(String),
    Image(String),
    Create(Box<ContainerSpec>, BTreeMap<String, String>),
    Start(String),
    Stop(String),
    Unpause(String),
    Remove(String),
    Update(String, Limits),
    Unpack(String),
    Exec(String, Vec<String>),
    /// Whether a program runs in a container.
    Runs(String, String),
    ExecStart(u64),
    ExecAsk(u64),
    ExecKill(u64),
}

impl Call {
    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Info
                | Self::List
                | Self::Inspect(_)
                | Self::Image(_)
                | Self::Exec(..)
                | Self::Runs(..)
                | Self::ExecAsk(_)
        )
    }
}

/// What an engine answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Done,
    Machine,
    Containers(Vec<Found>),
    Image(Option<String>),
    Exec(u64),
    Runs(bool),
    /// How a command ended; None while it runs.
    Ended(Option<i64>),
    /// A command that is still to be started.
    Waiting,
}

/// A container with what the list does not tell.
#[derive(Clone, Debug)]
pub struct Found {
    pub seen: Observed,
    pub restarts: i64,
}

/// A status and words.
#[derive(Clone, Debug)]
pub struct Refusal(pub u16, pub String);

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub ports: Vec<PortBinding>,
    pub limits: Limits,
    pub state: State,
    /// When its health check passes first; None without one.
    healthy_at: Option<Option<Duration>>,
    checked: bool,
    pub restarts: i64,
    /// When the engine has it running again.
    back_at: Option<Duration>,
    /// Somebody made it who is not `mapek`, at this time.
    pub foreign_since: Option<Duration>,
}

impl Container {
    pub fn ours(&self) -> bool {
        self.foreign_since.is_none()
    }

    /// Whether it holds what it was given.
    pub fn holds(&self) -> bool {
        matches!(self.state, State::Running | State::Paused | State::Restarting)
    }

    fn health(&self, now: Duration, sick: bool) -> Option<Health> {
        if !self.checked || self.state != State::Running {
            return None;
        }
        if sick {
            return Some(Health::Unhealthy);
        }
        match self.healthy_at.flatten() {
            Some(at) if at <= now => Some(Health::Healthy),
            _ => Some(Health::Starting),
        }
    }
}

/// A command in a container.
#[derive(Clone, Debug)]
pub struct Exec {
    container: String,
    pub argv: Vec<String>,
    started: Option<Duration>,
    ends: Duration,
    code: i64,
    gone: bool,
}

impl Exec {
    fn runs(&self, container: &str, program: &str, now: Duration) -> bool {
        self.container == container
            && self.argv[0] == program
            && self.started.is_some()
            && !self.gone
            && self.ends > now
    }
}

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

/// A VM.
#[derive(Debug)]
pub struct Machine {
    pub name: String,
    pub ip: String,
    pub cores: u32,
    pub mem: u64,
    pub containers: BTreeMap<String, Container>,
    execs: BTreeMap<u64, Exec>,
    pub armed: Vec<Armed>,
    /// Answers nothing, and remembers.
    pub frozen_until: Duration,
    /// Refuses connections.
    pub down_until: Duration,
    /// Nothing is there.
    pub off_until: Duration,
    /// Containers fail their health checks.
    pub sick_until: Duration,
    /// Containers end as soon as they are started.
    pub crash_until: Duration,
    /// Hooks fail.
    pub hooks_fail_until: Duration,
    /// Hooks take this long.
    pub hooks_slow: (Duration, Duration),
    /// When anything but `mapek` last changed something here, or kept it from being seen.
    pub disturbed: Duration,
    made: u64,
}

/// What a call changed, for whoever checks.
#[derive(Clone, Debug, Default)]
pub struct Deed {
    /// For the trace.
    pub text: String,
    /// A container may hold more now.
    pub fuller: bool,
    /// A container was started for the first time.
    pub fresh: bool,
    /// It was done to a container that is not `mapek`'s.
    pub trespass: Option<String>,
    /// A hook was started beside itself.
    pub twice: Option<String>,
}

impl Machine {
    pub fn new(name: &str, ip: &str, cores: u32, mem: u64) -> Self {
        Self {
            name: name.to_owned(),
            ip: ip.to_owned(),
            cores,
            mem,
            containers: BTreeMap::new(),
            execs: BTreeMap::new(),
            armed: Vec::new(),
            frozen_until: Duration::ZERO,
            down_until: Duration::ZERO,
            off_until: Duration::ZERO,
            sick_until: Duration::ZERO,
            crash_until: Duration::ZERO,
            hooks_fail_until: Duration::ZERO,
            hooks_slow: (Duration::ZERO, Duration::ZERO),
            disturbed: Duration::ZERO,
            made: 0,
        }
    }

    pub fn up(&self, now: Duration) -> bool {
        self.down_until <= now && self.off_until <= now
    }

    /// What time alone brings.
    pub fn age(&mut self, now: Duration) {
        if !self.up(now) {
            return;
        }
        for container in self.containers.values_mut() {
            if container.back_at.is_some_and(|at| at <= now) {
                container.back_at = None;
                container.state = State::Running;
                container.healthy_at = container.healthy_at.map(|_| Some(now));
            }
        }
    }

    /// Ends all containers; each comes back by itself once the engine is up, or does not.
    pub fn end_all(&mut self, at: Duration, mut comes_back: impl FnMut() -> bool) {
        self.execs.clear();
        for container in self.containers.values_mut().filter(|container| container.holds()) {
            container.state = State::Exited;
            container.back_at = comes_back().then_some(at);
        }
    }

    /// The process of a container ends, and the engine starts it again.
    pub fn crash(&mut self, id: &str, back_at: Duration) {
        self.execs.retain(|_, exec| exec.container != id);
        if let Some(container) = self
            .containers
            .get_mut(id)
            .filter(|container| container.state == State::Running)
        {
            container.state = State::Restarting;
            container.restarts += 1;
            container.back_at = Some(back_at);
        }
    }

    /// Somebody else has a hand in what is here, until then.
    pub fn disturb(&mut self, until: Duration) {
        self.disturbed = self.disturbed.max(until);
    }

    /// Somebody else starts a container, where no other has its name.
    pub fn put_foreign(&mut self, now: Duration, name: &str, cores: u64, memory: u64) {
        if self.named(name).is_some() {
            return;
        }
        let id = self.new_id();
        let pinned = (0..u32::try_from(cores).unwrap().min(self.cores)).collect();
        let container = Container {
            id: id.clone(),
            name: name.to_owned(),
            image: "theirs".to_owned(),
            labels: BTreeMap::new(),
            ports: Vec::new(),
            limits: Limits {
                cpu: CpuLimit::Cores(mapek::model::CoreSet(pinned)),
                memory,
            },
            state: State::Running,
            healthy_at: None,
            checked: false,
            restarts: 0,
            back_at: None,
            foreign_since: Some(now),
        };
        self.containers.insert(id, container);
    }

    fn new_id(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.name, self.made)
    }

    fn named(&self, name: &str) -> Option<&Container> {
        self.containers
            .get(name)
            .or_else(|| self.containers.values().find(|container| container.name == name))
    }

    fn found(&self, container: &Container, now: Duration) -> Found {
        let limits = &container.limits;
        let (cpuset, nano_cpus) = match &limits.cpu {
            CpuLimit::Cores(cores) => (cores.to_string(), 0),
            CpuLimit::Quota(cpu) => (String::new(), cpu.nanos()),
        };
        let holds = container.holds();
        Found {
            restarts: container.restarts,
            seen: Observed {
                name: container.name.clone(),
                id: container.id.clone(),
                managed: container.labels.contains_key(LABEL_MANAGED),
                image: container.image.clone(),
                state: container.state,
                health: container.health(now, self.sick_until > now),
                cpuset,
                nano_cpus,
                memory: limits.memory,
                memory_swap: i64::try_from(limits.memory).unwrap(),
                exit_code: (!holds).then_some(0),
                labels: container.labels.clone(),
                ports: if holds {
                    container.ports.clone()
                } else {
                    Vec::new()
                },
            },
        }
    }

    /// Does what is asked. `soon` is how long a container takes to become healthy.
    pub fn apply(
        &mut self,
        now: Duration,
        soon: Duration,
        call: &Call,
        deed: &mut Deed,
    ) -> Result<Answer, Refusal> {
        match call {
            Call::Info => Ok(Answer::Machine),
            Call::List => {
                let found = self
                    .containers
                    .values()
                    .map(|container| self.found(container, now));
                Ok(Answer::Containers(found.collect()))
            }
            Call::Inspect(name) => {
                let found = self.named(name).map(|container| self.found(container, now));
                Ok(Answer::Containers(found.into_iter().collect()))
            }
            Call::Image(image) => Ok(Answer::Image(Some(format!("sha256:{image}")))),
            Call::Create(spec, labels) => self.create(spec, labels, deed),
            Call::Start(id) => self.start(now, soon, id, deed),
            Call::Stop(id) => {
                let container = self.change(id, deed)?;
                if container.holds() {
                    container.state = State::Exited;
                    container.back_at = None;
                    deed.text = format!("{} stopped", container.name);
                }
                self.execs.retain(|_, exec| exec.container != *id);
                Ok(Answer::Done)
            }
            Call::Unpause(id) => {
                let container = self.change(id, deed)?;
                if container.state != State::Paused {
                    return Err(Refusal(409, "is not paused".to_owned()));
                }
                container.state = State::Running;
                deed.text = format!("{} unpaused", container.name);
                Ok(Answer::Done)
            }
            Call::Remove(id) => {
                let name = self.change(id, deed)?.name.clone();
                self.containers.remove(id);
                self.execs.retain(|_, exec| exec.container != *id);
                deed.text = format!("{name} removed");
                Ok(Answer::Done)
            }
            Call::Update(id, limits) => {
                let container = self.change(id, deed)?;
                container.limits = limits.clone();
                deed.text = format!("{} limited to {}", container.name, words(limits));
                deed.fuller = true;
                Ok(Answer::Done)
            }
            Call::Unpack(name) => match self.named(name) {
                Some(_) => Ok(Answer::Done),
                None => Err(missing(name)),
            },
            Call::Exec(id, argv) => self.exec(id, argv, now),
            Call::Runs(id, program) => {
                let runs = self.execs.values().any(|exec| exec.runs(id, program, now));
                Ok(Answer::Runs(runs))
            }
            Call::ExecStart(id) => self.exec_start(*id, now, deed),
            Call::ExecAsk(id) => {
                let exec = self
                    .execs
                    .get(id)
                    .ok_or_else(|| Refusal(404, "no such exec".to_owned()))?;
                if exec.started.is_none() {
                    return Ok(Answer::Waiting);
                }
                let ended = exec.gone || exec.ends <= now;
                Ok(Answer::Ended(ended.then_some(if exec.gone {
                    137
                } else {
                    exec.code
                })))
            }
            Call::ExecKill(id) => {
                let exec = self
                    .execs
                    .get_mut(id)
                    .ok_or_else(|| Refusal(404, "no such exec".to_owned()))?;
                exec.gone = true;
                deed.text = format!("{} killed", exec.argv[0]);
                Ok(Answer::Done)
            }
        }
    }

    /// A container that is about to be changed.
    fn change(&mut self, id: &str, deed: &mut Deed) -> Result<&mut Container, Refusal> {
        let container = self.containers.get_mut(id).ok_or_else(|| missing(id))?;
        if !container.ours() {
            deed.trespass = Some(container.name.clone());
        }
        Ok(container)
    }

    fn create(
        &mut self,
        spec: &ContainerSpec,
        labels: &BTreeMap<String, String>,
        deed: &mut Deed,
    ) -> Result<Answer, Refusal> {
        if self.named(&spec.name).is_some() {
            return Err(Refusal(409, format!("the name {} is in use", spec.name)));
        }
        let id = self.new_id();
        deed.text = format!("{} created with {}", spec.name, words(&spec.limits));
        let container = Container {
            id: id.clone(),
            name: spec.name.clone(),
            image: spec.image.clone(),
            labels: labels.clone(),
            ports: spec.ports.clone(),
            limits: spec.limits.clone(),
            state: State::Created,
            healthy_at: spec.healthcheck.is_some().then_some(None),
            checked: spec.healthcheck.is_some(),
            restarts: 0,
            back_at: None,
            foreign_since: None,
        };
        self.containers.insert(id, container);
        Ok(Answer::Done)
    }

    fn start(&mut self, now: Duration, soon: Duration, id: &str, deed: &mut Deed) -> Result<Answer, Refusal> {
        let ports = self.containers.get(id).ok_or_else(|| missing(id))?.ports.clone();
        let taken = self.containers.values().any(|other| {
            other.id != id
                && other.holds()
                && ports
                    .iter()
                    .any(|port| other.ports.iter().any(|theirs| theirs.conflicts(port)))
        });
        let crash = self.crash_until > now;
        let container = self.change(id, deed)?;
        if taken {
            return Err(Refusal(500, "port is already allocated".to_owned()));
        }
        if container.state == State::Paused {
            return Err(Refusal(409, "is paused".to_owned()));
        }
        if container.state != State::Running {
            deed.fresh = container.state == State::Created;
            container.restarts = 0;
            container.back_at = None;
            container.healthy_at = container.healthy_at.map(|_| Some(now + soon));
            container.state = if crash {
                container.restarts = 1;
                container.back_at = Some(now + Duration::from_secs(1));
                State::Restarting
            } else {
                State::Running
            };
            deed.text = format!(
                "{} started{}",
                container.name,
                if crash { ", and crashes" } else { "" }
            );
            deed.fuller = true;
        }
        Ok(Answer::Done)
    }

    fn exec(&mut self, id: &str, argv: &[String], now: Duration) -> Result<Answer, Refusal> {
        let container = self.containers.get(id).ok_or_else(|| missing(id))?;
        if container.state != State::Running {
            return Err(Refusal(409, format!("{} is not running", container.name)));
        }
        self.made += 1;
        let code = i64::from(self.hooks_fail_until > now);
        let exec = Exec {
            container: id.to_owned(),
            argv: argv.to_vec(),
            started: None,
            ends: now,
            code,
            gone: false,
        };
        self.execs.insert(self.made, exec);
        Ok(Answer::Exec(self.made))
    }

    fn exec_start(&mut self, id: u64, now: Duration, deed: &mut Deed) -> Result<Answer, Refusal> {
        let exec = self
            .execs
            .get(&id)
            .ok_or_else(|| Refusal(404, "no such exec".to_owned()))?;
        if exec.started.is_some() {
            return Err(Refusal(409, "the exec was started before".to_owned()));
        }
        let (container, program) = (exec.container.clone(), exec.argv[0].clone());
        let beside = self
            .execs
            .values()
            .any(|other| other.runs(&container, &program, now));
        let name = self
            .containers
            .get(&container)
            .map(|container| container.name.clone())
            .unwrap_or_default();
        if beside {
            deed.twice = Some(format!("{program} in {name}"));
        }
        let (until, each) = self.hooks_slow;
        let takes = if until > now {
            each
        } else {
            Duration::from_millis(50)
        };
        deed.text = format!("{program} runs in {name}");
        let exec = self.execs.get_mut(&id).unwrap();
        exec.started = Some(now);
        exec.ends = now + takes;
        Ok(Answer::Done)
    }
}

fn missing(name: &str) -> Refusal {
    Refusal(404, format!("no such container: {name}"))
}

pub fn words(limits: &Limits) -> String {
    let memory = limits.memory >> 20;
    match &limits.cpu {
        CpuLimit::Cores(cores) => format!("cores {cores} and {memory} MiB"),
        CpuLimit::Quota(cpu) => format!("{cpu} cores and {memory} MiB"),
    }
}
