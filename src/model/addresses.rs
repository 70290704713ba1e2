//! The addresses of dependencies that containers get.
//!
//! A container finds each dependency that is on at most one VM under that tier's name, at the
//! address of its VM. An engine writes these addresses into the container when it makes it, and
//! again at every restart. So a container whose dependency has moved is stale, and is replaced.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::allocation::Allocation;
use super::ids::{RevisionId, TierId, VmId};
use super::topology::{Tier, Topology};

/// Addresses by the names under which a container knows them.
pub type Addresses = BTreeMap<String, String>;

/// An address that a container has and should no longer have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "dependency": "db", "is": "10.0.0.1", "should": "10.0.0.2" }))]
pub struct StaleAddress {
    /// The name under which the container knows the dependency.
    #[schema(example = "db")]
    pub dependency: String,
    /// Where it looks for it; null if it has no address of it.
    #[schema(example = "10.0.0.1")]
    pub is: Option<String>,
    /// Where it is; null while its VM is still to be made.
    #[schema(example = "10.0.0.2")]
    pub should: Option<String>,
}

impl fmt::Display for StaleAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            dependency,
            is,
            should,
        } = self;
        match is {
            Some(is) => write!(out, "it looks for {dependency} at {is}, ")?,
            None => write!(out, "it has no address of {dependency}, ")?,
        }
        match should {
            Some(should) => write!(out, "which is at {should}"),
            None => out.write_str("which goes to a VM that is still to be made"),
        }
    }
}

impl Topology {
    /// The dependencies of a tier whose addresses its containers get.
    pub fn addressed<'a>(&'a self, tier: &'a Tier) -> impl Iterator<Item = &'a Tier> {
        let dependencies = tier.depends_on.iter().filter_map(|id| self.tiers.get(id));
        dependencies.filter(|dependency| dependency.max_node == Some(1))
    }

    /// The addresses of a tier's dependencies in an allocation, in the order of the topology.
    #[must_use]
    pub fn addresses(&self, tier: &Tier, allocation: &Allocation) -> Vec<(String, String)> {
        self.addressed(tier)
            .filter_map(|dependency| {
                let (vm, _) = allocation.places(&dependency.id).next()?;
                let ip = allocation.vms.get(vm)?.ip.clone()?;
                Some((dependency.key.clone(), ip))
            })
            .collect()
    }
}

/// Where those dependencies are whose addresses containers know.
pub struct Whereabouts<'a> {
    topology: &'a Topology,
    now: &'a Allocation,
    to: &'a Allocation,
    places: BTreeMap<&'a TierId, Vec<&'a VmId>>,
}

impl<'a> Whereabouts<'a> {
    /// Where they are in `to`, on VMs of `now` and others that are still to be made.
    #[must_use]
    pub fn of(topology: &'a Topology, (now, to): (&'a Allocation, &'a Allocation)) -> Self {
        let mut places: BTreeMap<&TierId, Vec<&VmId>> = BTreeMap::new();
        for (vm, tier) in to
            .vms
            .iter()
            .flat_map(|(vm, there)| there.used.keys().map(move |tier| (vm, tier)))
        {
            if topology
                .tiers
                .get(tier)
                .is_some_and(|spec| spec.max_node == Some(1))
            {
                places.entry(tier).or_default().push(vm);
            }
        }
        Self {
            topology,
            now,
            to,
            places,
        }
    }

