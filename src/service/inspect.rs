//! Reading what really runs, live from the engines, beside what the allocation says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::cloud::{CloudVm, Standing};
use crate::engine::{Engine, Observed};
use crate::fault::{Code, Fault};
use crate::model::{Topology, Vm, VmId};

use super::drift::{Drift, differences};
use super::identity::refuse_changed;
use super::reality::look;
use super::{Service, Snapshot};

impl Service {
    /// Each VM of the allocation with what its engine says of our containers, and of those of others
    /// that hold anything. A VM that can't be asked is told of in each of its containers, and does not
    /// spoil the answer.
    ///
    /// # Errors
    ///
    /// When the cloud can't be asked.
    pub async fn inspect(&self) -> Result<Value, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.look_everywhere().await })
            .await
    }

    /// Sees to it that the cloud takes no VM away that is in use.
    ///
    /// # Errors
    ///
    /// When the cloud can't be asked, or does not do it.
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
        let Value::Object(vms) = self.inspect().await? else {
            return Ok(());
        };
        for (vm, containers) in &vms {
            for (container, seen) in containers.as_object().into_iter().flatten() {
                for difference in seen["drift"].as_array().into_iter().flatten() {
                    tracing::warn!(%vm, %container, difference = difference.as_str(), "drift");
                }
            }
        }
        self.keep().await
    }

    async fn look_everywhere(&self) -> Result<Value, Fault> {
        let snapshot = self.snapshot();
        let Some(topology) = snapshot.topology.clone() else {
            return Ok(json!({}));
        };
        if snapshot.allocation.vms.is_empty() {
            return Ok(json!({}));
        }
        let known = self.known(&topology).await?;
        let looks = snapshot.allocation.vms.iter().map(|(id, vm)| {
            let (snapshot, topology) = (&snapshot, &topology);
            let known = known.get(id);
            async move {
                let seen = self.look(snapshot, topology, id, known).await;
                (id.to_string(), describe(topology, vm, seen))
            }
        });
        Ok(Value::Object(join_all(looks).await.into_iter().collect()))
    }

    /// The VMs that the cloud has.
    pub(super) async fn known(&self, topology: &Arc<Topology>) -> Result<BTreeMap<VmId, CloudVm>, Fault> {
        let offer = self.inner.platform.cloud(topology)?.offer().await?;
        Ok(offer.vms.into_iter().map(|vm| (vm.name.clone(), vm)).collect())
    }

    /// What runs on a VM, if its engine is the one that was put to use there.
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
        let (identity, mut seen) = look(engine.as_ref()).await?;
        refuse_changed(&snapshot.allocation, &snapshot.engines, id, &identity)?;
        self.take_over(id, &self.on_record(snapshot).await?, &mut seen);
        Ok((engine, seen))
    }
}

fn describe(topology: &Topology, vm: &Vm, seen: Result<Vec<Observed>, Fault>) -> Value {
    let seen = match seen {
        Ok(seen) => seen,
        Err(fault) => {
            let differences = [unseen(fault)];
            let drift = texts(&differences);
            let unknown = |id: &crate::model::TierId| {
                let entry = json!({ "state": "unknown", "drift": drift, "differences": differences });
                (id.to_string(), entry)
            };
            return Value::Object(vm.used.keys().map(unknown).collect());
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
    let mut containers = Map::new();
    for name in names {
        let (wanted, seen) = (vm.used.get(name), told.get(name).copied());
        let differences = differences(topology, wanted, seen);
        let drift = texts(&differences);
        let entry = match seen {
            Some(seen) => json!({
                "CpusetCpus": seen.cpuset,
                "NanoCpus": seen.nano_cpus,
                "Memory": seen.memory,
                "MemUnits": units(seen.memory, unit),
                "state": seen.state,
                "health": seen.health,
                "image": seen.image,
                "id": seen.id,
                "exit_code": seen.exit_code,
                "managed": seen.by_mapek(),
                "owner": seen.owner(),
                "foreign": !seen.managed,
                "drift": drift,
                "differences": differences,
            }),
            None => json!({ "state": "gone", "drift": drift, "differences": differences }),
        };
        containers.insert(name.to_owned(), entry);
    }
    Value::Object(containers)
}

/// Why a VM's containers can't be told of.
pub(super) fn unseen(fault: Fault) -> Drift {
    let why = fault.message;
    match fault.code {
        Code::EngineChanged => Drift::EngineChanged { why },
        _ => Drift::Unreachable { why },
    }
}

fn texts(differences: &[Drift]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

/// Bytes in memory units: a whole number where it is one.
fn units(bytes: u64, unit: u64) -> Value {
    if bytes.is_multiple_of(unit) {
        return json!(bytes / unit);
    }
    #[expect(clippy::cast_precision_loss)]
    let fraction = bytes as f64 / unit as f64;
    json!((fraction * 100.0).round() / 100.0)
}
