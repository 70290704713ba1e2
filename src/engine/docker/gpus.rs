//! GPUs in Docker's terms: which of them a container is given, and which it has.
//!
//! A GPU belongs to one container. Docker lets several have the same one, so which are free is looked up before a
//! container is made, one container of an engine after the other. Docker can't say which GPUs a machine has: they are
//! numbered from 0, and how many there are is for the topology to say.

use std::collections::BTreeSet;

use bollard::models::{DeviceRequest, HostConfig};
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::call::Caller;
use super::look::{self, Found};
use crate::engine::{EngineError, State};

/// Docker's word for a device that computes.
const GPU: &str = "gpu";

/// The GPUs that a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpus {
    /// By the names that they were asked for by: mostly numbers.
    ids: BTreeSet<String>,
    /// All that there are.
    all: bool,
}

impl Gpus {
    /// Those of a container that was made so.
    pub fn of(host: &HostConfig) -> Self {
        let mut gpus = Self::default();
        for request in host.device_requests.iter().flatten().filter(|one| is_gpu(one)) {
            let named = request.device_ids.iter().flatten();
            gpus.ids.extend(named.cloned());
            match request.count.unwrap_or(0) {
                // The first so many.
                count if count > 0 => gpus.ids.extend((0..count).map(|number| number.to_string())),
                0 => {}
                _ => gpus.all = true,
            }
        }
        gpus
    }

    /// How many these are; more than any machine has where it is all of them.
    pub fn count(&self) -> u64 {
        match self.all {
            true => u64::from(crate::model::units::MOST),
            false => u64::try_from(self.ids.len()).unwrap_or(u64::MAX),
        }
    }

    /// Whether both have one in common.
    fn meets(&self, other: &Self) -> bool {
        let some = |gpus: &Self| gpus.all || !gpus.ids.is_empty();
        some(self) && some(other) && (self.all || other.all || !self.ids.is_disjoint(&other.ids))
    }

    /// So many with the lowest numbers that are not among these; those of `own` first.
    fn choose(&self, wanted: u64, own: &Self) -> Self {
        let kept = own.ids.iter().filter(|id| !self.ids.contains(*id)).cloned();
        let numbers = (0_u32..).map(|number| number.to_string());
        let free = numbers.filter(|id| !self.ids.contains(id) && !own.ids.contains(id));
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        Self {
            ids: kept.chain(free).take(wanted).collect(),
            all: false,
        }
    }

    /// As Docker is asked for them; None where there are none.
    pub fn request(self) -> Option<DeviceRequest> {
        (!self.ids.is_empty()).then(|| DeviceRequest {
            device_ids: Some(self.ids.into_iter().collect()),
            capabilities: Some(vec![vec![GPU.to_owned()]]),
            ..DeviceRequest::default()
        })
    }
}

fn is_gpu(request: &DeviceRequest) -> bool {
    let capabilities = request.capabilities.iter().flatten().flatten();
    request.driver.as_deref() == Some("nvidia") || capabilities.into_iter().any(|one| one == GPU)
}

/// GPUs for a container that is to be made: free ones, and those of its predecessor where it takes that one's place.
pub async fn choose(caller: &Caller, wanted: u64, predecessor: Option<&str>) -> Result<Gpus, EngineError> {
    if wanted == 0 {
        return Ok(Gpus::default());
    }
    let mut taken = Gpus::default();
    let mut own = Gpus::default();
    for container in holding(caller, true).await? {
        let gpus = Gpus::of(&container.host);
        if predecessor == Some(container.seen.name.as_str()) {
            own = gpus;
        } else {
            taken.ids.extend(gpus.ids);
        }
    }
    Ok(taken.choose(wanted, &own))
}

/// Whether another container has a GPU that this one is about to use.
pub async fn contested(caller: &Caller, found: &Found) -> Result<bool, EngineError> {
    let gpus = Gpus::of(&found.host);
    if gpus == Gpus::default() {
        return Ok(false);
    }
    let others = holding(caller, false).await?;
    let mut others = others.iter().filter(|other| other.seen.id != found.seen.id);
    Ok(others.any(|other| Gpus::of(&other.host).meets(&gpus)))
}

/// The containers that hold what they have; with `made`, also ours that are made and not started yet: several are made and
/// started at the same time, and each is to have its own.
async fn holding(caller: &Caller, made: bool) -> Result<Vec<Found>, EngineError> {
    let options = ListContainersOptionsBuilder::new().all(made).build();
    let listed = caller.look("list containers", caller.docker.list_containers(Some(options)));
    let mut found = Vec::new();
    for id in listed.await?.into_iter().filter_map(|one| one.id) {
        // One that is gone by now holds nothing.
        let one = look::one(caller, &id).await?;
        found.extend(one.filter(|one| {
            let waits = made && one.seen.managed && one.seen.state == State::Created;
            waits || one.seen.state.holds()
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus(ids: &[&str]) -> Gpus {
        Gpus {
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            all: false,
        }
    }

    fn host(request: DeviceRequest) -> HostConfig {
        HostConfig {
            device_requests: Some(vec![request]),
            ..HostConfig::default()
        }
    }

    #[test]
    fn free_gpus_are_those_that_nobody_has() {
        assert_eq!(gpus(&["0", "2"]).choose(2, &Gpus::default()), gpus(&["1", "3"]));
        assert_eq!(gpus(&["GPU-7f3a"]).choose(1, &Gpus::default()), gpus(&["0"]));
        // Whoever takes another's place takes its GPUs, and more where it is to have more.
        assert_eq!(gpus(&["0"]).choose(1, &gpus(&["3"])), gpus(&["3"]));
        assert_eq!(gpus(&["0"]).choose(3, &gpus(&["3"])), gpus(&["1", "2", "3"]));
        // What somebody else has by now is nobody's to keep.
        assert_eq!(gpus(&["3"]).choose(1, &gpus(&["3"])), gpus(&["0"]));
    }

    #[test]
    fn what_is_asked_of_docker_is_read_back_as_the_same() {
        let request = gpus(&["1", "3"]).request().unwrap_or_default();
        assert_eq!(request.device_ids, Some(vec!["1".to_owned(), "3".to_owned()]));
        let read = Gpus::of(&host(request));
        assert_eq!((read.count(), read), (2, gpus(&["1", "3"])));
        assert_eq!(Gpus::default().request(), None);
    }

    #[test]
    fn gpus_of_others_are_counted_however_they_asked_for_them() {
        let by_count = |count: i64| {
            let request = DeviceRequest {
                driver: Some("nvidia".to_owned()),
                count: Some(count),
                ..DeviceRequest::default()
            };
            Gpus::of(&host(request))
        };
        assert_eq!(by_count(2), gpus(&["0", "1"]));
        assert!(by_count(-1).count() > 1_000 && by_count(-1).meets(&gpus(&["5"])));
        assert!(!by_count(2).meets(&gpus(&["2"])) && by_count(2).meets(&gpus(&["1"])));
        let camera = DeviceRequest {
            driver: Some("cam".to_owned()),
            count: Some(1),
            ..DeviceRequest::default()
        };
        assert_eq!(Gpus::of(&host(camera)), Gpus::default());
    }
}
