//! Whether the service can carry plans out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::cloud::CloudVm;
use crate::fault::Fault;
use crate::model::Topology;

use super::observed::identity::refuse_changed;
use super::{Service, Snapshot};

/// The service's parts, each with what prevents it from working.
pub type Readiness = [(&'static str, Option<String>); 4];

/// How long the result of a look is used.
const FRESH: Duration = Duration::from_secs(1);
/// How long the cloud, or an engine, is waited for.
const LIMIT: Duration = Duration::from_secs(5);

impl Service {
    /// Looks at each part. Requests within a second get the same answer: everyone may ask, and a
    /// look costs a write and calls to the cloud.
    pub async fn readiness(&self) -> Readiness {
        let mut last = self.inner.ready.lock().await;
        if let Some((at, readiness)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return readiness.clone();
        }
        let readiness = self.look_at_parts().await;
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }

    async fn look_at_parts(&self) -> Readiness {
        let snapshot = self.snapshot();
        let journal = self.with_store(|store| store.check()).await.err();
        let topology = snapshot.topology();
        let (cloud, engines) = match &topology {
            Ok(topology) => self.world_ready(&snapshot, topology).await,
            Err(_) => (None, None),
        };
        [
            ("journal", journal.map(|fault| fault.message)),
            ("topology", topology.err().map(|fault| fault.message)),
            ("cloud", cloud),
            ("engines", engines),
        ]
    }

    async fn world_ready(
        &self,
        snapshot: &Arc<Snapshot>,
        topology: &Arc<Topology>,
    ) -> (Option<String>, Option<String>) {
        let offer = async { self.offer(topology).await.map_err(|fault| fault.message) };
        let vms = match tokio::time::timeout(LIMIT, offer).await.unwrap_or_else(late) {
            Ok(offer) => offer.vms,
            Err(problem) => return (Some(problem), None),
        };
        // Engines of VMs that nothing is on yet do not matter at the moment.
        let used = vms
            .into_iter()
            .filter(|vm| snapshot.allocation.vms.contains_key(&vm.name));
        let looks = used.map(|vm| async move {
            let look = tokio::time::timeout(LIMIT, self.engine_ready(snapshot, topology, &vm));
            let answer = look.await.unwrap_or_else(late);
            answer.err().map(|problem| format!("VM '{}': {problem}", vm.name))
        });
        let mut problems: Vec<String> = join_all(looks).await.into_iter().flatten().collect();
        problems.extend(self.cut_off_told());
        (None, (!problems.is_empty()).then(|| problems.join("; ")))
    }

    async fn engine_ready(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        vm: &CloudVm,
    ) -> Result<(), String> {
        let tls = topology.infrastructure.docker.tls.as_ref();
        let engine = self
            .inner
            .platform
            .engines()
            .at(&vm.endpoint, tls)
            .map_err(|error| Fault::from(error).message)?;
        let asked = self.to_the_end(async move { Ok(engine.machine().await?) });
        let machine = asked.await.map_err(|fault| fault.message)?;
        // Plans are refused if another engine is in its place.
        let same = refuse_changed(
            &snapshot.allocation,
            &snapshot.engines,
            &vm.name,
            &machine.identity,
        );
        same.map_err(|fault| fault.message)
    }
}

fn late<T>(_: tokio::time::error::Elapsed) -> Result<T, String> {
    Err(format!("no answer within {} s", LIMIT.as_secs()))
}
