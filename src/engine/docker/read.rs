//! What Docker reports, in our terms. Pure.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
    HealthStatusEnum, PortBinding as Published, PortSummaryTypeEnum,
};

use crate::engine::{Health, LABEL_MANAGED, Observed, State};
use crate::model::topology::{PortBinding, Protocol};

/// A container as `docker inspect` tells it.
pub fn inspected(found: ContainerInspectResponse) -> Observed {
    let state = found.state.unwrap_or_default();
    let config = found.config.unwrap_or_default();
    let host = found.host_config.unwrap_or_default();
    let labels: BTreeMap<String, String> = config.labels.unwrap_or_default().into_iter().collect();
    let doing = match state.status {
        // A container that is being stopped still runs.
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => State::Running,
        Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => State::Removing,
        Some(ContainerStateStatusEnum::EXITED) => State::Exited,
        Some(ContainerStateStatusEnum::DEAD) => State::Dead,
        Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => State::Created,
    };
    let running = matches!(doing, State::Running | State::Paused);
    let health = state.health.as_ref().and_then(|health| match health.status {
        Some(HealthStatusEnum::STARTING) => Some(Health::Starting),
        Some(HealthStatusEnum::HEALTHY) => Some(Health::Healthy),
        Some(HealthStatusEnum::UNHEALTHY) => Some(Health::Unhealthy),
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => None,
    });
    let published = found.network_settings.and_then(|network| network.ports);
    Observed {
        name: plain_name(found.name.unwrap_or_default()),
        id: found.id.unwrap_or_default(),
        managed: is_managed(&labels),
        image: config.image.unwrap_or_default(),
        state: doing,
        health,
        cpuset: host.cpuset_cpus.unwrap_or_default(),
        nano_cpus: unsigned(host.nano_cpus),
        memory: unsigned(host.memory),
        memory_swap: host.memory_swap.unwrap_or_default(),
        exit_code: if running { None } else { state.exit_code },
        labels,
        ports: if running {
            ports(published.unwrap_or_default())
        } else {
            Vec::new()
        },
    }
}

/// A container as `docker ps` tells it: without limits and health.
pub fn listed(found: ContainerSummary) -> Observed {
    let labels: BTreeMap<String, String> = found.labels.unwrap_or_default().into_iter().collect();
    let state = match found.state {
        Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::STOPPING) => State::Running,
        Some(ContainerSummaryStateEnum::PAUSED) => State::Paused,
        Some(ContainerSummaryStateEnum::RESTARTING) => State::Restarting,
        Some(ContainerSummaryStateEnum::REMOVING) => State::Removing,
        Some(ContainerSummaryStateEnum::EXITED) => State::Exited,
        Some(ContainerSummaryStateEnum::DEAD) => State::Dead,
        Some(ContainerSummaryStateEnum::CREATED | ContainerSummaryStateEnum::EMPTY) | None => State::Created,
    };
    let mut bindings: Vec<PortBinding> = found
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter_map(|port| {
            Some(PortBinding {
                address: address(port.ip.as_deref()),
                host: port.public_port?,
                container: port.private_port,
                protocol: match port.typ {
                    Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
                    Some(PortSummaryTypeEnum::SCTP) => Protocol::Sctp,
                    _ => Protocol::Tcp,
                },
            })
        })
        .collect();
    bindings.sort_unstable();
    bindings.dedup();
    // A linked container also goes by "/other/alias"; its own name is the one without a second slash.
    let names = found.names.unwrap_or_default();
    let own = names
        .iter()
        .find(|name| !name.trim_start_matches('/').contains('/'))
        .or(names.first())
        .cloned()
        .unwrap_or_default();
    Observed {
        name: plain_name(own),
        id: found.id.unwrap_or_default(),
        managed: is_managed(&labels),
        image: found.image.unwrap_or_default(),
        state,
        health: None,
        cpuset: String::new(),
        nano_cpus: 0,
        memory: 0,
        memory_swap: 0,
        exit_code: None,
        labels,
        ports: bindings,
    }
}

fn is_managed(labels: &BTreeMap<String, String>) -> bool {
    labels.get(LABEL_MANAGED).is_some_and(|value| value == "true")
}

fn plain_name(name: String) -> String {
    match name.strip_prefix('/') {
        Some(plain) => plain.to_owned(),
        None => name,
    }
}

fn unsigned(amount: Option<i64>) -> u64 {
    amount
        .and_then(|amount| u64::try_from(amount).ok())
        .unwrap_or_default()
}

/// None for "every address", however the engine writes it.
fn address(text: Option<&str>) -> Option<IpAddr> {
    text.and_then(|text| text.parse().ok())
        .filter(|address: &IpAddr| !address.is_unspecified())
}

/// The engine lists a port once for IPv4 and once for IPv6; that is one binding to us.
fn ports(found: HashMap<String, Option<Vec<Published>>>) -> Vec<PortBinding> {
    let mut bindings = Vec::new();
    for (inside, published) in found {
        let (port, protocol) = inside.split_once('/').unwrap_or((&inside, "tcp"));
        let Ok(container) = port.parse() else { continue };
        let protocol = match protocol {
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        for binding in published.unwrap_or_default() {
            let Some(host) = binding.host_port.and_then(|port| port.parse().ok()) else {
                continue;
            };
            bindings.push(PortBinding {
                address: address(binding.host_ip.as_deref()),
                host,
                container,
                protocol,
            });
        }
    }
    bindings.sort_unstable();
    bindings.dedup();
    bindings
}
