//! Reads what really runs from the engines, and compares it with the allocation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cloud::{CloudVm, Standing};
use crate::engine::{Engine, Health, Observed};
use crate::fault::{Code, Fault};
use crate::model::{Container, RevisionId, Topology, Vm, VmId, Whereabouts};

use super::observed::identity::refuse_changed;
use super::observed::look;
use super::observed::membership::at_their_addresses;
use super::reconciler::drift::{Drift, differences};
use super::{Service, Snapshot};

/// Containers by VM and name.
pub type Inspection = BTreeMap<String, BTreeMap<String, Inspected>>;

/// A container as its engine reports it, compared with the allocation. If its engine does not have
/// it, or can't be asked, there are only `state`, `drift` and `differences`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({ "CpusetCpus": "0", "NanoCpus": 0, "Memory": 1073741824, "MemUnits": 2,
    "state": "running", "health": "healthy", "image": "mysql:8", "revision": "9f86d081884c7d65", "id": "4f5c", "exit_code": null,
    "managed": true, "owner": "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11", "foreign": false, "drift": [],
    "differences": [] }))]
pub struct Inspected {
    /// What the engine reports.
    #[serde(flatten)]
    seen: Option<InspectedSeen>,
    /// `running` and the like; `gone` if it should be there and is not; `unknown` if its VM can't
    /// be asked.
    #[schema(example = "running")]
    state: &'static str,
    /// What differs from the allocation.
    #[schema(example = json!([]))]
    pub drift: Vec<String>,
    /// The same, for programs.
    #[schema(example = json!([]))]
    differences: Vec<Drift>,
}

/// What an engine reports about a container.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InspectedSeen {
    /// The cores that it is pinned to; empty in quota mode.
    #[serde(rename = "CpusetCpus")]
    #[schema(example = "0")]
    cpuset: String,
    /// Its share of all cores, in billionths; 0 in cpuset mode.
    #[serde(rename = "NanoCpus")]
    #[schema(example = 0)]
    nano_cpus: u64,
    /// Its memory limit in bytes.
    #[serde(rename = "Memory")]
    #[schema(example = 1073741824)]
    memory: u64,
    /// The same in memory units.
    #[serde(rename = "MemUnits")]
    #[schema(value_type = f64, example = 2)]
    mem_units: serde_json::Number,
    /// Gigabytes of disk that it was given; left out where it is none.
    #[serde(rename = "DiskGb", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 20)]
    disk_gb: Option<u64>,
    /// Graphics processors that it has; left out where there are none.
    #[serde(rename = "Gpus", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 1)]
    gpus: Option<u64>,
    /// `starting`, `healthy` or `unhealthy`; null without a health check.
    #[schema(value_type = Option<String>, example = "healthy")]
    health: Option<Health>,
    /// The image that it was made from.
    #[schema(example = "mysql:8")]
    image: String,
    /// What it was made from: a fingerprint of everything that the topology said about its tier
    /// then, except size and addresses.
    #[schema(value_type = Option<String>, example = "9f86d081884c7d65")]
    revision: Option<RevisionId>,
    /// The digest of the image that it was made from, where its tag was looked up then.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    digest: Option<String>,
    /// The engine's id.
    #[schema(example = "4f5c")]
    id: String,
    /// Exit code of its last run, if it does not run.
    #[schema(example = 0)]
    exit_code: Option<i64>,
    /// Whether any `mapek` made it.
    #[schema(example = true)]
    managed: bool,
    /// The id of the data directory that it was made for, if it has one.
    #[schema(example = "0193b5a0-7c3e-7d52-9b1f-2f6f0f6f3a11")]
    owner: Option<String>,
    /// Whether it is not this service's own: it is never touched, and counts against its VM.
    #[schema(example = false)]
    foreign: bool,
}

impl Inspected {
    /// A container that its engine does not have, or whose engine can't be asked.
    fn unseen(state: &'static str, differences: Vec<Drift>) -> Self {
        Self {
            seen: None,
            state,
            drift: differences.iter().map(ToString::to_string).collect(),
            differences,
        }
    }

