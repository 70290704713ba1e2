//! What our own containers really use, and their limits.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde::Serialize;

use crate::cloud::CloudVm;
use crate::engine::{Engine, Observed, State};
use crate::fault::Fault;
use crate::model::{CoreSet, Topology, VmId};

use super::{Service, Snapshot};

/// How many containers of one VM are measured at the same time.
const AT_ONCE: usize = 8;

/// What a container uses, and its limits. Null if it is not known, or not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = ContainerUsage, example = json!({ "cpu_cores": 0.42, "cpu_limit": 1, "memory": 73400320, "memory_limit": 134217728,
    "state": "running", "problem": null }))]
#[serde(deny_unknown_fields)]
pub struct ContainerUsage {
    /// How many cores it kept busy, measured for about a second.
    #[schema(example = 0.42)]
    pub cpu_cores: Option<f64>,
    /// Cores that it may use.
    #[schema(example = 1)]
    pub cpu_limit: Option<f64>,
    /// Bytes that it uses, without pages of files that can be dropped.
    #[schema(example = 73400320)]
    pub memory: Option<u64>,
    /// Bytes that it may use.
    #[schema(example = 134217728)]
    pub memory_limit: Option<u64>,
    /// `running` and the like; `gone` if it should be there and is not; `unknown` if its VM can't
    /// be asked.
    #[schema(example = "running")]
    pub state: String,
    /// Why it could not be measured.
    #[schema(example = "no answer within 30 s")]
    pub problem: Option<String>,
}

/// The containers of this mapek, by VM and name.
pub type Usages = BTreeMap<String, BTreeMap<String, ContainerUsage>>;

impl Service {
    /// Measures every container of this mapek. If one can't be measured, or a VM can't be asked,
    /// the rest of the answer is not affected.
    ///
    /// # Errors
    ///
    /// When the cloud can't be asked.
    pub async fn usage(&self) -> Result<Usages, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.measure_everywhere().await })
            .await
    }

    async fn measure_everywhere(&self) -> Result<Usages, Fault> {
        let snapshot = self.snapshot();
        let Some(topology) = snapshot.topology.clone() else {
            return Ok(Usages::new());
        };
        if snapshot.allocation.vms.is_empty() {
            return Ok(Usages::new());
        }
        let known = self.known(&topology).await?;
        let vms: Vec<&VmId> = snapshot.allocation.vms.keys().collect();
        let looks = vms
            .iter()
            .map(|vm| self.measure(&snapshot, &topology, vm, known.get(*vm)));
        let measured = join_all(looks).await;
        Ok(vms.into_iter().map(ToString::to_string).zip(measured).collect())
    }

    async fn measure(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        vm: &VmId,
        known: Option<&CloudVm>,
    ) -> BTreeMap<String, ContainerUsage> {
        let wanted = snapshot
            .allocation
            .vms
            .get(vm)
            .into_iter()
            .flat_map(|vm| vm.used.keys());
        let wanted = wanted.map(ToString::to_string);
        let (engine, mut seen) = match self.look_with(snapshot, topology, vm, known).await {
            Ok(looked) => looked,
            Err(fault) => {
                let unknown = ContainerUsage {
                    problem: Some(fault.message),
                    ..in_state("unknown")
                };
                return wanted.map(|name| (name, unknown.clone())).collect();
            }
        };
        seen.retain(|one| one.managed);
        let mut containers: BTreeMap<String, ContainerUsage> =
            wanted.map(|name| (name, in_state("gone"))).collect();
        for some in seen.chunks(AT_ONCE) {
            let measured = join_all(some.iter().map(|one| measured(engine.as_ref(), one))).await;
            containers.extend(some.iter().map(|one| one.name.clone()).zip(measured));
        }
        containers
    }
}

async fn measured(engine: &dyn Engine, one: &Observed) -> ContainerUsage {
    let mut told = told(one);
    if one.state == State::Running {
        match engine.usage(&one.id).await {
            Ok(usage) => {
                told.cpu_cores = usage.map(|usage| cores(usage.nano_cpus));
                told.memory = usage.map(|usage| usage.memory);
            }
            Err(error) => told.problem = Some(Fault::from(error).message),
        }
    }
    told
}

fn in_state(state: &str) -> ContainerUsage {
    ContainerUsage {
        state: state.to_owned(),
        ..ContainerUsage::default()
    }
}

/// A container with its limits: its share of all cores, or the cores that it is pinned to.
fn told(seen: &Observed) -> ContainerUsage {
    let pinned = CoreSet::parse(&seen.cpuset)
        .map(|cores| cores.0.len())
        .filter(|count| *count > 0);
    let pinned = pinned.and_then(|count| u32::try_from(count).ok()).map(f64::from);
    ContainerUsage {
        cpu_limit: Some(seen.nano_cpus)
            .filter(|nanos| *nanos > 0)
            .map(cores)
            .or(pinned),
        memory_limit: Some(seen.memory).filter(|bytes| *bytes > 0),
        ..in_state(seen.state.as_str())
    }
}

/// To a thousandth.
fn cores(billionths: u64) -> f64 {
    #[expect(clippy::cast_precision_loss)]
    let thousandths = (billionths / 1_000_000) as f64;
    thousandths / 1000.0
}
