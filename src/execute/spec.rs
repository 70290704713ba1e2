//! What a container of a tier should be like. Pure.

use std::time::Duration;

use crate::engine::probe::Target;
use crate::engine::{ContainerSpec, CpuLimit, Fixed, HOOKS_FOLDER, Limits};
use crate::model::topology::{CpuMode, Login, Tier, registry_of};
use crate::model::{Allocation, Container, CoreSet, RevisionId, Size, TierId, Topology, VmId};

/// Limits for a size: pinned cores, or a share of all; memory in bytes.
#[must_use]
pub fn limits(topology: &Topology, size: Size, cores: &CoreSet) -> Limits {
    let cpu = match topology.infrastructure.cpu_mode {
        CpuMode::Cpuset => CpuLimit::Cores(cores.clone()),
        CpuMode::Quota => CpuLimit::Quota(size.cpu),
    };
    Limits {
        cpu,
        memory: memory(topology, size),
    }
}

/// Bytes of memory of a size.
#[must_use]
pub fn memory(topology: &Topology, size: Size) -> u64 {
    size.mem
        .saturating_mul(topology.infrastructure.mem_unit_mb)
        .saturating_mul(1024 * 1024)
}

/// A container of a tier at a revision, from the image with this digest where that is said, on `vm`. `allocation` is what runs now: it says where the
/// dependencies are. None if the topology does not have the tier.
#[must_use]
pub fn container(
    topology: &Topology,
    id: &TierId,
    (revision, digest): (Option<&RevisionId>, Option<&str>),
    vm: &VmId,
    (size, cores): (Size, &CoreSet),
    allocation: &Allocation,
) -> Option<ContainerSpec> {
    let (tier, revision) = topology.made_as(id, revision)?;
    Some(ContainerSpec {
        name: tier.id.as_str().to_owned(),
        app: tier.app.clone(),
        tier: tier.key.clone(),
        revision: revision.cloned(),
        image: tier.image.clone(),
        digest: digest.map(str::to_owned),
        login: login(topology, &tier.image),
        limits: limits(topology, size, cores),
        fixed: Fixed {
            disk_gb: size.disk_gb,
            gpus: size.gpus,
        },
        ports: tier.ports.clone(),
        arguments: tier.arguments.clone(),
        entrypoint: tier.entrypoint.clone(),
        environment: tier.environment.clone(),
        volumes: volumes(tier),
        healthcheck: tier.healthcheck.clone(),
        probe: probe(tier, vm, allocation),
        bake: Duration::from_secs(tier.bake_s.into()),
        stop_grace_s: tier.stop_grace_s,
        labels: tier.labels.clone(),
        user: tier.user.clone(),
        runtime: tier.runtime.clone(),
        extra_hosts: topology.addresses(tier, allocation),
    })
}

/// A container as the record has it, with the addresses that it was made with: started again, it is the same one.
#[must_use]
pub fn held(
    topology: &Topology,
    id: &TierId,
    vm: &VmId,
    held: &Container,
    allocation: &Allocation,
) -> Option<ContainerSpec> {
    let mut spec = container(
        topology,
        id,
        (held.revision.as_ref(), held.digest.as_deref()),
        vm,
        (held.size, &held.cores),
        allocation,
    )?;
    if let (Some(known), Some((tier, _))) = (&held.addresses, topology.made_as(id, held.revision.as_ref())) {
        let pair = |name: &String| Some((name.clone(), known.get(name)?.clone()));
        let names = topology.addressed(tier).map(|dependency| &dependency.key);
        spec.extra_hosts = names.filter_map(pair).collect();
    }
    Some(spec)
}

/// The user name for an image's registry, if the topology has one.
#[must_use]
pub fn login(topology: &Topology, image: &str) -> Option<Login> {
    let registries = &topology.infrastructure.registries;
    registries.get(registry_of(image)).cloned()
}

/// The tier's probe at the VM's address. A VM without a known address is assumed to be this
/// machine.
fn probe(tier: &Tier, vm: &VmId, allocation: &Allocation) -> Option<Target> {
    let ip = allocation.vms.get(vm).and_then(|vm| vm.ip.clone());
    Some(Target {
        vm: ip.unwrap_or_else(|| "127.0.0.1".to_owned()),
        probe: tier.probe.clone()?,
    })
}

/// The tier's volumes. If hooks are run in a container whose root can't be written to, they get a
/// volume of their own, which is removed with the container.
fn volumes(tier: &Tier) -> Vec<String> {
    let mut volumes = tier.volumes.clone();
    if tier.hooks().next().is_some() && tier.runtime.read_only == Some(true) {
        volumes.push(HOOKS_FOLDER.to_owned());
    }
    volumes
}
