//! A world for tests of whole executions: engines that stop answering, a cloud whose VMs never
//! come, and a record in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::cloud::{Cloud, CloudError, CloudErrorKind, CloudVm, Notebook, Offer, Standing, Wish};
use crate::engine::{
    Command, ContainerSpec, CpuLimit, Effect, Engine, EngineError, EngineErrorKind, Engines, Finished,
    Limits, Machine, Observed, Owners, RunId, State, Tell, Wanted,
};
use crate::fault::{Code, Fault};
use crate::model::topology::{OnFailure, Tls};
use crate::model::{Allocation, Size, TierId, Topology, Vm, VmId};
use crate::translate::{Stage, translate};

use super::*;

/// What the engines run, and what is wrong with them.
#[derive(Default)]
pub struct Engineering {
    /// Containers by engine and name.
    pub running: BTreeMap<String, BTreeMap<String, Observed>>,
    /// Engines that do not answer, and to how many calls more.
    pub silent: BTreeMap<String, usize>,
    /// Engines that do not answer only when asked to change something.
    pub stubborn: BTreeMap<String, usize>,
    /// Engines that make the next change, and then never answer again.
    pub doomed: BTreeSet<String>,
    /// Engines that start nothing until they are allowed to.
    pub gates: BTreeMap<String, Arc<Semaphore>>,
    /// VMs that were given up, in order.
    pub abandoned: Vec<VmId>,
}

/// Changes the engines when an event is recorded.
type OnEvent = Box<dyn Fn(&Event, &mut Engineering) + Send + Sync>;

/// Engines, cloud and record in one.
pub struct Fake {
    pub topology: Arc<Topology>,
    engineering: Mutex<Engineering>,
    execution: Mutex<Execution>,
    view: Mutex<View>,
    on: OnEvent,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// One core and one unit of memory on each of these VMs, for each tier.
pub fn holding(places: &[(&str, &str)]) -> Allocation {
    let mut allocation = Allocation::default();
    for (vm, tier) in places {
        let entry = allocation.vms.entry(VmId::new(vm));
        let vm = entry.or_insert_with(|| Vm::empty(None, Size::new(32, 32)));
        if !tier.is_empty() {
            let mut container: crate::model::Container = Size::new(1, 1).into();
            container.cores = crate::model::CoreSet([u32::try_from(vm.used.len()).unwrap()].into());
            vm.used.insert(TierId::of("app", tier), container);
        }
    }
    allocation
}

impl Fake {
    /// An execution from one allocation to another. `on` gets every event once it is recorded.
    pub fn new(
        (from, to): (Allocation, Allocation),
        on_failure: OnFailure,
        on: impl Fn(&Event, &mut Engineering) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let names: BTreeSet<String> = [&from, &to]
            .iter()
            .flat_map(|allocation| allocation.vms.values())
            .flat_map(|vm| vm.used.keys())
            .map(|tier| tier.as_str().trim_start_matches("app_").to_owned())
            .collect();
        let tiers: serde_json::Map<_, _> = names
            .into_iter()
            .map(|name| match name.as_str() {
                "web" => (name, json!({"docker_image": "i", "depends_on": ["db"]})),
                _ => (name, json!({"docker_image": "i"})),
            })
            .collect();
        let topology = json!({
            "infrastructure": {"cpu_cores": 32, "mem_units": 32, "cloud_driver": {"autoscaling_groupname": "g"}},
            "apps": [{"name": "app", "tiers": tiers}],
        });
        let topology = Arc::new(Topology::parse(&topology).unwrap().topology);
        let stages = translate(&topology, &from, &to).stages;
        let frozen = Frozen {
            id: Uuid::now_v7(),
            created_at: Timestamp::UNIX_EPOCH,
            plan: json!({}),
            generation: 1,
            from: (&from).into(),
            target: to,
            hooks_revision: None,
            on_failure,
            on_shortage: crate::model::topology::OnShortage::default(),
            idempotency_key: None,
            fingerprint: None,
            plan_id: None,
            requested_by: By::default(),
            reconcile: None,
            intent: None,
            stages,
        };
        let mut engineering = Engineering::default();
        for (vm, held) in &from.vms {
            let running = engineering.running.entry(vm.to_string()).or_default();
            for (tier, held) in &held.used {
                let limits = spec::limits(&topology, held.size, &held.cores);
                running.insert(tier.to_string(), container(tier.as_str(), &limits));
            }
        }
        Arc::new(Self {
            topology,
            engineering: Mutex::new(engineering),
            execution: Mutex::new(Execution {
                progress: Progress::new(frozen.actions().count()),
                frozen,
            }),
            view: Mutex::new(View {
                allocation: Arc::new(from),
                ..View::default()
            }),
            on: Box::new(on),
        })
    }

