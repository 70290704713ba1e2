//! AWS Auto Scaling groups: VMs are the members of one group.
//!
//! | file | purpose | pure |
//! |---|---|---|
//! | `group` | a group and its members, in our own terms | yes |
//! | `growth` | scaling out as decisions over a note and a group | yes |
//! | `remarks` | what stands in the way, and what an owner should know | yes |
//! | `calls` | the calls of AWS by name | yes |
//! | `errors` | AWS's refusals, and what to do about them | table: yes |
//! | `grow`, `shrink` | scaling out, scaling in | |
//! | `api`, `aws`, `ec2`, `connect`, `credentials` | the calls of AWS | |
//! | `measure` | counts and times them | |
//!
//! The state of the group is AWS's: nothing is kept here that could not be looked up again, except
//! what an execution's notebook holds.

mod api;
mod aws;
mod calls;
mod connect;
mod credentials;
mod ec2;
mod errors;
mod group;
mod grow;
mod growth;
#[cfg(debug_assertions)]
mod killing;
mod measure;
mod remarks;
mod shrink;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Change, Cloud, CloudError, CloudVm, Forecast, More, Notebook, Offer, Standing};
use crate::engine::Engines;
use crate::meter::Calls;
use crate::model::topology::{AutoScaling, Infrastructure, Tls};
use crate::model::{Size, VmId};

pub use api::Api;
use errors::misconfigured;
pub use group::{Addresses, FailedLaunch, Group, Life, LifecycleHook, Member, Traits};
use remarks::Surroundings;

/// How old an observation may be for an offer.
const FRESH: Duration = Duration::from_secs(2);

/// One Auto Scaling group.
pub struct AutoScalingGroup {
    spec: AutoScaling,
    template: String,
    tls: Option<Tls>,
    vm: Size,
    mem_unit_mb: u64,
    engines: Arc<dyn Engines>,
    api: Box<dyn Api>,
    /// The last observation. If somebody is looking already, others wait for the result.
    seen: tokio::sync::Mutex<Option<(Instant, Group)>>,
    /// Recent failed launches, looked up now and then.
    launches: tokio::sync::Mutex<Option<(Instant, Vec<FailedLaunch>)>>,
    /// Addresses of instances: they do not change during an instance's life.
    places: Mutex<BTreeMap<String, Addresses>>,
    /// Members known to be protected.
    kept: Mutex<BTreeSet<String>>,
    /// Held by whoever changes the group's size.
    resizing: tokio::sync::Mutex<()>,
}

impl AutoScalingGroup {
    /// The group of the topology. Calls to AWS are measured into `calls`. Nothing is read, and no
    /// connection made, yet.
    #[must_use]
    pub fn new(
        spec: AutoScaling,
        infrastructure: &Infrastructure,
        engines: Arc<dyn Engines>,
        calls: Calls,
    ) -> Self {
        let aws = aws::Aws::new(spec.clone(), calls);
        #[cfg(debug_assertions)]
        let api: Box<dyn Api> = match killing::KillingApi::around(aws) {
            Ok(killing) => Box::new(killing),
            Err(aws) => Box::new(aws),
        };
        #[cfg(not(debug_assertions))]
        let api: Box<dyn Api> = Box::new(aws);
        Self::with(spec, infrastructure, engines, api)
    }

    /// The same, with other calls than AWS's, such as those of a simulation.
    #[must_use]
    pub fn with(
        spec: AutoScaling,
        infrastructure: &Infrastructure,
        engines: Arc<dyn Engines>,
        api: Box<dyn Api>,
    ) -> Self {
        let docker = &infrastructure.docker;
        let usual = match docker.tls {
            Some(_) => "https://{private_ip}:2376",
            None => "tcp://{private_ip}:2375",
        };
        Self {
            spec,
            template: docker.endpoint.clone().unwrap_or_else(|| usual.to_owned()),
            tls: docker.tls.clone(),
            vm: infrastructure.vm,
            mem_unit_mb: infrastructure.mem_unit_mb,
            engines,
            api,
            seen: tokio::sync::Mutex::default(),
            launches: tokio::sync::Mutex::default(),
            places: Mutex::default(),
            kept: Mutex::default(),
            resizing: tokio::sync::Mutex::default(),
        }
    }

    /// The group as it was at most `age` ago.
    async fn look(&self, age: Duration) -> Result<Group, CloudError> {
        let mut seen = self.seen.lock().await;
        if let Some((at, group)) = seen.as_ref()
            && at.elapsed() < age
        {
            return Ok(group.clone());
        }
        *seen = None;
        let group = self.api.group().await?;
        if let Some(unit) = &group.traits.counted_in {
            return Err(misconfigured(format!(
                "the capacity of group '{}' is counted in {unit}, not in instances: mapek needs a group in which \
                 every instance counts as one",
                self.spec.group
            )));
        }
        let member = |id: &String| group.members.contains_key(id);
        self.lock_places().retain(|id, _| member(id));
        self.lock_kept()
            .retain(|id| group.members.get(id).is_some_and(|member| member.protected));
        *seen = Some((Instant::now(), group.clone()));
        Ok(group)
    }

