//! Machines that registered themselves: taken into use and released as hosts are. Whether one is there is for whoever
//! keeps the registrations to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::hosts::Hosts;
use super::{Cloud, CloudError, CloudVm, Notebook, Offer, Standing};
use crate::engine::Engines;
use crate::model::topology::{Host, Infrastructure, Registered};
use crate::model::{About, Registration, VmId};

/// The machines that have registered themselves.
pub struct RegisteredNodes {
    hosts: Hosts,
    about: BTreeMap<VmId, (About, Standing)>,
}

impl RegisteredNodes {
    /// These machines. Nothing is dialled yet.
    #[must_use]
    pub fn new(nodes: &Registered, infrastructure: &Infrastructure, engines: Arc<dyn Engines>) -> Self {
        let host = |(name, node): (&VmId, &Arc<Registration>)| {
            let size = infrastructure.size_of(name);
            Host {
                name: name.clone(),
                docker: node.endpoint.clone(),
                ip: node.ip.clone(),
                labels: node.labels.clone(),
                cpu: Some(size.cpu),
                mem: Some(size.mem),
                disk_gb: Some(size.disk_gb),
                gpus: Some(size.gpus),
            }
        };
        let about = |(name, node): (&VmId, &Arc<Registration>)| {
            let about = About {
                labels: node.labels.clone(),
                capabilities: node.capabilities.clone(),
            };
            let standing = if node.left {
                Standing::Departing("it has said that it leaves".to_owned())
            } else {
                Standing::Ready
            };
            (name.clone(), (about, standing))
        };
        let hosts = nodes.members.iter().map(host).collect();
        Self {
            hosts: Hosts::new(hosts, infrastructure, engines).called("node"),
            about: nodes.members.iter().map(about).collect(),
        }
    }

    fn told(&self, vm: CloudVm) -> CloudVm {
        match self.about.get(&vm.name) {
            Some((about, standing)) => CloudVm {
                about: about.clone(),
                standing: standing.clone(),
                ..vm
            },
            None => vm,
        }
    }
}

#[async_trait]
impl Cloud for RegisteredNodes {
    async fn offer(&self) -> Result<Offer, CloudError> {
        let offer = self.hosts.offer().await?;
        let vms = offer.vms.into_iter().map(|vm| self.told(vm)).collect();
        Ok(Offer { vms, ..offer })
    }

    async fn ensure_vm(&self, name: &VmId, notebook: &dyn Notebook) -> Result<CloudVm, CloudError> {
        Ok(self.told(self.hosts.ensure_vm(name, notebook).await?))
    }

    async fn ensure_vm_absent(&self, name: &VmId) -> Result<(), CloudError> {
        self.hosts.ensure_vm_absent(name).await
    }
}
