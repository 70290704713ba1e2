//! What is, before a plan: looked up from the cloud and from the engines.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::cloud::{CloudVm, Offer, check_shape};
use crate::engine::Observed;
use crate::execute::overlay;
use crate::fault::{Code, Fault};
use crate::model::problem::Warning;
use crate::model::{Allocation, Topology, VmId};

use super::members::members;
use super::{Service, Snapshot};

/// What is, before a plan.
pub(super) struct Reality {
    /// The VMs that there are, and what their engines say of them.
    pub allocation: Allocation,
    /// What was seen on them.
    pub seen: BTreeMap<VmId, Vec<Observed>>,
    /// What the plan's author should know.
    pub warnings: Vec<Warning>,
}

/// A warning about the world, not about a place in a document.
pub(super) fn told(problem: String) -> Warning {
    Warning {
        path: String::new(),
        problem,
    }
}

impl Service {
    /// What is: the confirmed allocation with the VMs that the cloud has, and with what their engines
    /// report in its place. A VM that does not answer is taken to be as confirmed; a plan that
    /// touches it is refused before anything is done. An idle one that does not answer is not used.
    pub(super) async fn reality(
        &self,
        snapshot: &Snapshot,
        topology: &Arc<Topology>,
        offer: &Offer,
    ) -> Result<Reality, Fault> {
        let infrastructure = &topology.infrastructure;
        let members = members(&snapshot.allocation, offer, infrastructure.vm);
        let mut allocation = members.allocation;
        let mut warnings: Vec<Warning> = Vec::new();
        for (vm, why) in members.gone {
            warnings.push(told(format!(
                "VM '{vm}' is gone ({why}): what it held is planned anew"
            )));
        }
        let vms: Vec<(CloudVm, bool)> = offer
            .vms
            .iter()
            .filter(|vm| allocation.vms.contains_key(&vm.name))
            .map(|vm| (vm.clone(), members.idle.contains(&vm.name)))
            .collect();
        let engines = self.inner.platform.engines();
        let (tls, shape, unit) = (
            infrastructure.docker.tls.clone(),
            infrastructure.vm,
            infrastructure.mem_unit_mb,
        );
        let looks = async move {
            let looks = vms.into_iter().map(|(vm, idle)| {
                let engine = engines.at(&vm.endpoint, tls.as_ref());
                async move {
                    let seen = async {
                        let engine = engine.map_err(Fault::from)?;
                        if idle {
                            check_shape(&engine.machine().await?, shape, unit)
                                .map_err(|problem| Fault::new(Code::ShapeTooLarge, problem))?;
                        }
                        Ok::<_, Fault>(engine.observe().await?)
                    };
                    (vm.name, idle, seen.await)
                }
            });
            Ok(join_all(looks).await)
        };
        let mut seen = BTreeMap::new();
        for (vm, idle, result) in self.to_the_end(looks).await? {
            match result {
                Ok(observed) => {
                    overlay(topology, &mut allocation, &vm, &observed);
                    seen.insert(vm, observed);
                }
                Err(error) if idle => {
                    allocation.vms.remove(&vm);
                    warnings.push(told(format!(
                        "VM '{vm}' is idle and is not used: {}",
                        error.message
                    )));
                }
                Err(error) => tracing::warn!(%vm, %error, "planning without having seen what runs there"),
            }
        }
        Ok(Reality {
            allocation,
            seen,
            warnings,
        })
    }
}
