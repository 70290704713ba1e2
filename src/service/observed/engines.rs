//! Which engines the VMs have, compared with those that are known.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::fault::Fault;
use crate::model::Topology;
use crate::model::topology::Cloud as CloudSpec;

use crate::service::observed::identity::{self, refuse_changed, refuse_shared};
use crate::service::observed::look::{AT_ONCE, Look};
use crate::service::{Service, Snapshot};

/// How long a host is waited for when a topology is put. One that does not answer is looked at
/// before it is used.
const PATIENCE_AT_PUT: Duration = Duration::from_secs(3);

impl Service {
    /// Finds out which engines the hosts of a topology have, as far as they answer.
    ///
    /// # Errors
    ///
    /// When two hosts have the same, or one in use has another than before.
    pub(in crate::service) async fn check_engines(&self, topology: &Topology) -> Result<(), Fault> {
        let CloudSpec::Hosts(hosts) = &topology.infrastructure.cloud else {
            return Ok(());
        };
        let engines = self.inner.platform.engines();
        let tls = topology.infrastructure.docker.tls.as_ref();
        let looks = hosts.clone().into_iter().map(|host| {
            let engine = engines.at(&host.docker, tls);
            async move {
                let machine = tokio::time::timeout(PATIENCE_AT_PUT, engine.ok()?.machine()).await;
                Some((host.name, machine.ok()?.ok()?.identity))
            }
        });
        let seen: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        let seen: identity::Engines = seen.into_iter().flatten().collect();
        refuse_shared(&seen)?;
        let snapshot = self.snapshot();
        seen.iter()
            .try_for_each(|(vm, now)| refuse_changed(&snapshot.allocation, &snapshot.engines, vm, now))
    }

    /// Compares the engines with those that were known, and remembers them.
    pub(super) async fn know_engines(&self, snapshot: &Snapshot, looks: &[Look]) -> Result<(), Fault> {
        let seen: identity::Engines = looks
            .iter()
            .filter_map(|look| {
                Some((
                    look.vm.name.clone(),
                    look.result.as_ref().ok()?.0.identity.clone(),
                ))
            })
            .collect();
        refuse_shared(&seen)?;
        for (vm, now) in &seen {
            refuse_changed(&snapshot.allocation, &snapshot.engines, vm, now)?;
        }
        let news = identity::news(&snapshot.engines, &seen);
        if news.is_empty() {
            return Ok(());
        }
        self.with_store(move |store| store.know_engines(news)).await
    }
}
