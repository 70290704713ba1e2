//! The engines of the simulated machines, used as by the Docker driver: the same steps in the same
//! order, with the same statements about what may have happened.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mapek::engine::{
    Command, ContainerSpec, Effect, Engine, EngineError, EngineErrorKind, Engines, Finished, Health,
    Identity, LABEL_APP, LABEL_MANAGED, LABEL_OWNER, LABEL_REVISION, LABEL_SPEC, LABEL_TIER, Limits, Machine,
    Observed, Owners, RunId, State, Tell, Wanted, successor,
};
use mapek::model::Handover;
use mapek::model::topology::Tls;
use tokio::time::{Instant, sleep};

use crate::calls::{Answer, Call, Found};
use crate::connection::ANSWER;
use crate::story::UNIT_MB;
use crate::world::World;

/// How long a container may take to become healthy.
const HEALTH: Duration = Duration::from_secs(120);
/// How long a started container must stay up.
const SETTLE: Duration = Duration::from_millis(250);
const GRACE: Duration = Duration::from_secs(10);
const ROUNDS: usize = 5;

pub struct SimulatedEngines {
    pub world: World,
    pub owners: Owners,
}

impl Engines for SimulatedEngines {
    fn at(&self, endpoint: &str, _tls: Option<&Tls>) -> Result<Arc<dyn Engine>, EngineError> {
        let ip = endpoint.trim_start_matches("tcp://").split(':').next().unwrap();
        Ok(Arc::new(SimulatedEngine {
            world: self.world.clone(),
            owners: self.owners.clone(),
            ip: ip.to_owned(),
            endpoint: endpoint.to_owned(),
        }))
    }

    fn owners(&self) -> Owners {
        self.owners.clone()
    }
}

pub struct SimulatedEngine {
    pub world: World,
    owners: Owners,
    pub ip: String,
    endpoint: String,
}

impl SimulatedEngine {
    pub fn error(&self, kind: EngineErrorKind, effect: Effect, message: impl Into<String>) -> EngineError {
        EngineError {
            endpoint: self.endpoint.clone(),
            message: message.into(),
            kind,
            effect,
        }
    }

    async fn one(&self, name: &str) -> Result<Option<Found>, EngineError> {
        match self.call(Call::Inspect(name.to_owned())).await? {
            Answer::Containers(found) => Ok(found.into_iter().next().map(|found| self.told(found))),
            _ => unreachable!("an inspection is answered with a container"),
        }
    }

    /// What an engine tells, with whose it is.
    fn told(&self, mut found: Found) -> Found {
        let seen = &mut found.seen;
        seen.managed = self.owners.own_container(&seen.id, &seen.labels);
        self.owners.tidy(&mut seen.labels);
        found
    }

    fn foreign(&self, name: &str) -> EngineError {
        let message = format!("there is a container '{name}' that mapek did not make");
        self.error(EngineErrorKind::Foreign, Effect::None, message)
    }

    pub async fn ours(&self, name: &str) -> Result<Found, EngineError> {
        match self.one(name).await? {
            None => Err(self.error(
                EngineErrorKind::Missing,
                Effect::None,
                format!("there is no container '{name}'"),
            )),
            Some(found) if !found.seen.managed => Err(self.foreign(name)),
            Some(found) => Ok(found),
        }
    }

    async fn one_of_ours(&self, name: &str) -> Result<Option<Found>, EngineError> {
        match self.one(name).await? {
            Some(found) if !found.seen.managed => Err(self.foreign(name)),
            found => Ok(found),
        }
    }

    /// Creates a container under a name: its own, or one that it has until its predecessor is gone.
    async fn create(&self, spec: &ContainerSpec, name: &str) -> Result<(), EngineError> {
        let wanted = Wanted::named(&spec.image, None);
        self.ensure_image(&wanted, &|_| {}).await?;
        let under = ContainerSpec {
            name: name.to_owned(),
            ..spec.clone()
        };
        let labels = labels(spec, self.owners.own());
        match self.call(Call::Create(Box::new(under), labels)).await {
            Err(failed) if failed.status != Some(409) => Err(failed.error),
            _ => Ok(()),
        }
    }

