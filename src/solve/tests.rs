//! From topology, allocation and plan to an instance, and from an answer to a target.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;

use super::Protocol;
use super::conditions::{Ask, Candidate, Conditions};
use super::pose::pose;
use super::{Answer, Instance, Limits, SolveError, solve};
use crate::model::{Allocation, Plan, Size, TierId, Topology, Vm, VmId};

/// Solves with a clock that stands still, so that only work limits end the search.
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
        &Conditions::default(),
    )
    .unwrap();
    let instance = posed.instance;
    assert_eq!(
        (
            instance.max_vms,
            instance.cpu_step,
            instance.shapes[0].capacity.cpu
        ),
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
    let posed = pose(
        &topology,
        &nothing,
        &BTreeMap::new(),
        &first,
        None,
        None,
        &Conditions::default(),
    )
    .unwrap();
    let target = posed.target(&solved(&posed.instance).unwrap(), &nothing, VmId::new_vm);
    assert_eq!(target.totals(), first.tiers);
    let again = pose(
        &topology,
        &target,
        &BTreeMap::new(),
        &first,
        None,
        None,
        &Conditions::default(),
    )
    .unwrap();
    let answer = solved(&again.instance).unwrap();
    assert!(answer.unchanged);
    assert_eq!(again.target(&answer, &target, VmId::new_vm), target);
    // A tier that the plan drops is removed, even though the other totals are the same.
    let less = plan(&[("db", 2, 3)]);
    let posed = pose(
        &topology,
        &target,
        &BTreeMap::new(),
        &less,
        None,
        None,
        &Conditions::default(),
    )
    .unwrap();
    let answer = solved(&posed.instance).unwrap();
    assert!(!answer.unchanged);
    assert_eq!(posed.target(&answer, &target, VmId::new_vm).totals(), less.tiers);
}