    fn of(seen: &Observed, wanted: Option<&Container>, unit: u64, differences: Vec<Drift>) -> Self {
        let told = InspectedSeen {
            cpuset: seen.cpuset.clone(),
            nano_cpus: seen.nano_cpus,
            memory: seen.memory,
            mem_units: units(seen.memory, unit),
            disk_gb: Some(seen.fixed.disk_gb).filter(|amount| *amount > 0),
            gpus: Some(seen.fixed.gpus).filter(|amount| *amount > 0),
            health: seen.health,
            image: seen.image.clone(),
            revision: seen.revision().or_else(|| wanted?.revision.clone()),
            digest: seen.digest().map(str::to_owned),
            id: seen.id.clone(),
            exit_code: seen.exit_code,
            managed: seen.by_mapek(),
            owner: seen.owner().map(str::to_owned),
            foreign: !seen.managed,
        };
        Self {
            seen: Some(told),
            ..Self::unseen(seen.state.as_str(), differences)
        }
    }
}

impl Service {
    /// Each VM of the allocation with what its engine reports about our own containers, and about
    /// others that hold anything. If a VM can't be asked, each of its containers says so, and the
    /// rest of the answer is not affected.
    ///
    /// # Errors
    ///
    /// When the cloud can't be asked.
    pub async fn inspect(&self) -> Result<Inspection, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.look_everywhere().await })
            .await
    }

    /// Makes sure that the cloud takes no VM away that is in use.
    ///
    /// # Errors
    ///
    /// When the cloud can't be asked, or refuses.
    pub async fn keep(&self) -> Result<(), Fault> {
        let snapshot = self.snapshot();
        let Some(topology) = snapshot.topology.clone() else {
            return Ok(());
        };
        let used: BTreeSet<VmId> = snapshot
            .allocation
            .vms
            .iter()
            .filter(|(_, vm)| !vm.used.is_empty())
            .map(|(id, _)| id.clone())
            .collect();
        if used.is_empty() {
            return Ok(());
        }
        let cloud = self.inner.platform.cloud(&topology)?;
        self.to_the_end(async move { Ok(cloud.ensure_kept(&used).await?) })
            .await
    }

    /// Compares what runs with the allocation and logs what differs.
    ///
    /// # Errors
    ///
    /// As [`Service::inspect`].
    pub async fn compare(&self) -> Result<(), Fault> {
        for (vm, containers) in &self.inspect().await? {
            for (container, seen) in containers {
                for difference in &seen.drift {
                    tracing::warn!(%vm, %container, difference, "drift");
                }
            }
        }
        self.keep().await
    }

    async fn look_everywhere(&self) -> Result<Inspection, Fault> {
        let snapshot = self.snapshot();
        let Some(topology) = snapshot.topology.clone() else {
            return Ok(Inspection::new());
        };
        if snapshot.allocation.vms.is_empty() {
            return Ok(Inspection::new());
        }
        let known = self.known(&topology).await?;
        let allocation = at_their_addresses(&snapshot.allocation, &known);
        let whereabouts = Whereabouts::of(&topology, (&allocation, &allocation));
        let looks = snapshot.allocation.vms.iter().map(|(id, vm)| {
            let (snapshot, topology, whereabouts) = (&snapshot, &topology, &whereabouts);
            let known = known.get(id);
            async move {
                let seen = self.look(snapshot, topology, id, known).await;
                (id.to_string(), describe(topology, whereabouts, vm, seen))
            }
        });
        Ok(join_all(looks).await.into_iter().collect())
    }

    /// The VMs that the cloud has.
    pub(super) async fn known(&self, topology: &Arc<Topology>) -> Result<BTreeMap<VmId, CloudVm>, Fault> {
        let offer = self.offer(topology).await?;
        Ok(offer.vms.into_iter().map(|vm| (vm.name.clone(), vm)).collect())
    }

    /// What runs on a VM, if its engine is the one that its containers were put on.
    pub(super) async fn look(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        id: &VmId,
        known: Option<&CloudVm>,
    ) -> Result<Vec<Observed>, Fault> {
        Ok(self.look_with(snapshot, topology, id, known).await?.1)
    }

    /// The same, with the engine that was asked.
    pub(super) async fn look_with(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        id: &VmId,
        known: Option<&CloudVm>,
    ) -> Result<(Arc<dyn Engine>, Vec<Observed>), Fault> {
        let gone = |why: &str| Fault::new(Code::CloudRefused, why);
        if let Some(Standing::Leaving(why)) = known.map(|vm| &vm.standing) {
            return Err(gone(why));
        }
        let endpoint = known.map(|vm| vm.endpoint.clone());
        // A VM that the running execution has just made may not be in the cloud's offer yet.
        let made = snapshot.bindings.values().find(|found| found.name == *id);
        let endpoint = endpoint
            .or_else(|| made.map(|found| found.endpoint.clone()))
            .ok_or_else(|| gone("the cloud driver does not know this VM any more"))?;
        let engine = self
            .inner
            .platform
            .engines()
            .at(&endpoint, topology.infrastructure.docker.tls.as_ref())?;
        let looked = look(engine.as_ref()).await;
        let looked = looked.and_then(|(machine, seen)| {
            refuse_changed(&snapshot.allocation, &snapshot.engines, id, &machine.identity)?;
            Ok((machine, seen))
        });
        self.note_look(id, looked.as_ref());
        let (_, mut seen) = looked?;
        self.take_over(id, &self.on_record(snapshot).await?, &mut seen);
        Ok((engine, seen))
    }
}

