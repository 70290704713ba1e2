//! Machines that already exist: they are taken into use and released, never made or deleted.

use std::sync::Arc;

use async_trait::async_trait;

use super::capacity::check_shape;
use super::{Cloud, CloudError, CloudErrorKind, CloudVm, Notebook, Offer, Standing};
use crate::engine::endpoint::Endpoint;
use crate::engine::{Effect, Engine, EngineError, EngineErrorKind, Engines};
use crate::model::topology::{Host, Infrastructure, Tls};
use crate::model::{About, Size, VmId};

/// The hosts of a topology.
pub struct Hosts {
    hosts: Vec<Host>,
    vm: Size,
    mem_unit_mb: u64,
    tls: Option<Tls>,
    engines: Arc<dyn Engines>,
    /// What one is called.
    noun: &'static str,
}

impl Hosts {
    /// These hosts, each with the shape that the infrastructure gives it. No connection is made
    /// yet.
    #[must_use]
    pub fn new(hosts: Vec<Host>, infrastructure: &Infrastructure, engines: Arc<dyn Engines>) -> Self {
        Self {
            hosts,
            vm: infrastructure.vm,
            mem_unit_mb: infrastructure.mem_unit_mb,
            tls: infrastructure.docker.tls.clone(),
            engines,
            noun: "host",
        }
    }

    /// The same, of machines that are called otherwise.
    pub(super) fn called(self, noun: &'static str) -> Self {
        Self { noun, ..self }
    }

    fn host(&self, name: &VmId) -> Result<&Host, CloudError> {
        self.hosts
            .iter()
            .find(|host| host.name == *name)
            .ok_or_else(|| CloudError {
                message: format!("there is no {} '{name}'", self.noun),
                kind: CloudErrorKind::Misconfigured,
                effect: Effect::None,
            })
    }

    fn engine(&self, host: &Host) -> Result<Arc<dyn Engine>, CloudError> {
        self.engines
            .at(&host.docker, self.tls.as_ref())
            .map_err(|error| self.because(&host.name, error))
    }

    fn because(&self, name: &VmId, error: EngineError) -> CloudError {
        because(self.noun, name, error)
    }
}

#[async_trait]
impl Cloud for Hosts {
    /// Every host. If a host on a unix socket has no address in the topology, its engine is asked;
    /// if that does not answer, the address stays unknown.
    async fn offer(&self) -> Result<Offer, CloudError> {
        let vms = self.hosts.iter().map(|host| async {
            let ip = match written_address(host) {
                Some(ip) => Some(ip),
                None => match self.engine(host)?.machine().await {
                    Ok(machine) => Some(local_address(machine.gateway)),
                    Err(error) => {
                        tracing::warn!(host = %host.name, %error, "the address of a host is unknown");
                        None
                    }
                },
            };
            Ok(CloudVm {
                name: host.name.clone(),
                ip,
                endpoint: host.docker.clone(),
                standing: Standing::Ready,
                about: about(host),
            })
        });
        Ok(Offer::of_named(futures_util::future::try_join_all(vms).await?))
    }

    /// Checks that the host's engine answers and that the machine has what the topology claims.
    async fn ensure_vm(&self, name: &VmId, _notebook: &dyn Notebook) -> Result<CloudVm, CloudError> {
        let host = self.host(name)?;
        let machine = self
            .engine(host)?
            .machine()
            .await
            .map_err(|error| self.because(name, error))?;
        check_shape(&machine, host.size(self.vm), self.mem_unit_mb).map_err(|problem| CloudError {
            message: format!("{} '{name}' can't be taken into use: {problem}", self.noun),
            kind: CloudErrorKind::Misconfigured,
            effect: Effect::None,
        })?;
        Ok(CloudVm {
            name: name.clone(),
            ip: Some(written_address(host).unwrap_or_else(|| local_address(machine.gateway))),
            endpoint: host.docker.clone(),
            standing: Standing::Ready,
            about: about(host),
        })
    }

    /// Releases the host. Nothing is done to it. Refused while containers that `mapek` made are
    /// still on it. A host that the topology no longer names is already released.
    async fn ensure_vm_absent(&self, name: &VmId) -> Result<(), CloudError> {
        let Ok(host) = self.host(name) else { return Ok(()) };
        let seen = self
            .engine(host)?
            .observe()
            .await
            .map_err(|error| self.because(name, error))?;
        let left: Vec<String> = seen
            .into_iter()
            .filter(|container| container.managed)
            .map(|container| container.name)
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(CloudError {
            message: format!(
                "{} '{name}' can't be released: containers that mapek made are still on it: {}",
                self.noun,
                left.join(", ")
            ),
            kind: CloudErrorKind::Refused,
            effect: Effect::None,
        })
    }
}

/// What the topology says about it.
fn about(host: &Host) -> About {
    About {
        labels: host.labels.clone(),
        ..About::default()
    }
}

/// The address from the topology, or else from the endpoint.
fn written_address(host: &Host) -> Option<String> {
    host.ip
        .clone()
        .or_else(|| Endpoint::parse(&host.docker).ok()?.host().map(str::to_owned))
}

/// The address of this machine itself. Containers must reach it, too, so the gateway of their
/// network is better than the loopback address, which is a different machine inside each container.
fn local_address(gateway: Option<String>) -> String {
    gateway.unwrap_or_else(|| "127.0.0.1".to_owned())
}

fn because(noun: &str, name: &VmId, error: EngineError) -> CloudError {
    CloudError {
        message: format!("the engine of {noun} '{name}': {error}"),
        kind: match error.kind {
            EngineErrorKind::Misconfigured => CloudErrorKind::Misconfigured,
            EngineErrorKind::TimedOut => CloudErrorKind::TimedOut,
            EngineErrorKind::Failing => CloudErrorKind::Failing,
            EngineErrorKind::Unreachable | EngineErrorKind::Garbled => CloudErrorKind::Unreachable,
            EngineErrorKind::Foreign
            | EngineErrorKind::Image
            | EngineErrorKind::Secret
            | EngineErrorKind::Refused
            | EngineErrorKind::Unhealthy
            | EngineErrorKind::Down
            | EngineErrorKind::Mismatch
            | EngineErrorKind::InUse
            | EngineErrorKind::Missing => CloudErrorKind::Refused,
        },
        effect: error.effect,
    }
}
