//! Host ports that foreign containers publish: a tier that publishes one of them can't be on that
//! VM. Pure.

use std::collections::BTreeMap;

use crate::engine::Observed;
use crate::model::topology::{PortBinding, Tier};
use crate::model::{Allocation, Plan, Size, TierId, Topology, VmId};

/// The ports that are taken on each VM, with the containers that publish them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenPorts(BTreeMap<VmId, Vec<(PortBinding, String)>>);

/// The VMs that tiers can't be on because of their ports, and why.
pub(in crate::service) type Barred = BTreeMap<TierId, BTreeMap<VmId, String>>;

impl TakenPorts {
    /// Applies what one VM was seen to run.
    pub fn note(&mut self, vm: &VmId, seen: &[Observed]) {
        let others = seen.iter().filter(|one| !one.managed && one.state.holds());
        let taken = others.flat_map(|one| {
            let who = format!("container {} that {}", one.name, one.whose());
            one.ports.iter().map(move |port| (*port, who.clone()))
        });
        let taken: Vec<_> = taken.collect();
        if !taken.is_empty() {
            self.0.insert(vm.clone(), taken);
        }
    }

    /// Why a tier can't be on a VM.
    pub fn bar(&self, vm: &VmId, tier: &Tier) -> Option<String> {
        clash(tier, self.0.get(vm)?)
    }

    /// Where the tiers of a plan can't be. A tier may stay where its container is up to date, since
    /// that already has its ports.
    pub fn barred(&self, topology: &Topology, plan: &Plan, allocation: &Allocation) -> Barred {
        let mut barred = Barred::new();
        let wanted = plan.tiers.iter().filter(|(_, size)| **size != Size::ZERO);
        let publishing = wanted.filter_map(|(id, _)| topology.tiers.get(id));
        for tier in publishing.filter(|tier| !tier.ports.is_empty()) {
            for vm in self.0.keys() {
                let held = allocation.container(vm, &tier.id);
                if held.is_some_and(|held| !topology.is_outdated(&tier.id, held.revision.as_ref())) {
                    continue;
                }
                if let Some(why) = self.bar(vm, tier) {
                    barred.entry(tier.id.clone()).or_default().insert(vm.clone(), why);
                }
            }
        }
        barred
    }
}

fn clash(tier: &Tier, taken: &[(PortBinding, String)]) -> Option<String> {
    let (port, who) = taken
        .iter()
        .find(|(theirs, _)| tier.ports.iter().any(|port| port.conflicts(theirs)))?;
    Some(format!(
        "host port {}/{} is in use by {who}",
        port.host, port.protocol
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::State;
    use crate::model::{Container, RevisionId, RevisionKey, Vm};

    fn topology() -> Topology {
        let document = json!({
            "infrastructure": { "cpu_cores": 2, "mem_units": 8 },
            "apps": [{ "name": "a", "tiers": {
                "web": { "docker_image": "x", "ports": ["8080:80", "53:53/udp"] },
                "db": { "docker_image": "x" }
            } }]
        });
        let parsed = Topology::parse(&document).unwrap();
        parsed
            .topology
            .keyed(&RevisionKey("k".to_owned()), None, |_| true)
    }

    fn container(name: &str, managed: bool, state: State, port: &str) -> Observed {
        let ports = json!({ "infrastructure": { "cpu_cores": 1, "mem_units": 1 },
            "apps": [{ "name": "b", "tiers": { "c": { "docker_image": "x", "ports": [port] } } }] });
        let ports = Topology::parse(&ports).unwrap().topology;
        Observed {
            managed,
            state,
            ports: ports.tiers.get("b_c").unwrap().ports.clone(),
            name: name.to_owned(),
            id: name.to_owned(),
            image: "x".to_owned(),
            health: None,
            cpuset: String::new(),
            nano_cpus: 0,
            memory: 0,
            memory_swap: 0,
            fixed: Default::default(),
            exit_code: None,
            labels: BTreeMap::new(),
            addresses: None,
        }
    }

    #[test]
    fn a_tier_can_not_be_where_others_publish_its_port() {
        let topology = topology();
        let plan = json!({ "a": { "web": { "cpu_cores": 1, "mem_units": 1 }, "db": { "cpu_cores": 1, "mem_units": 1 } } });
        let (plan, _) = Plan::parse(&plan, &topology).unwrap();
        let barred = |one: Observed, allocation: &Allocation| {
            let mut taken = TakenPorts::default();
            taken.note(&VmId::new("vm1"), &[one]);
            let barred = taken.barred(&topology, &plan, allocation);
            barred
                .get("a_web")
                .map(|vms| vms.values().cloned().collect::<Vec<_>>())
        };
        let none = Allocation::default();
        let theirs = |state, port| container("theirs", false, state, port);
        let told = barred(theirs(State::Running, "8080:1"), &none).unwrap();
        assert_eq!(
            told,
            ["host port 8080/tcp is in use by container theirs that mapek did not make"]
        );
        assert!(barred(theirs(State::Paused, "53:1/udp"), &none).is_some());
        assert_eq!(barred(theirs(State::Exited, "8080:1"), &none), None);
        assert_eq!(barred(theirs(State::Running, "8081:80"), &none), None);
        assert_eq!(barred(theirs(State::Running, "53:53"), &none), None);
        // Our own container is removed where it is in the way.
        assert_eq!(
            barred(container("a_old", true, State::Running, "8080:1"), &none),
            None
        );

        // What holds its port may stay; what an earlier revision left has it still to get.
        let held = |revision: Option<&RevisionId>| {
            let mut vm = Vm::empty(None, Size::new(2, 8));
            let held = Container {
                size: Size::new(1, 1),
                revision: revision.cloned(),
                ..Container::default()
            };
            vm.used.insert(TierId::new("a_web"), held);
            Allocation {
                vms: [(VmId::new("vm1"), vm)].into(),
            }
        };
        let current = topology.revisions.current(&TierId::new("a_web"));
        let restarting = || theirs(State::Restarting, "8080:1");
        assert_eq!(barred(restarting(), &held(current)), None);
        let old = RevisionId::new("old");
        assert!(barred(restarting(), &held(Some(&old))).is_some());
    }
}
