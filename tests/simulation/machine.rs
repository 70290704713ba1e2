//! One simulated VM with its engine: what a Docker daemon does to each request, and no more.

use std::collections::BTreeMap;
use std::time::Duration;

use mapek::engine::{ContainerSpec, CpuLimit, LABEL_MANAGED, Observed, State, successor};

use crate::calls::{Answer, Call, Deed, Found, Refusal, missing, words};
use crate::container::{Container, Exec, Whose};
use crate::mishap::Armed;

/// What somebody did this long ago may have interfered with what is done now.
const SOON: Duration = Duration::from_secs(10);

/// A VM.
#[derive(Debug)]
pub struct Machine {
    pub name: String,
    pub ip: String,
    pub cores: u32,
    pub mem: u64,
    pub containers: BTreeMap<String, Container>,
    pub execs: BTreeMap<u64, Exec>,
    pub armed: Vec<Armed>,
    /// Answers nothing, but keeps requests.
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
    /// The state in which it may come back.
    pub backup: Option<BTreeMap<String, Container>>,
    /// When anybody other than `mapek` last changed something here.
    pub disturbed: Duration,
    /// When somebody last looked here and saw nothing.
    pub unseen: Duration,
    made: u64,
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
            backup: None,
            disturbed: Duration::ZERO,
            unseen: Duration::ZERO,
            made: 0,
        }
    }

    pub fn up(&self, now: Duration) -> bool {
        self.down_until <= now && self.off_until <= now
    }

    /// What changes with time alone.
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

    pub fn new_id(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.name, self.made)
    }

    pub fn named(&self, name: &str) -> Option<&Container> {
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
                health: container.health(now, self.sick_until > now || container.image.ends_with(":sick")),
                cpuset,
                nano_cpus,
                memory: limits.memory,
                memory_swap: i64::try_from(limits.memory).unwrap(),
                fixed: container.fixed,
                exit_code: (!holds).then_some(0),
                labels: container.labels.clone(),
                ports: if holds {
                    container.ports.clone()
                } else {
                    Vec::new()
                },
                addresses: Some(container.addresses.clone()),
            },
        }
    }

    /// Does what a request asks. `soon` is how long a container takes to become healthy.
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
            Call::Image(image) if image.ends_with(":gone") => {
                Err(Refusal(404, format!("manifest for {image} not found")))
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
                let next = self.named(&successor(&name));
                if next.is_some_and(|next| !next.is_up(now)) && self.disturbed + SOON < now {
                    deed.bereft = Some(name.clone());
                }
                self.containers.remove(id);
                self.execs.retain(|_, exec| exec.container != *id);
                deed.text = format!("{name} removed");
                Ok(Answer::Done)
            }
            Call::Update(id, limits) => {
                let container = self.change(id, deed)?;
                container.limits = limits.clone();
                deed.text = format!("{} limited to {}", container.name, words(limits));
                deed.fuller = Some(container.name.clone());
                Ok(Answer::Done)
            }
            Call::Rename(id, name) => {
                let taken = self.named(name).map(|other| other.id.clone());
                let container = self.change(id, deed)?;
                if taken.is_some_and(|other| other != *id) {
                    return Err(Refusal(409, format!("the name {name} is in use")));
                }
                deed.text = format!("{} renamed to {name}", container.name);
                container.name = name.clone();
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
        let sent = deed.sent;
        let container = self.containers.get_mut(id).ok_or_else(|| missing(id))?;
        if !container.whose.may_be_touched(sent) {
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
            addresses: spec.extra_hosts.iter().cloned().collect(),
            limits: spec.limits.clone(),
            fixed: spec.fixed,
            state: State::Created,
            healthy_at: spec.healthcheck.is_some().then_some(None),
            checked: spec.healthcheck.is_some(),
            restarts: 0,
            back_at: None,
            whose: Whose::Ours,
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
        let takes_over = self
            .containers
            .get(id)
            .is_some_and(|next| next.takes_over(self.containers.values()));
        let container = self.change(id, deed)?;
        let crash = crash || container.image.ends_with(":bad");
        if taken {
            return Err(Refusal(500, "port is already allocated".to_owned()));
        }
        if container.state == State::Paused {
            return Err(Refusal(409, "is paused".to_owned()));
        }
        if container.state != State::Running {
            deed.fresh = container.state == State::Created && !takes_over;
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
            deed.fuller = Some(container.name.clone());
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