#[test]
fn a_vm_that_holds_nothing_goes_though_the_plan_asks_for_what_runs() {
    let mut topology = topology("cpuset");
    let wanted = plan(&[("db", 2, 3)]);
    let nothing = Allocation::default();
    let posed = pose(
        &topology,
        &nothing,
        &BTreeMap::new(),
        &wanted,
        None,
        None,
        &Conditions::default(),
    )
    .unwrap();
    let needed = posed.target(&solved(&posed.instance).unwrap(), &nothing, VmId::new_vm);
    let mut with_empty = needed.clone();
    for name in ["empty1", "empty2"] {
        let vm = Vm::empty(None, topology.infrastructure.vm);
        with_empty.vms.insert(VmId::new(name), vm);
    }
    let after = |topology: &Topology, allocation: &Allocation, plan: &Plan| {
        let posed = pose(
            topology,
            allocation,
            &BTreeMap::new(),
            plan,
            None,
            None,
            &Conditions::default(),
        )
        .unwrap();
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
fn the_cheapest_mixture_of_shapes_is_made_and_its_price_is_exact() {
    let document = json!({
        "infrastructure": {
            "cloud_driver": {"autoscaling_groupname": "g"},
            "shapes": [
                {"name": "small", "cpu_cores": 1, "mem_units": 2, "price": 0.335},
                {"name": "large", "cpu_cores": 4, "mem_units": 8, "price": 1.3}
            ]
        },
        "apps": [{"name": "rubis", "tiers": {"db": {"docker_image": "db", "max_node": 1}, "lb": {"docker_image": "lb"}}}]
    });
    let topology = Topology::parse(&document).unwrap().topology;
    let nothing = Allocation::default();
    let wanted = plan(&[("db", 4, 8), ("lb", 1, 1)]);
    let posed = pose(
        &topology,
        &nothing,
        &BTreeMap::new(),
        &wanted,
        None,
        None,
        &Conditions::default(),
    )
    .unwrap();
    let answer = solved(&posed.instance).unwrap();
    // 20 · 1.3 and 20 · 0.335 for the VMs, and 4 for each container.
    assert_eq!((answer.objective, posed.unit()), (407, 10));
    assert!(answer.proven_optimal);
    let target = posed.target(&answer, &nothing, VmId::new_vm);
    let mut sizes: Vec<Size> = target.vms.values().map(|vm| vm.capacity).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [Size::new(1, 2), Size::new(4, 8)]);
}

fn labelled(names: [(&str, &str); 3]) -> BTreeMap<VmId, BTreeMap<String, String>> {
    let labels = |zone: &str| BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
    names.map(|(vm, zone)| (VmId::new(vm), labels(zone))).into()
}

#[test]
fn conditions_decide_where_containers_go() {
    let topology = topology("cpuset");
    let vm = |used: &[(&str, u32)]| {
        let mut vm = Vm::empty(None, Size::new(4, 8));
        for (tier, cores) in used {
            vm.used
                .insert(TierId::of("rubis", tier), Size::new(*cores, 1).into());
        }
        vm
    };
    let names = ["vm1", "vm2", "vm3"].map(VmId::new);
    let mut allocation = Allocation::default();
    for (name, used) in names.iter().zip([&[("lb", 2)][..], &[("lb", 2)], &[]]) {
        allocation.vms.insert(name.clone(), vm(used));
    }
    let place = |plan: &Plan, conditions: &Conditions| {
        let posed = pose(
            &topology,
            &allocation,
            &BTreeMap::new(),
            plan,
            Some(0),
            None,
            conditions,
        )
        .unwrap();
        let answer = solved(&posed.instance)?;
        Ok::<_, SolveError>(posed.target(&answer, &allocation, VmId::new_vm))
    };
    let on = |target: &Allocation, tier: &str| -> Vec<String> {
        let holds = |vm: &&(&VmId, &Vm)| vm.1.used.contains_key(&TierId::of("rubis", tier));
        let vms: Vec<(&VmId, &Vm)> = target.vms.iter().collect();
        vms.iter().filter(holds).map(|vm| vm.0.to_string()).collect()
    };
    // A cordoned VM takes nothing new, and keeps what is there.
    let mut conditions = Conditions {
        cordoned: [names[0].clone(), names[1].clone()].into(),
        ..Conditions::default()
    };
    let target = place(&plan(&[("lb", 4, 2), ("db", 4, 1)]), &conditions).unwrap();
    assert_eq!(
        (on(&target, "lb"), on(&target, "db")),
        (vec!["vm1".into(), "vm2".into()], vec!["vm3".into()])
    );
    // Both are in one zone: one of the two containers has to move.
    conditions.cordoned.clear();
    conditions.labels = labelled([("vm1", "a"), ("vm2", "a"), ("vm3", "b")]);
    let mut ask = Ask {
        spread: Some("zone".to_owned()),
        ..Ask::default()
    };
    conditions
        .asks
        .insert(TierId::of("rubis", "lb"), ask.clone().into());
    let target = place(&plan(&[("lb", 5, 2)]), &conditions).unwrap();
    assert!(on(&target, "lb").contains(&"vm3".to_owned()) && on(&target, "lb").len() == 2);
    // It may only be on two VMs of one zone, and it can have only one container there.
    ask.admits = Some(names[..2].iter().cloned().map(Candidate::Vm).collect());
    conditions.asks.insert(TierId::of("rubis", "lb"), ask.into());
    let why = place(&plan(&[("lb", 5, 2)]), &conditions)
        .unwrap_err()
        .to_string();
    assert!(
        why.contains("rubis_lb needs 5 cores, but the 1 failure domain"),
        "{why}"
    );
    // Among VMs with the same cost, the one that it prefers.
    for best in &names[1..] {
        let ask = Ask {
            scores: BTreeMap::from([(Candidate::Vm(best.clone()), 0.5)]),
            ..Ask::default()
        };
        conditions.asks = BTreeMap::from([(TierId::of("rubis", "db"), ask.into())]);
        let mut fresh = allocation.clone();
        fresh.vms.values_mut().for_each(|vm| vm.used.clear());
        let wanted = plan(&[("db", 4, 8)]);
        let posed = pose(
            &topology,
            &fresh,
            &BTreeMap::new(),
            &wanted,
            Some(0),
            None,
            &conditions,
        )
        .unwrap();
        let target = posed.target(&solved(&posed.instance).unwrap(), &fresh, VmId::new_vm);
        assert_eq!(on(&target, "db"), [best.to_string()]);
    }
}

#[test]
fn a_vm_still_to_be_made_is_in_the_failure_domain_that_is_known_of_its_shape() {
    let topology = topology("cpuset");
    let ask = Ask {
        spread: Some("zone".to_owned()),
        ..Ask::default()
    };
    let mut conditions = Conditions {
        asks: BTreeMap::from([(TierId::of("rubis", "db"), ask.into())]),
        ..Conditions::default()
    };
    let can_be_placed = |conditions: &Conditions| {
        let posed = pose(
            &topology,
            &Allocation::default(),
            &BTreeMap::new(),
            &plan(&[("db", 1, 1)]),
            None,
            None,
            conditions,
        )
        .unwrap();
        solved(&posed.instance).is_ok()
    };
    assert!(!can_be_placed(&conditions));
    let zone = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    conditions.shapes = BTreeMap::from([(String::new(), zone)]);
    assert!(can_be_placed(&conditions));
}

#[test]
fn a_target_owes_no_hooks_whatever_else_changes() {
    let topology = topology("cpuset");
    let nothing = Allocation::default();
    let first = plan(&[("db", 2, 3)]);
    let posed = pose(
        &topology,
        &nothing,
        &BTreeMap::new(),
        &first,
        None,
        None,
        &Conditions::default(),
    )
    .unwrap();
    let mut now = posed.target(&solved(&posed.instance).unwrap(), &nothing, VmId::new_vm);
    for held in now.vms.values_mut().flat_map(|vm| vm.used.values_mut()) {
        held.owed.scale = true;
    }
    for next in [first, plan(&[("db", 2, 3), ("lb", 1, 1)])] {
        let posed = pose(
            &topology,
            &now,
            &BTreeMap::new(),
            &next,
            None,
            None,
            &Conditions::default(),
        )
        .unwrap();
        let target = posed.target(&solved(&posed.instance).unwrap(), &now, VmId::new_vm);
        assert_eq!(target, target.clone().owing_nothing());
    }
}