    async fn rename(&self, next: &Found, name: &str) -> Result<(), EngineError> {
        let call = Call::Rename(next.seen.id.clone(), name.to_owned());
        let Err(failed) = self.call(call).await else {
            return Ok(());
        };
        if matches!(failed.status, Some(404 | 409)) {
            return Ok(());
        }
        match self.one(&next.seen.id).await {
            Ok(Some(now)) if now.seen.name == name => Ok(()),
            _ => Err(failed.error),
        }
    }

    async fn remove(&self, found: &Found) -> Result<(), EngineError> {
        let seen = &found.seen;
        if matches!(seen.state, State::Running | State::Paused | State::Restarting) {
            self.stop(found).await?;
        }
        match self.call(Call::Remove(seen.id.clone())).await {
            Ok(_) => Ok(()),
            Err(failed) if failed.status == Some(404) => Ok(()),
            Err(failed) => Err(failed.error),
        }
    }

    async fn stop(&self, found: &Found) -> Result<(), EngineError> {
        match self
            .call_within(Call::Stop(found.seen.id.clone()), ANSWER + GRACE)
            .await
        {
            Ok(_) => Ok(()),
            Err(failed) if failed.status == Some(404) => Ok(()),
            Err(failed) => Err(failed.error),
        }
    }

    async fn start(&self, found: &Found, fresh: bool) -> Result<Option<Observed>, EngineError> {
        if let Err(failed) = self.call(Call::Start(found.seen.id.clone())).await {
            let mut error = failed.error;
            if failed.status != Some(500) {
                return Err(error);
            }
            let now = self.one(&found.seen.id).await;
            let down = |found: &Found| matches!(found.seen.state, State::Created | State::Exited);
            if now.is_ok_and(|found| found.as_ref().is_none_or(down)) {
                error.effect = Effect::None;
            }
            if failed.said.contains("already allocated") {
                error.kind = EngineErrorKind::Refused;
                return Err(error);
            }
            if fresh {
                return Err(error);
            }
            self.remove(found).await?;
            return Ok(None);
        }
        match self.up(&found.seen, Some(0)).await {
            Err(mut error) if error.kind == EngineErrorKind::Unhealthy => {
                if self.stop(found).await.is_err() {
                    error.effect = Effect::Unknown;
                }
                Err(error)
            }
            Err(error) => Err(error),
            Ok(seen) => Ok(Some(seen)),
        }
    }

