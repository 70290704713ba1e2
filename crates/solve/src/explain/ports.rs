//! Tiers that exclude each other from VMs by their ports, and need more VMs than there can be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ReasonCode;
use super::fleet::Fleet;
use crate::conflicts::Conflicts;
use crate::instance::{Instance, Protocol, Resource, Tier};
use crate::meter::Meter;

/// Most such reasons given.
const MOST: usize = 20;
/// Most names written out in one of them.
const NAMES: usize = 20;

/// Who publishes one port, by address; `None` binds every address.
type ByAddress = BTreeMap<Option<IpAddr>, BTreeSet<usize>>;

/// Tiers that publish one port, and tiers that exclude each other by several.
pub fn exhausted(instance: &Instance, fleet: &Fleet, meter: &mut Meter<'_>) -> Vec<(ReasonCode, String)> {
    let publishing: Vec<usize> = (0..instance.tiers.len())
        .filter(|&ix| {
            let tier = instance.tiers.get(ix);
            tier.is_some_and(|t| !t.demand.is_zero() && !t.ports.is_empty())
        })
        .collect();
    let tier = |ix: usize| instance.tiers.get(ix);
    let mut known: BTreeSet<Vec<usize>> = BTreeSet::new();
    let mut found = Vec::new();
    let mut add = |tiers: &[usize], port: Option<u16>| {
        let need: u64 = tiers
            .iter()
            .filter_map(|&ix| tier(ix))
            .map(|t| least(t, fleet))
            .sum();
        if tiers.len() < 2 || need <= fleet.count || known.len() >= MOST || !known.insert(tiers.to_vec()) {
            return;
        }
        let names = tiers.iter().take(NAMES).filter_map(|&ix| tier(ix));
        let mut names: Vec<&str> = names.map(|t| t.name.as_str()).collect();
        let more = format!("{} more", tiers.len().saturating_sub(NAMES));
        if tiers.len() > NAMES {
            names.push(&more);
        }
        let names = names.join(", ");
        let publish = port.map_or_else(
            || "each publish a port of every other".to_owned(),
            |port| format!("all publish port {port}"),
        );
        let text = format!(
            "{names} {publish} and so need {need} VMs of their own, but there can be only {}",
            fleet.count
        );
        found.push((ReasonCode::PortsExhausted, text));
    };
    for ((port, _), addresses) in by_port(instance, &publishing, meter) {
        for tiers in of_port(addresses) {
            add(&tiers, Some(port));
        }
    }
    let ports: Vec<_> = publishing
        .iter()
        .filter_map(|&ix| tier(ix))
        .map(|t| &t.ports)
        .collect();
    let conflicts = Conflicts::new(&ports);
    let mut covered = vec![false; publishing.len()];
    for begin in 0..publishing.len() {
        if covered.get(begin).copied().unwrap_or(true) {
            continue;
        }
        let mut clique = vec![begin];
        for other in 0..publishing.len() {
            if !meter.spend(clique.len() as u64) {
                return found;
            }
            if clique.iter().all(|&member| conflicts.between(member, other)) {
                clique.push(other);
            }
        }
        for &member in &clique {
            if let Some(covered) = covered.get_mut(member) {
                *covered = true;
            }
        }
        let mut tiers: Vec<usize> = clique
            .iter()
            .filter_map(|&at| publishing.get(at).copied())
            .collect();
        tiers.sort_unstable();
        add(&tiers, None);
    }
    found
}

/// Fewest VMs that a tier is on.
fn least(tier: &Tier, fleet: &Fleet) -> u64 {
    let by = |resource: Resource| fleet.fewest(tier.demand.of(resource), resource).unwrap_or(1);
    Resource::ALL
        .map(by)
        .into_iter()
        .fold(u64::from(tier.min_node.max(1)), u64::max)
}

fn by_port(
    instance: &Instance,
    publishing: &[usize],
    meter: &mut Meter<'_>,
) -> BTreeMap<(u16, Protocol), ByAddress> {
    let mut by_port: BTreeMap<(u16, Protocol), ByAddress> = BTreeMap::new();
    for &ix in publishing {
        let Some(tier) = instance.tiers.get(ix) else {
            continue;
        };
        if !meter.spend(16 * tier.ports.len() as u64) {
            break;
        }
        for p in &tier.ports {
            let addresses = by_port.entry((p.port, p.protocol)).or_default();
            addresses.entry(p.address).or_default().insert(ix);
        }
    }
    by_port.retain(|_, addresses| addresses.values().map(BTreeSet::len).sum::<usize>() > 1);
    by_port
}

/// The sets of tiers that exclude each other by one port.
fn of_port(mut addresses: ByAddress) -> Vec<Vec<usize>> {
    let every = addresses.remove(&None).unwrap_or_default();
    if addresses.is_empty() {
        return vec![every.into_iter().collect()];
    }
    let sets = addresses.into_values().map(|mut tiers| {
        tiers.extend(&every);
        tiers.into_iter().collect()
    });
    sets.collect()
}
