//! From a container as it should be to what Docker is told. Pure.
//!
//! Two decisions are made here for every container:
//!
//! * **Restart policy `unless-stopped`.** A restart of the machine or of its engine ends all
//!   containers, and only those with a policy come back; without one, a tier would stay down until
//!   a person noticed. Containers that `mapek` stops stay stopped.
//! * **No init process unless asked for.** Images whose own supervisor must be process 1 break under one, and
//!   the engine's machine may not have it. An image that ignores the stop signal takes its whole grace
//!   to stop (`stop_grace_s`), unless it is given another (`stop_signal`) or an init (`init`).

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, PortBinding as Published, PortMap, RestartPolicy,
    RestartPolicyNameEnum,
};
use serde_json::json;

use super::{limits, runtime};
use crate::engine::{
    ContainerSpec, Fixed, LABEL_APP, LABEL_DIGEST, LABEL_DISK, LABEL_MANAGED, LABEL_OWNER, LABEL_PROBE,
    LABEL_REVISION, LABEL_SPEC, LABEL_TIER,
};
use crate::model::topology::{Healthcheck, PortBinding};

/// What Docker is told to create for this owner, with this environment: `NAME=value`.
pub fn body(spec: &ContainerSpec, environment: Vec<String>, owner: &str) -> ContainerCreateBody {
    let (anonymous, bound): (Vec<&String>, Vec<&String>) =
        spec.volumes.iter().partition(|volume| !volume.contains(':'));
    let mut host = HostConfig {
        port_bindings: Some(port_map(&spec.ports)),
        binds: Some(bound.into_iter().cloned().collect()),
        extra_hosts: Some(
            spec.extra_hosts
                .iter()
                .map(|(name, address)| format!("{name}:{address}"))
                .collect(),
        ),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    };
    limits::apply(&spec.limits, &mut host);
    let mut body = ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: spec.arguments.clone(),
        entrypoint: spec.entrypoint.clone(),
        env: Some(environment),
        exposed_ports: Some(spec.ports.iter().map(inside).collect()),
        volumes: Some(anonymous.into_iter().cloned().collect()),
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        labels: Some(labels(spec, owner)),
        stop_timeout: spec.stop_grace_s.map(i64::from),
        user: spec.user.clone(),
        ..ContainerCreateBody::default()
    };
    runtime::apply(&spec.runtime, &mut body, &mut host);
    body.host_config = Some(host);
    body
}

/// The tier's own labels, and those of `mapek`, which win.
fn labels(spec: &ContainerSpec, owner: &str) -> HashMap<String, String> {
    let mut labels: HashMap<String, String> = spec.labels.clone().into_iter().collect();
    labels.extend([
        (LABEL_MANAGED.to_owned(), "true".to_owned()),
        (LABEL_OWNER.to_owned(), owner.to_owned()),
        (LABEL_APP.to_owned(), spec.app.clone()),
        (LABEL_TIER.to_owned(), spec.tier.clone()),
        (LABEL_SPEC.to_owned(), fingerprint(spec)),
    ]);
    if let Some(revision) = &spec.revision {
        labels.insert(LABEL_REVISION.to_owned(), revision.to_string());
    }
    if let Some(digest) = &spec.digest {
        labels.insert(LABEL_DIGEST.to_owned(), digest.clone());
    }
    if spec.fixed.disk_gb > 0 {
        labels.insert(LABEL_DISK.to_owned(), spec.fixed.disk_gb.to_string());
    }
    if let Some(probe) = &spec.probe {
        labels.insert(LABEL_PROBE.to_owned(), json!(probe).to_string());
    }
    labels
}

/// A fingerprint of everything that can't be changed in place, that is, of everything except the
/// limits.
///
/// It contains the reference to a secret: a container keeps the value that it was created with.
///
/// It is stored in a label, so every build of `mapek` must compute the same one. That is why it is made
/// from JSON, with a hash that is written out here (FNV-1a, 64 bits). It guards against mistakes, not malice.
pub fn fingerprint(spec: &ContainerSpec) -> String {
    let check = spec.healthcheck.as_ref().map(|check| {
        json!([
            check.test,
            check.interval_s,
            check.timeout_s,
            check.retries,
            check.start_period_s
        ])
    });
    let mut text = json!([
        spec.name,
        spec.app,
        spec.tier,
        spec.image,
        spec.ports,
        spec.arguments,
        spec.entrypoint,
        spec.environment,
        spec.volumes,
        check,
        spec.stop_grace_s,
        spec.labels,
        spec.user,
        spec.extra_hosts,
    ]);
    // Without such options, the fingerprint is the same as for containers that were made before
    // there were any.
    if !spec.runtime.is_default()
        && let Some(parts) = text.as_array_mut()
    {
        parts.push(json!(spec.runtime));
    }
    // Without the VM's address: a container is not made again because its VM has another one.
    if let (Some(target), Some(parts)) = (&spec.probe, text.as_array_mut()) {
        parts.push(json!(target.probe));
    }
    if spec.fixed != Fixed::default()
        && let Some(parts) = text.as_array_mut()
    {
        parts.push(json!(spec.fixed));
    }
    let text = text.to_string();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn inside(port: &PortBinding) -> String {
    format!("{}/{}", port.container, port.protocol)
}

fn port_map(ports: &[PortBinding]) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        map.entry(inside(port))
            .or_default()
            .get_or_insert_default()
            .push(Published {
                host_ip: port.address.map(|address| address.to_string()),
                host_port: Some(port.host.to_string()),
            });
    }
    map
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    let nanos = |seconds: Option<u32>| seconds.map(|seconds| i64::from(seconds) * 1_000_000_000);
    let mut test = vec!["CMD".to_owned()];
    test.extend(check.test.iter().cloned());
    HealthConfig {
        test: Some(test),
        interval: nanos(check.interval_s),
        timeout: nanos(check.timeout_s),
        retries: check.retries.map(i64::from),
        start_period: nanos(check.start_period_s),
        start_interval: None,
    }
}