    /// Which addresses of a container that was given `had` are not those of its dependencies. A
    /// dependency that is nowhere has none, and one whose VM has no known address can't be looked
    /// for.
    #[must_use]
    pub fn stale(&self, tier: &TierId, revision: Option<&RevisionId>, had: &Addresses) -> Vec<StaleAddress> {
        let Some((tier, _)) = self.topology.made_as(tier, revision) else {
            return Vec::new();
        };
        let stale = |dependency: &Tier| {
            let is = had.get(&dependency.key);
            let mut wanted = None;
            for vm in self.places.get(&dependency.id).into_iter().flatten() {
                let known = [self.to, self.now]
                    .into_iter()
                    .find_map(|side| side.vms.get(*vm)?.ip.clone());
                match known {
                    // While it moves, it may be in two places.
                    Some(ip) if is == Some(&ip) => return None,
                    None if self.now.vms.contains_key(*vm) => return None,
                    known => wanted = Some(known),
                }
            }
            Some(StaleAddress {
                dependency: dependency.key.clone(),
                is: is.cloned(),
                should: wanted?,
            })
        };
        self.topology.addressed(tier).filter_map(stale).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Container, Size, Vm};

    fn topology() -> Topology {
        let document = json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 4 },
            "apps": [{ "name": "a", "tiers": {
                "web": { "docker_image": "w", "depends_on": ["db", "cache"] },
                "db": { "docker_image": "d", "max_node": 1 },
                "cache": { "docker_image": "c" }
            } }]
        });
        Topology::parse(&document).unwrap().topology
    }

    fn with_db_on(vms: &[(&str, Option<&str>, bool)]) -> Allocation {
        let mut allocation = Allocation::default();
        for (name, ip, holds) in vms {
            let mut vm = Vm::empty(ip.map(str::to_owned), Size::new(2, 4));
            for tier in ["a_db", "a_cache"].iter().filter(|_| *holds) {
                vm.used
                    .insert(TierId::new(tier), Container::from(Size::new(1, 1)));
            }
            allocation.vms.insert(VmId::new(name), vm);
        }
        allocation
    }

    fn stale(had: Option<&str>, now: &Allocation, to: &Allocation) -> Vec<(Option<String>, Option<String>)> {
        let had = had
            .map(|ip| ("db".to_owned(), ip.to_owned()))
            .into_iter()
            .collect();
        let topology = topology();
        let found = Whereabouts::of(&topology, (now, to)).stale(&TierId::new("a_web"), None, &had);
        let pairs = found.into_iter().map(|one| (one.is, one.should));
        pairs.collect()
    }

    #[test]
    fn only_a_dependency_that_is_on_one_vm_at_most_has_an_address() {
        let topology = topology();
        let web = topology.tiers.get("a_web").unwrap();
        let on = with_db_on(&[("v1", Some("1"), true)]);
        assert_eq!(topology.addresses(web, &on), [("db".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn an_address_is_stale_once_its_dependency_is_elsewhere() {
        let one = with_db_on(&[("v1", Some("1"), true), ("v2", Some("2"), false)]);
        let other = with_db_on(&[("v1", Some("1"), false), ("v2", Some("2"), true)]);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(stale(Some("1"), &one, &one), []);
        assert_eq!(stale(Some("1"), &one, &other), [(text("1"), text("2"))]);
        assert_eq!(stale(None, &one, &one), [(None, text("1"))]);
        // A VM that is still to be made has another address than all that are there.
        let new = with_db_on(&[("v1", Some("1"), false), ("new_vm0", None, true)]);
        assert_eq!(stale(Some("1"), &one, &new), [(text("1"), None)]);
        // The VM got another address.
        let moved = with_db_on(&[("v1", Some("9"), true)]);
        assert_eq!(stale(Some("1"), &moved, &moved), [(text("1"), text("9"))]);
    }

    #[test]
    fn what_has_no_address_leaves_none_stale() {
        let one = with_db_on(&[("v1", Some("1"), true)]);
        let nowhere = with_db_on(&[("v1", Some("1"), false)]);
        assert_eq!(stale(Some("1"), &one, &nowhere), []);
        let unknown = with_db_on(&[("v1", None, true)]);
        assert_eq!(stale(Some("1"), &unknown, &unknown), []);
        let both = with_db_on(&[("v1", Some("1"), true), ("v2", Some("2"), true)]);
        assert_eq!(stale(Some("2"), &both, &both), []);
    }
}