    /// The last observation no longer holds.
    async fn forget(&self) {
        *self.seen.lock().await = None;
    }

    /// The addresses of these instances that EC2 knows so far.
    async fn places(&self, instances: &[String]) -> Result<BTreeMap<String, Addresses>, CloudError> {
        let unknown: Vec<String> = {
            let known = self.lock_places();
            instances
                .iter()
                .filter(|id| !known.contains_key(*id))
                .cloned()
                .collect()
        };
        if !unknown.is_empty() {
            let found = self.api.addresses(&unknown).await?;
            // An instance without an address yet is asked for again.
            let complete = found.into_iter().filter(|(id, addresses)| {
                addresses.ip().is_some() && addresses.fill(&self.template, id).is_some()
            });
            self.lock_places().extend(complete);
        }
        let known = self.lock_places();
        Ok(instances
            .iter()
            .filter_map(|id| Some((id.clone(), known.get(id)?.clone())))
            .collect())
    }

    fn vm_at(&self, instance: &str, addresses: &Addresses, standing: Standing) -> Option<CloudVm> {
        Some(CloudVm {
            name: VmId::new(instance),
            ip: Some(addresses.ip()?.to_owned()),
            endpoint: addresses.fill(&self.template, instance)?,
            standing,
            about: addresses.about.clone(),
        })
    }

    fn lock_places(&self) -> MutexGuard<'_, BTreeMap<String, Addresses>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_kept(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cloud for AutoScalingGroup {
    async fn offer(&self) -> Result<Offer, CloudError> {
        let group = self.look(FRESH).await?;
        let ids: Vec<String> = group.members.keys().cloned().collect();
        let places = self.places(&ids).await?;
        let vms = group.members.iter().map(|(id, member)| {
            let at = places
                .get(id)
                .and_then(|addresses| self.vm_at(id, addresses, member.standing()));
            at.unwrap_or_else(|| CloudVm {
                name: VmId::new(id),
                ip: None,
                endpoint: String::new(),
                standing: match member.standing() {
                    Standing::Ready => Standing::Aside("it has no address yet".to_owned()),
                    standing => standing,
                },
                about: crate::model::About::default(),
            })
        });
        let managed = self.spec.manage_max_size;
        Ok(Offer {
            vms: vms.collect(),
            more: More::Anonymous {
                at_most: group.room(managed),
            },
            removable: Some(group.removable()),
            bounds: remarks::bounds(&self.spec.group, &group, managed),
        })
    }

    async fn forecast(&self, change: &Change) -> Result<Forecast, CloudError> {
        let group = self.look(FRESH).await?;
        let mut around = Surroundings {
            hooks: Ok(Vec::new()),
            rivals: Ok(Vec::new()),
        };
        if change.remarks {
            let (hooks, rivals) = futures_util::future::join(self.api.hooks(), self.api.rivals()).await;
            around = Surroundings {
                hooks: hooks.map_err(|error| error.message),
                rivals: rivals.map_err(|error| error.message),
            };
        }
        Ok(remarks::forecast(&self.spec, &group, &around, change))
    }

    async fn ensure_vm(&self, name: &VmId, notebook: &dyn Notebook) -> Result<CloudVm, CloudError> {
        self.grow(name, notebook).await
    }

    async fn abandon_vm(&self, name: &VmId, notebook: &dyn Notebook) -> Result<(), CloudError> {
        self.abandon(name, notebook).await
    }

    async fn ensure_vm_absent(&self, name: &VmId) -> Result<(), CloudError> {
        self.shrink(name).await
    }

    async fn ensure_kept(&self, vms: &BTreeSet<VmId>) -> Result<(), CloudError> {
        let sure = {
            let kept = self.lock_kept();
            vms.iter().all(|vm| kept.contains(vm.as_str()))
        };
        if sure {
            return Ok(());
        }
        let group = self.look(FRESH).await?;
        let bare = group.unprotected(vms);
        if !bare.is_empty() {
            tracing::info!(
                group = self.spec.group,
                instances = bare.join(", "),
                "protecting from scale-in"
            );
            let protected = self.api.protect(&bare, true).await;
            self.forget().await;
            protected?;
        }
        let serving = vms.iter().filter(|vm| group.members.contains_key(vm.as_str()));
        self.lock_kept().extend(serving.map(ToString::to_string));
        Ok(())
    }
}