    async fn up(&self, seen: &Observed, mut restarts: Option<i64>) -> Result<Observed, EngineError> {
        let started = Instant::now();
        let settle = restarts.map_or(Duration::ZERO, |_| SETTLE);
        let mut pause = Duration::from_millis(20);
        let unhealthy = |said: &str| self.error(EngineErrorKind::Unhealthy, Effect::None, said);
        loop {
            let found = self.ours(&seen.name).await?;
            let restarted = found.restarts > *restarts.get_or_insert(found.restarts);
            if found.seen.state != State::Running || restarted {
                return Err(unhealthy("did not stay up"));
            }
            match found.seen.health {
                Some(Health::Unhealthy) => return Err(unhealthy("failed its health check")),
                Some(Health::Starting) if started.elapsed() >= HEALTH => {
                    return Err(unhealthy("did not become healthy"));
                }
                Some(Health::Healthy) => return Ok(found.seen),
                None if started.elapsed() >= settle => return Ok(found.seen),
                Some(Health::Starting) | None => {}
            }
            sleep(if found.seen.health.is_some() {
                pause
            } else {
                settle
            })
            .await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    async fn apply(&self, seen: &Observed, asked: &Limits) -> Result<Observed, EngineError> {
        self.call(Call::Update(seen.id.clone(), asked.clone())).await?;
        let now = self.ours(&seen.name).await?.seen;
        if differ(&now, asked) {
            let message = "the engine reports other limits";
            return Err(self.error(EngineErrorKind::Mismatch, Effect::Unknown, message));
        }
        Ok(now)
    }
}

fn differ(seen: &Observed, asked: &Limits) -> bool {
    let cpu = match &asked.cpu {
        mapek::engine::CpuLimit::Cores(cores) => seen.cpuset != cores.to_string(),
        mapek::engine::CpuLimit::Quota(cpu) => seen.nano_cpus != cpu.nanos(),
    };
    cpu || seen.memory != asked.memory
}

/// All that was asked for but the limits.
fn fingerprint(spec: &ContainerSpec) -> String {
    let mut hasher = DefaultHasher::new();
    let other = ContainerSpec {
        limits: Limits {
            cpu: mapek::engine::CpuLimit::Cores(mapek::model::CoreSet::default()),
            memory: 0,
        },
        ..spec.clone()
    };
    format!("{other:?}").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn labels(spec: &ContainerSpec, owner: &str) -> BTreeMap<String, String> {
    let mut labels = spec.labels.clone();
    labels.insert(LABEL_OWNER.to_owned(), owner.to_owned());
    labels.insert(LABEL_MANAGED.to_owned(), "true".to_owned());
    labels.insert(LABEL_APP.to_owned(), spec.app.clone());
    labels.insert(LABEL_TIER.to_owned(), spec.tier.clone());
    labels.insert(LABEL_SPEC.to_owned(), fingerprint(spec));
    if let Some(revision) = &spec.revision {
        labels.insert(LABEL_REVISION.to_owned(), revision.to_string());
    }
    labels
}

#[async_trait]
impl Engine for SimulatedEngine {
    async fn machine(&self) -> Result<Machine, EngineError> {
        self.call(Call::Info).await?;
        let state = self.world.lock();
        let machine = state.machines.values().find(|machine| machine.ip == self.ip);
        let Some(machine) = machine else {
            return Err(self.error(EngineErrorKind::Unreachable, Effect::None, "it has just gone"));
        };
        Ok(Machine {
            cores: machine.cores,
            memory: (machine.mem * UNIT_MB) << 20,
            version: "simulated".to_owned(),
            gateway: None,
            identity: Identity {
                id: format!("engine-{}", machine.name),
                home: machine.name.clone(),
            },
            about: mapek::model::About::default(),
        })
    }

    async fn observe(&self) -> Result<Vec<Observed>, EngineError> {
        let Answer::Containers(listed) = self.call(Call::List).await? else {
            unreachable!("a list is answered with containers");
        };
        let mut seen = Vec::new();
        for found in listed.into_iter().map(|found| self.told(found)) {
            if found.seen.managed || found.seen.state.holds() {
                seen.extend(self.one(&found.seen.id).await?.map(|found| found.seen));
            } else {
                seen.push(Observed {
                    cpuset: String::new(),
                    memory: 0,
                    memory_swap: 0,
                    fixed: Default::default(),
                    ..found.seen
                });
            }
        }
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(seen)
    }

    async fn find(&self, name: &str) -> Result<Option<Observed>, EngineError> {
        Ok(self.one(name).await?.map(|found| found.seen))
    }

    async fn image(&self, image: &str) -> Result<Option<String>, EngineError> {
        match self.call(Call::Image(image.to_owned())).await {
            Err(failed) if failed.status == Some(404) => Ok(None),
            Err(failed) => Err(failed.error),
            Ok(Answer::Image(id)) => Ok(id),
            _ => unreachable!("an image is answered with an id"),
        }
    }

    async fn ensure_image(&self, wanted: &Wanted, _tell: Tell<'_>) -> Result<(), EngineError> {
        match self.call(Call::Image(wanted.image.clone())).await {
            Ok(_) => Ok(()),
            Err(failed) if failed.status == Some(404) => {
                Err(self.error(EngineErrorKind::Image, Effect::None, failed.said))
            }
            Err(failed) => Err(failed.error),
        }
    }

    async fn ensure_running(&self, spec: &ContainerSpec) -> Result<Observed, EngineError> {
        let name = spec.name.as_str();
        let fingerprint = fingerprint(spec);
        let mut fresh = false;
        for _ in 0..ROUNDS {
            let Some(found) = self.one(name).await? else {
                self.create(spec, name).await?;
                fresh = true;
                continue;
            };
            if !found.seen.managed {
                return Err(self.foreign(name));
            }
            let as_asked = found.seen.labels.get(LABEL_SPEC) == Some(&fingerprint);
            match found.seen.state {
                State::Running if as_asked => {
                    if differ(&found.seen, &spec.limits) {
                        self.apply(&found.seen, &spec.limits).await?;
                    }
                    return self.up(&found.seen, None).await;
                }
                State::Paused if as_asked => {
                    self.call(Call::Unpause(found.seen.id.clone())).await?;
                }
                State::Created | State::Exited if as_asked => {
                    if differ(&found.seen, &spec.limits) {
                        self.apply(&found.seen, &spec.limits).await?;
                    }
                    if let Some(seen) = self.start(&found, fresh).await? {
                        return Ok(seen);
                    }
                }
                _ => self.remove(&found).await?,
            }
        }
        Err(self.error(
            EngineErrorKind::Refused,
            Effect::Unknown,
            "gave up: something else keeps changing it",
        ))
    }

    async fn replace(&self, spec: &ContainerSpec, handover: Handover) -> Result<Observed, EngineError> {
        let fingerprint = fingerprint(spec);
        let as_asked = |found: &Found| found.seen.labels.get(LABEL_SPEC) == Some(&fingerprint);
        let temporary = successor(&spec.name);
        let mut fresh = false;
        for _ in 0..ROUNDS + 3 {
            let old = self.one_of_ours(&spec.name).await?;
            let next = self.one_of_ours(&temporary).await?;
            match (old, next) {
                (Some(old), next) if as_asked(&old) => {
                    if let Some(next) = next {
                        self.remove(&next).await?;
                    }
                    return self.ensure_running(spec).await;
                }
                (None, None) => return self.ensure_running(spec).await,
                (None, Some(next)) if as_asked(&next) => self.rename(&next, &spec.name).await?,
                (Some(old), Some(next))
                    if as_asked(&next)
                        && matches!(next.seen.state, State::Created | State::Running | State::Exited) =>
                {
                    if handover == Handover::StopFirst && old.seen.state.holds() {
                        self.stop(&old).await?;
                    }
                    if differ(&next.seen, &spec.limits) {
                        self.apply(&next.seen, &spec.limits).await?;
                    }
                    if next.seen.state == State::Running {
                        self.up(&next.seen, None).await?;
                    } else {
                        match self.start(&next, fresh).await {
                            Ok(Some(_)) => {}
                            // Another one may do.
                            Ok(None) => continue,
                            Err(mut error) => {
                                let stopped = handover == Handover::StopFirst;
                                if stopped
                                    && (error.kind, error.effect) == (EngineErrorKind::Failing, Effect::None)
                                {
                                    error.kind = EngineErrorKind::Refused;
                                }
                                return Err(error);
                            }
                        }
                    }
                    self.remove(&old).await?;
                    self.rename(&next, &spec.name).await?;
                }
                (_, Some(next)) => self.remove(&next).await?,
                (Some(_), None) => {
                    self.create(spec, &temporary).await?;
                    fresh = true;
                }
            }
        }
        Err(self.error(
            EngineErrorKind::Refused,
            Effect::Unknown,
            "gave up: something else keeps changing it",
        ))
    }

    async fn take_back(&self, name: &str) -> Result<(), EngineError> {
        let old = self.one_of_ours(name).await?;
        let next = self.one_of_ours(&successor(name)).await?;
        match (old, next) {
            (Some(old), next) => {
                if let Some(next) = next {
                    self.remove(&next).await?;
                }
                if matches!(old.seen.state, State::Created | State::Exited) {
                    self.start(&old, true).await?;
                }
                Ok(())
            }
            (None, Some(next)) => self.rename(&next, name).await,
            (None, None) => Ok(()),
        }
    }

    async fn ensure_limits(&self, name: &str, limits: &Limits) -> Result<Observed, EngineError> {
        let found = self.ours(name).await?;
        if found.seen.state != State::Running {
            return Err(self.error(
                EngineErrorKind::Down,
                Effect::None,
                format!("container '{name}' does not run"),
            ));
        }
        self.apply(&found.seen, limits).await
    }

    async fn ensure_absent(&self, name: &str) -> Result<(), EngineError> {
        match self.one(name).await? {
            None => Ok(()),
            Some(found) if !found.seen.managed => Err(self.foreign(name)),
            Some(found) => self.remove(&found).await,
        }
    }

    async fn unpack(&self, name: &str, _archive: Vec<u8>, _folder: &str) -> Result<(), EngineError> {
        self.ours(name).await?;
        Ok(self.call(Call::Unpack(name.to_owned())).await.map(drop)?)
    }

    async fn prepare(&self, name: &str, command: &Command) -> Result<RunId, EngineError> {
        self.make_ready(name, command).await
    }

    async fn complete(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError> {
        self.to_its_end(name, run, within, true).await
    }

    async fn settle(&self, name: &str, run: &RunId, within: Duration) -> Result<Finished, EngineError> {
        self.to_its_end(name, run, within, false).await
    }
}
