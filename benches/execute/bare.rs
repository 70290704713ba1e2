//! A bare Docker client: the calls that it takes, as many at the same time as `mapek` makes, and
//! nothing else.

use std::sync::Arc;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::daemons::Lab;
use crate::images::BUSYBOX;

/// As many calls at the same time as `mapek` makes by default, overall and for each engine.
const PARALLEL: usize = 16;
const PARALLEL_ON_VM: usize = 4;
const UNIT: i64 = 64 << 20;

/// A client of every engine.
pub struct Bare {
    engines: Vec<(Docker, Semaphore)>,
    all: Arc<Semaphore>,
}

impl Bare {
    /// For all VMs of the lab.
    pub fn of(lab: &Lab) -> Self {
        let client = |vm: &crate::daemons::Vm| {
            let docker = Docker::connect_with_http(&vm.endpoint(), 60, API_DEFAULT_VERSION).unwrap();
            (docker, Semaphore::new(PARALLEL_ON_VM))
        };
        Self {
            engines: lab.vms.iter().map(client).collect(),
            all: Arc::new(Semaphore::new(PARALLEL)),
        }
    }

    async fn each<'a, W: Future<Output = ()>>(
        &'a self,
        count: usize,
        work: impl Fn(&'a Docker, String) -> W,
    ) {
        let work = &work;
        let containers = self.engines.iter().flat_map(|(docker, turns)| {
            (0..count).map(move |number| async move {
                let _turn = turns.acquire().await.unwrap();
                let _one = self.all.acquire().await.unwrap();
                work(docker, format!("bare_{number}")).await;
            })
        });
        join_all(containers).await;
    }

    /// Makes, starts and looks at `count` containers on each engine.
    pub async fn create(&self, count: usize) {
        self.each(count, async |docker: &Docker, name: String| {
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            docker.create_container(Some(options), body()).await.unwrap();
            docker.start_container(&name, None).await.unwrap();
            let seen = docker.inspect_container(&name, None).await.unwrap();
            assert_eq!(seen.state.unwrap().running, Some(true));
        })
        .await;
    }

    /// Stops and removes them.
    pub async fn remove(&self, count: usize) {
        self.each(count, async |docker: &Docker, name: String| {
            docker
                .stop_container(&name, None::<StopContainerOptions>)
                .await
                .unwrap();
            let options = RemoveContainerOptionsBuilder::new().v(true).build();
            docker.remove_container(&name, Some(options)).await.unwrap();
        })
        .await;
    }

    /// Gives a container of the first engine so many memory units.
    pub async fn resize(&self, name: &str, units: i64) {
        let update = ContainerUpdateBody {
            memory: Some(units * UNIT),
            memory_swap: Some(units * UNIT),
            nano_cpus: Some(500_000_000),
            ..ContainerUpdateBody::default()
        };
        self.engines[0].0.update_container(name, update).await.unwrap();
    }

    /// The same, and reads it back.
    pub async fn resize_and_look(&self, name: &str, units: i64) {
        self.resize(name, units).await;
        let seen = self.engines[0].0.inspect_container(name, None).await.unwrap();
        assert_eq!(seen.host_config.unwrap().memory, Some(units * UNIT));
    }
}

/// What `mapek` would make of a tier that idles.
fn body() -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(BUSYBOX.to_owned()),
        cmd: Some(["sleep", "100000"].map(str::to_owned).to_vec()),
        host_config: Some(HostConfig {
            memory: Some(UNIT),
            memory_swap: Some(UNIT),
            nano_cpus: Some(500_000_000),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                ..RestartPolicy::default()
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}
