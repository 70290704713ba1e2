//! Adopting: containers of a lost data directory become this service's own.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::cloud::Standing;
use crate::execute::{By, as_seen};
use crate::fault::{Code, Fault};
use crate::model::{Vm, VmId};

use super::Service;
use super::observed::look;

/// Containers were adopted.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "adopted": { "vm1": ["rubis_db"] }, "warnings": [], "time": "0.05" }))]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// Their names, by VM.
    #[serde(rename = "adopted")]
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub containers: BTreeMap<VmId, Vec<String>>,
    /// What their new owner should know.
    pub warnings: Vec<String>,
}

impl Service {
    /// From now on, counts the containers of another data directory as our own, and takes those
    /// that run into the allocation as they are.
    ///
    /// This service can't know whether one with that data directory still runs elsewhere.
    ///
    /// # Errors
    ///
    /// When no VM that answers has a container of that owner, the owner is this data directory itself,
    /// or an execution runs.
    pub async fn adopt(&self, owner: Uuid, by: By) -> Result<Adopted, Fault> {
        let service = self.clone();
        self.to_the_end(async move { service.adopt_here(&owner.to_string(), by).await })
            .await
    }

    async fn adopt_here(&self, owner: &str, by: By) -> Result<Adopted, Fault> {
        let snapshot = self.snapshot();
        snapshot.idle()?;
        let topology = snapshot.topology()?;
        let engines = self.inner.platform.engines();
        let owners = engines.owners();
        if owner == owners.own() {
            let message = format!("{owner} is this data directory's own id: its containers are ours already");
            return Err(Fault::new(Code::Conflict, message));
        }
        let offer = self.offer(&topology).await?;
        let tls = topology.infrastructure.docker.tls.as_ref();
        let vms = offer
            .vms
            .iter()
            .filter(|vm| !matches!(vm.standing, Standing::Leaving(_)));
        let looks = vms.map(|vm| {
            let engine = engines.at(&vm.endpoint, tls);
            async move { (vm, async { look(engine?.as_ref()).await }.await) }
        });
        let mut adopted = Adopted::default();
        let mut allocation = (*snapshot.allocation).clone();
        let mut strange = Vec::new();
        for (vm, result) in join_all(looks).await {
            let mut seen = match result {
                Ok((_, seen)) => seen,
                Err(fault) => {
                    let message = format!("VM '{}' could not be looked at: {}", vm.name, fault.message);
                    adopted.warnings.push(message);
                    continue;
                }
            };
            let mut names = Vec::new();
            for one in seen.iter_mut().filter(|one| one.owner() == Some(owner)) {
                one.managed = true;
                names.push(one.name.clone());
                if !topology.tiers.contains_key(one.name.as_str()) {
                    strange.push(format!("'{}' on VM '{}'", one.name, vm.name));
                }
            }
            if names.is_empty() {
                continue;
            }
            let before = allocation.vms.get(&vm.name).cloned();
            let before =
                before.unwrap_or_else(|| Vm::empty(vm.ip.clone(), topology.infrastructure.size_of(&vm.name)));
            let mut now = as_seen(&topology, &before, &seen);
            // What is adopted is taken to have had its hooks, and to be made from what the topology says.
            for (tier, held) in &mut now.used {
                let now = topology.revisions.current(tier);
                held.revision = held.revision.take().or_else(|| now.cloned());
                held.owed = before.used.get(tier).map(|known| known.owed).unwrap_or_default();
            }
            allocation.vms.insert(vm.name.clone(), now);
            adopted.containers.insert(vm.name.clone(), names);
        }
        if adopted.containers.is_empty() {
            return Err(nothing_found(owner, &adopted.warnings));
        }
        if !strange.is_empty() {
            adopted.warnings.push(format!(
                "the topology has no tier for {}: they count against their VMs, and nothing is done to them until a \
                 topology names their tiers",
                strange.join(", ")
            ));
        }
        adopted.warnings.push(
            "should a mapek with that data directory still run anywhere, stop it: both would change the same \
             containers"
                .to_owned(),
        );
        let id = owner.to_owned();
        self.with_store(move |store| store.adopt(&id, &allocation, &snapshot, &by))
            .await?;
        owners.adopt(owner);
        tracing::warn!(
            owner,
            vms = adopted.containers.len(),
            "adopted the containers of another data directory"
        );
        Ok(adopted)
    }
}

fn nothing_found(owner: &str, unseen: &[String]) -> Fault {
    let mut message = format!(
        "no VM that answers has a container of owner {owner}; the label mapek.owner of a container says whose it is, \
         and so does GET /api/inspect"
    );
    for problem in unseen {
        message.push_str("; ");
        message.push_str(problem);
    }
    Fault::new(Code::NotFound, message).with([json!({ "owner": owner })])
}