    /// Changes what the engines are like.
    pub fn engines(&self) -> MutexGuard<'_, Engineering> {
        lock(&self.engineering)
    }

    /// Names of the containers that run on an engine.
    pub fn running_on(&self, vm: &str) -> Vec<String> {
        let engineering = self.engines();
        let running = engineering.running.get(vm).into_iter().flatten();
        running
            .filter(|(_, seen)| seen.state == State::Running)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Records what happened in an earlier run.
    pub fn happened(&self, event: Event) {
        let at = Timestamp::UNIX_EPOCH;
        let stamped = Stamped { at, event };
        lock(&self.execution).progress.apply(&stamped).unwrap();
    }

    /// The record.
    pub fn record(&self) -> Execution {
        lock(&self.execution).clone()
    }

    /// Carries it out; attempts go on for `retry_for`, `parallel` at a time and two on a VM.
    pub async fn run(
        self: &Arc<Self>,
        retry_for: Duration,
        parallel: usize,
        halt: watch::Receiver<Halt>,
    ) -> Ending {
        let from: Allocation = self.record().frozen.from.into();
        let vm = |name: &VmId| {
            let vm = CloudVm {
                name: name.clone(),
                ip: None,
                endpoint: name.to_string(),
                standing: Standing::Ready,
                about: crate::model::About::default(),
            };
            (name.clone(), vm)
        };
        let world = World {
            topology: Arc::clone(&self.topology),
            cloud: Arc::new(Handle(Arc::clone(self), String::new())),
            engines: Arc::new(Handle(Arc::clone(self), String::new())),
            vms: from.vms.keys().map(vm).collect(),
            hooks: None,
            hook_deadline: Duration::from_secs(60),
            from,
            parallel,
            parallel_on_vm: 2,
            retry_for,
            outside: Arc::new(crate::outside::System),
        };
        let id = self.record().frozen.id;
        let recorder = Arc::new(Handle(Arc::clone(self), String::new()));
        run(Arc::new(world), recorder, id, Direction::Forward, halt).await
    }
}

/// A running container of this owner.
pub fn container(name: &str, limits: &Limits) -> Observed {
    let cpuset = match &limits.cpu {
        CpuLimit::Cores(cores) => cores.to_string(),
        CpuLimit::Quota(_) => String::new(),
    };
    Observed {
        name: name.to_owned(),
        id: name.to_owned(),
        managed: true,
        image: "i".to_owned(),
        state: State::Running,
        health: None,
        cpuset,
        nano_cpus: 0,
        memory: limits.memory,
        memory_swap: 0,
        fixed: Default::default(),
        exit_code: None,
        labels: BTreeMap::new(),
        ports: Vec::new(),
        addresses: None,
    }
}

/// The world by one of its sides; as an engine, with its name.
struct Handle(Arc<Fake>, String);

fn error(effect: Effect) -> EngineError {
    EngineError {
        endpoint: "fake".to_owned(),
        message: "no answer".to_owned(),
        kind: EngineErrorKind::Unreachable,
        effect,
    }
}

impl Handle {
    fn count_down(calls: Option<&mut usize>) -> Result<(), EngineError> {
        match calls {
            Some(left) if *left > 0 => {
                *left = left.saturating_sub(usize::from(*left != usize::MAX));
                Err(error(Effect::Unknown))
            }
            _ => Ok(()),
        }
    }

    fn look<T>(&self, look: impl FnOnce(&BTreeMap<String, Observed>) -> T) -> Result<T, EngineError> {
        let mut all = self.0.engines();
        Self::count_down(all.silent.get_mut(&self.1))?;
        Ok(look(all.running.entry(self.1.clone()).or_default()))
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Observed>) -> T) -> Result<T, EngineError> {
        let mut all = self.0.engines();
        Self::count_down(all.silent.get_mut(&self.1))?;
        Self::count_down(all.stubborn.get_mut(&self.1))?;
        let done = change(all.running.entry(self.1.clone()).or_default());
        if all.doomed.remove(&self.1) {
            all.silent.insert(self.1.clone(), usize::MAX);
            return Err(error(Effect::Unknown));
        }
        Ok(done)
    }
}

#[async_trait]
impl Engine for Handle {
    async fn machine(&self) -> Result<Machine, EngineError> {
        Err(error(Effect::None))
    }