fn describe(
    topology: &Topology,
    whereabouts: &Whereabouts<'_>,
    vm: &Vm,
    seen: Result<Vec<Observed>, Fault>,
) -> BTreeMap<String, Inspected> {
    let seen = match seen {
        Ok(seen) => seen,
        Err(fault) => {
            let unknown = Inspected::unseen("unknown", vec![unseen(fault)]);
            let names = vm.used.keys();
            return names.map(|id| (id.to_string(), unknown.clone())).collect();
        }
    };
    let told: BTreeMap<&str, &Observed> = seen
        .iter()
        .filter(|one| one.managed || one.state.holds())
        .map(|one| (one.name.as_str(), one))
        .collect();
    let names: BTreeSet<&str> = vm
        .used
        .keys()
        .map(|id| id.as_str())
        .chain(told.keys().copied())
        .collect();
    let unit = topology
        .infrastructure
        .mem_unit_mb
        .saturating_mul(1024 * 1024)
        .max(1);
    let entry = |name: &str| {
        let (wanted, seen) = (vm.used.get(name), told.get(name).copied());
        let differences = differences(topology, whereabouts, wanted, seen);
        let entry = match seen {
            Some(seen) => Inspected::of(seen, wanted, unit, differences),
            None => Inspected::unseen("gone", differences),
        };
        (name.to_owned(), entry)
    };
    names.into_iter().map(entry).collect()
}

/// Why a VM's containers can't be reported.
pub(super) fn unseen(fault: Fault) -> Drift {
    let why = fault.message;
    match fault.code {
        Code::EngineChanged => Drift::EngineChanged { why },
        _ => Drift::Unreachable { why },
    }
}

/// Bytes in memory units: a whole number where it is one.
fn units(bytes: u64, unit: u64) -> serde_json::Number {
    if bytes.is_multiple_of(unit) {
        return (bytes / unit).into();
    }
    #[expect(clippy::cast_precision_loss)]
    let fraction = bytes as f64 / unit as f64;
    // None only for something that is not a number, which this is.
    serde_json::Number::from_f64((fraction * 100.0).round() / 100.0).unwrap_or_else(|| (bytes / unit).into())
}
