//! The throw-away container. Pure.

use std::time::Duration;

use crate::engine::{ContainerSpec, CpuLimit, Fixed, HOOKS_FOLDER, Limits};
use crate::model::topology::{Tier, registry_of};
use crate::model::{Size, Topology};

/// As the tier's own containers, but for what would reach out of it: it publishes no port and mounts no volume, so it is
/// not probed from outside either, and its name is its own.
pub fn container(topology: &Topology, tier: &Tier, name: &str, size: Size) -> ContainerSpec {
    let memory = size.mem.saturating_mul(topology.infrastructure.mem_unit_mb);
    let mut volumes = Vec::new();
    if tier.runtime.read_only == Some(true) {
        volumes.push(HOOKS_FOLDER.to_owned());
    }
    ContainerSpec {
        name: name.to_owned(),
        app: tier.app.clone(),
        tier: tier.key.clone(),
        revision: None,
        image: tier.image.clone(),
        login: topology
            .infrastructure
            .registries
            .get(registry_of(&tier.image))
            .cloned(),
        limits: Limits {
            cpu: CpuLimit::Quota(size.cpu),
            memory: memory.saturating_mul(1024 * 1024),
        },
        ports: Vec::new(),
        arguments: tier.arguments.clone(),
        entrypoint: tier.entrypoint.clone(),
        environment: tier.environment.clone(),
        volumes,
        healthcheck: tier.healthcheck.clone(),
        probe: None,
        bake: Duration::ZERO,
        stop_grace_s: Some(0),
        labels: tier.labels.clone(),
        user: tier.user.clone(),
        runtime: tier.runtime.clone(),
        extra_hosts: Vec::new(),
        // Whatever disk and GPUs the tier has are others' here.
        fixed: Fixed::default(),
        digest: None,
    }
}
