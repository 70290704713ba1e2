//! What Docker reports, in our terms. Pure.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
    HealthStatusEnum, IpamConfig, PortBinding as Published, PortSummaryTypeEnum,
};

use super::gpus::Gpus;
use crate::engine::{Fixed, Health, LABEL_DISK, Observed, Owners, State};
use crate::model::Addresses;
use crate::model::topology::{PortBinding, Protocol};

/// A container as in `docker inspect`.
pub fn inspected(found: ContainerInspectResponse, owners: &Owners) -> Observed {
    let state = found.state.unwrap_or_default();
    let config = found.config.unwrap_or_default();
    let host = found.host_config.unwrap_or_default();
    let mut labels: BTreeMap<String, String> = config.labels.unwrap_or_default().into_iter().collect();
    owners.tidy(&mut labels);
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
    let id = found.id.unwrap_or_default();
    let managed = owners.own_container(&id, &labels);
    let nano_cpus = match unsigned(host.nano_cpus) {
        // Another program may have made it with the same setting in Docker's older form.
        0 if !managed => quota(host.cpu_quota, host.cpu_period),
        nano_cpus => nano_cpus,
    };
    let health = state.health.as_ref().and_then(|health| match health.status {
        Some(HealthStatusEnum::STARTING) => Some(Health::Starting),
        Some(HealthStatusEnum::HEALTHY) => Some(Health::Healthy),
        Some(HealthStatusEnum::UNHEALTHY) => Some(Health::Unhealthy),
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => None,
    });
    let fixed = Fixed {
        // Whether the engine enforces it or not, it is what the container was given.
        disk_gb: labels
            .get(LABEL_DISK)
            .and_then(|label| label.parse().ok())
            .filter(|_| managed)
            .unwrap_or(0),
        gpus: Gpus::of(&host).count(),
    };
    let addresses = addresses(&host.extra_hosts.unwrap_or_default());
    let published = found.network_settings.and_then(|network| network.ports);
    Observed {
        name: plain_name(found.name.unwrap_or_default()),
        managed,
        id,
        image: config.image.unwrap_or_default(),
        state: doing,
        health,
        cpuset: host.cpuset_cpus.unwrap_or_default(),
        nano_cpus,
        memory: unsigned(host.memory),
        memory_swap: host.memory_swap.unwrap_or_default(),
        fixed,
        exit_code: if running { None } else { state.exit_code },
        labels,
        ports: if running {
            ports(published.unwrap_or_default())
        } else {
            Vec::new()
        },
        addresses: Some(addresses),
    }
}

/// What a container was told to write into its hosts file: `NAME:ADDRESS` each.
fn addresses(extra_hosts: &[String]) -> Addresses {
    let pairs = extra_hosts.iter().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, address)| (name.to_owned(), address.to_owned()))
        .collect()
}

/// A container as `docker ps` tells it: without limits and health.
pub fn listed(found: ContainerSummary, owners: &Owners) -> Observed {
    let mut labels: BTreeMap<String, String> = found.labels.unwrap_or_default().into_iter().collect();
    owners.tidy(&mut labels);
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
    // A linked container also has the name "/other/alias"; its own name is the one without a second
    // slash.
    let names = found.names.unwrap_or_default();
    let own = names
        .iter()
        .find(|name| !name.trim_start_matches('/').contains('/'))
        .or(names.first())
        .cloned()
        .unwrap_or_default();
    let id = found.id.unwrap_or_default();
    Observed {
        name: plain_name(own),
        managed: owners.own_container(&id, &labels),
        id,
        image: found.image.unwrap_or_default(),
        state,
        health: None,
        cpuset: String::new(),
        nano_cpus: 0,
        memory: 0,
        memory_swap: 0,
        fixed: Fixed::default(),
        exit_code: None,
        labels,
        ports: bindings,
        addresses: None,
    }
}

/// A quota of this many microseconds in each period, in billionths of a core; 0 without one.
fn quota(quota: Option<i64>, period: Option<i64>) -> u64 {
    /// What Docker uses if no period is given.
    const PERIOD: u64 = 100_000;
    let period = Some(unsigned(period)).filter(|period| *period > 0);
    unsigned(quota).saturating_mul(1_000_000_000) / period.unwrap_or(PERIOD)
}

/// The machine's address on a network of its own.
///
/// Docker 20.10 records the gateway of the default network only when it is started for the second
/// time. At first it knows only the subnet, and uses its first address, as for every network
/// without a given gateway.
pub fn gateway(configs: &[IpamConfig]) -> Option<String> {
    let written = configs.iter().filter_map(|config| config.gateway.as_deref());
    let mut written = written.filter(|gateway| !gateway.is_empty());
    if let Some(gateway) = written.next() {
        return Some(gateway.to_owned());
    }
    let mut subnets = configs.iter().filter_map(|config| config.subnet.as_deref());
    subnets.find_map(first_address)
}

/// The first address of an IPv4 subnet, such as 172.17.0.1 of 172.17.0.0/16.
fn first_address(subnet: &str) -> Option<String> {
    let (address, bits) = subnet.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 30)?;
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Some(Ipv4Addr::from_bits((address.to_bits() & mask) + 1).to_string())
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

/// None for "every address", in whatever form the engine writes it.
fn address(text: Option<&str>) -> Option<IpAddr> {
    text.and_then(|text| text.parse().ok())
        .filter(|address: &IpAddr| !address.is_unspecified())
}

/// The engine lists a port once for IPv4 and once for IPv6; for us that is one binding.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn network(subnet: &str, gateway: Option<&str>) -> IpamConfig {
        IpamConfig {
            subnet: Some(subnet.to_owned()),
            gateway: gateway.map(str::to_owned),
            ..IpamConfig::default()
        }
    }

    #[test]
    fn the_gateway_is_the_written_one_or_the_first_address_of_the_subnet() {
        for (configs, expected) in [
            (
                vec![network("172.17.0.0/16", Some("172.17.0.9"))],
                Some("172.17.0.9"),
            ),
            (vec![network("172.17.0.0/16", None)], Some("172.17.0.1")),
            (vec![network("10.1.2.64/26", Some(""))], Some("10.1.2.65")),
            (
                vec![network("fd00::/64", None), network("192.168.0.0/24", None)],
                Some("192.168.0.1"),
            ),
            (vec![network("172.17.0.0/32", None)], None),
            (vec![network("172.17.0.0", None), network("x/8", None)], None),
            (Vec::new(), None),
        ] {
            assert_eq!(gateway(&configs).as_deref(), expected, "{configs:?}");
        }
    }

    #[test]
    fn addresses_are_told_from_names_in_either_family() {
        let lines = ["db:10.0.0.1", "cache:fd00::1", "nonsense"].map(str::to_owned);
        let told = addresses(&lines);
        let pairs: Vec<(&str, &str)> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("cache", "fd00::1"), ("db", "10.0.0.1")]);
    }

    #[test]
    fn a_quota_is_counted_in_either_of_dockers_ways() {
        assert_eq!(quota(Some(150_000), Some(100_000)), 1_500_000_000);
        assert_eq!(quota(Some(150_000), None), 1_500_000_000);
        assert_eq!(quota(Some(150_000), Some(0)), 1_500_000_000);
        assert_eq!(quota(Some(0), Some(100_000)), 0);
        assert_eq!(quota(Some(-1), Some(100_000)), 0);
        assert_eq!(quota(None, None), 0);
    }
}
