//! From topology, allocation and plan to an instance, and from an answer to a target.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;

use super::Protocol;
use super::pose::pose;
use super::{Answer, Instance, Limits, SolveError, solve};
use crate::model::{Allocation, Plan, Size, TierId, Topology, Vm, VmId};

/// Solves with a clock that stands still: only work limits end the search.
fn solved(instance: &Instance) -> Result<Answer, SolveError> {
    solve(
        instance,
        &Limits::default(),
        &|| Duration::ZERO,
        &AtomicBool::new(false),
    )
}

fn topology(cpu_mode: &str) -> Topology {
    let document = json!({
        "infrastructure": {"cpu_cores": 4, "mem_units": 8, "max_vms": 3, "cpu_mode": cpu_mode,
            "cloud_driver": {"autoscaling_groupname": "g"}},
        "apps": [{"name": "rubis", "tiers": {
            "db": {"name": "db", "docker_image": "db", "max_node": 1},
            "lb": {"name": "lb", "docker_image": "lb", "ports": ["0.0.0.0:80:8080", "127.0.0.1:53:53/udp"]}}}]
    });
    Topology::parse(&document).unwrap().topology
}

fn plan(sizes: &[(&str, u32, u64)]) -> Plan {
    let of = |&(tier, cpu, mem): &(&str, u32, u64)| (TierId::of("rubis", tier), Size::new(cpu, mem));
    Plan {
        tiers: sizes.iter().map(of).collect(),
    }
}

#[test]
fn limits_ports_and_units_come_through() {
    let posed = pose(
        &topology("quota"),
        &Allocation::default(),
        &BTreeMap::new(),
        &plan(&[("db", 2, 3), ("lb", 1, 1)]),
        None,
        Some(5),
    )
    .unwrap();
    let instance = posed.instance;
    assert_eq!(
        (instance.max_vms, instance.cpu_step, instance.new_vm.cpu),
        (Some(3), 1, 400)
    );
    assert_eq!(
        (instance.tiers[0].max_node, instance.tiers[0].demand.cpu),
        (Some(1), 200)
    );
    let ports: Vec<_> = instance.tiers[1]
        .ports
        .iter()
        .map(|p| (p.port, p.protocol, p.address.is_some()))
        .collect();
    assert_eq!(ports, [(53, Protocol::Udp, true), (80, Protocol::Tcp, false)]);
}

#[test]
fn an_answer_becomes_the_target_and_the_target_stays() {
    let topology = topology("cpuset");
    let first = plan(&[("db", 2, 3), ("lb", 6, 6)]);
    let nothing = Allocation::default();
    let posed = pose(&topology, &nothing, &BTreeMap::new(), &first, None, None).unwrap();
    let target = posed.target(&solved(&posed.instance).unwrap(), &nothing, VmId::new_vm);
    assert_eq!(target.totals(), first.tiers);
    let again = pose(&topology, &target, &BTreeMap::new(), &first, None, None).unwrap();
    let answer = solved(&again.instance).unwrap();
    assert!(answer.unchanged);
    assert_eq!(again.target(&answer, &target, VmId::new_vm), target);
    // A tier that the plan drops goes, even though the other totals are the same.
    let less = plan(&[("db", 2, 3)]);
    let posed = pose(&topology, &target, &BTreeMap::new(), &less, None, None).unwrap();
    let answer = solved(&posed.instance).unwrap();
    assert!(!answer.unchanged);
    assert_eq!(posed.target(&answer, &target, VmId::new_vm).totals(), less.tiers);
}

#[test]
fn a_vm_that_holds_nothing_goes_though_the_plan_asks_for_what_runs() {
    let mut topology = topology("cpuset");
    let wanted = plan(&[("db", 2, 3)]);
    let nothing = Allocation::default();
    let posed = pose(&topology, &nothing, &BTreeMap::new(), &wanted, None, None).unwrap();
    let needed = posed.target(&solved(&posed.instance).unwrap(), &nothing, VmId::new_vm);
    let mut with_empty = needed.clone();
    for name in ["empty1", "empty2"] {
        let vm = Vm::empty(None, topology.infrastructure.vm);
        with_empty.vms.insert(VmId::new(name), vm);
    }
    let after = |topology: &Topology, allocation: &Allocation, plan: &Plan| {
        let posed = pose(topology, allocation, &BTreeMap::new(), plan, None, None).unwrap();
        posed.target(&solved(&posed.instance).unwrap(), allocation, VmId::new_vm)
    };
    assert_eq!(after(&topology, &with_empty, &wanted), needed);
    assert_eq!(after(&topology, &with_empty, &plan(&[])).vms.len(), 0);
    for least in 0..=3 {
        topology.infrastructure.min_vms = least;
        let kept = after(&topology, &with_empty, &wanted);
        assert_eq!(kept.totals(), wanted.tiers);
        assert_eq!(kept.vms.len(), (least as usize).max(needed.vms.len()));
    }
}

#[test]
fn a_target_owes_no_hooks_whatever_else_changes() {
    let topology = topology("cpuset");
    let nothing = Allocation::default();
    let first = plan(&[("db", 2, 3)]);
    let posed = pose(&topology, &nothing, &BTreeMap::new(), &first, None, None).unwrap();
    let mut now = posed.target(&solved(&posed.instance).unwrap(), &nothing, VmId::new_vm);
    for held in now.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
        held.owed.scale = true;
    }
    for next in [first, plan(&[("db", 2, 3), ("lb", 1, 1)])] {
        let posed = pose(&topology, &now, &BTreeMap::new(), &next, None, None).unwrap();
        let target = posed.target(&solved(&posed.instance).unwrap(), &now, VmId::new_vm);
        assert_eq!(target, target.clone().owing_nothing());
    }
}