    async fn observe(&self) -> Result<Vec<Observed>, EngineError> {
        self.look(|running| running.values().cloned().collect())
    }

    async fn find(&self, name: &str) -> Result<Option<Observed>, EngineError> {
        self.look(|running| running.get(name).cloned())
    }

    async fn image(&self, _: &str) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    async fn ensure_image(&self, _: &Wanted, _: Tell<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    async fn ensure_running(&self, spec: &ContainerSpec) -> Result<Observed, EngineError> {
        let gate = self.0.engines().gates.get(&self.1).cloned();
        if let Some(gate) = gate {
            let _through = gate.acquire().await.unwrap();
        }
        let seen = container(&spec.name, &spec.limits);
        self.change(|running| {
            running.insert(spec.name.clone(), seen.clone());
            seen
        })
    }

    async fn ensure_limits(&self, name: &str, limits: &Limits) -> Result<Observed, EngineError> {
        let seen = container(name, limits);
        self.change(|running| {
            running.insert(name.to_owned(), seen.clone());
            seen
        })
    }

    async fn ensure_absent(&self, name: &str) -> Result<(), EngineError> {
        self.change(|running| drop(running.remove(name)))
    }

    async fn unpack(&self, _: &str, _: Vec<u8>, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    async fn prepare(&self, _: &str, _: &Command) -> Result<RunId, EngineError> {
        Err(error(Effect::None))
    }

    async fn complete(&self, _: &str, _: &RunId, _: Duration) -> Result<Finished, EngineError> {
        Err(error(Effect::None))
    }

    async fn settle(&self, _: &str, _: &RunId, _: Duration) -> Result<Finished, EngineError> {
        Err(error(Effect::None))
    }
}

impl Engines for Handle {
    fn at(&self, endpoint: &str, _: Option<&Tls>) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(Self(Arc::clone(&self.0), endpoint.to_owned())))
    }

    fn owners(&self) -> Owners {
        Owners::new("us", [])
    }
}

/// VMs come where something runs on them from the start. Others are waited for until nobody wants them
/// any more.
#[async_trait]
impl Cloud for Handle {
    async fn offer(&self) -> Result<Offer, CloudError> {
        Ok(Offer::of_named(Vec::new()))
    }

    async fn ensure_vm(&self, name: &VmId, notebook: &dyn Notebook) -> Result<CloudVm, CloudError> {
        if self.0.engines().running.contains_key(name.as_str()) {
            return Ok(CloudVm {
                name: name.clone(),
                ip: None,
                endpoint: name.to_string(),
                standing: Standing::Ready,
                about: crate::model::About::default(),
            });
        }
        while notebook.wish() == Wish::Go {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(CloudError {
            message: "nobody wants it".to_owned(),
            kind: CloudErrorKind::Cancelled,
            effect: Effect::None,
        })
    }

    async fn abandon_vm(&self, name: &VmId, _: &dyn Notebook) -> Result<(), CloudError> {
        self.0.engines().abandoned.push(name.clone());
        Ok(())
    }

    async fn ensure_vm_absent(&self, _: &VmId) -> Result<(), CloudError> {
        Ok(())
    }
}

#[async_trait]
impl Recorder for Handle {
    async fn record(&self, _: Uuid, stamped: Stamped) -> Result<(), Fault> {
        let event = &stamped.event;
        let mut execution = lock(&self.0.execution);
        let illegal = |illegal: Illegal| Fault::new(Code::Internal, illegal.to_string());
        execution.progress.apply(&stamped).map_err(illegal)?;
        let mut view = lock(&self.0.view);
        let confirmed = confirmed(
            &self.0.topology,
            &execution,
            event,
            &view.allocation,
            &view.bindings,
        );
        let View { allocation, bindings } = &mut *view;
        for change in &confirmed.changes {
            Arc::make_mut(allocation).apply(change);
        }
        Arc::make_mut(bindings).extend(confirmed.bound);
        (self.0.on)(event, &mut self.0.engines());
        Ok(())
    }

    fn view(&self) -> View {
        lock(&self.0.view).clone()
    }

    async fn execution(&self, _: Uuid) -> Result<Execution, Fault> {
        Ok(self.0.record())
    }

    async fn replan(&self, _: Uuid, _: Arc<World>) -> Result<Event, Fault> {
        Err(Fault::new(Code::Internal, "not in this world"))
    }

    async fn way_back(&self, _: Uuid) -> Result<Vec<Stage>, Fault> {
        let was = self.0.record().frozen.from.into();
        let now = lock(&self.0.view).allocation.clone();
        Ok(translate(&self.0.topology, &now, &was).stages)
    }
}
