//! Questions of unexpected shapes: every one is answered with a limited amount of work.
//!
//! A search that does not end would hang the test, so each runs with a watchdog.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mapek_solve::{
    Amount, Answer, EndedBy, HostPort, Instance, Limits, Protocol, ReasonCode, Shape, SolveError, Tier, Vm,
    VmRef, Weights, solve,
};

use crate::brute;
use crate::generate::Dice;

/// Far beyond any deadline used here, since machines are sometimes slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Solves on another thread with a real clock; panics when no answer comes long after the deadline.
pub fn answered(instance: &Instance, deadline: Duration) -> Result<Answer, SolveError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (send, receive) = mpsc::channel();
    let (question, flag) = (instance.clone(), Arc::clone(&stop));
    std::thread::spawn(move || {
        let begun = Instant::now();
        let limits = Limits {
            deadline,
            ..Limits::default()
        };
        drop(send.send(solve(&question, &limits, &|| begun.elapsed(), &flag)));
    });
    let result = receive.recv_timeout(deadline + PATIENCE);
    stop.store(true, Ordering::Relaxed);
    result.unwrap_or_else(|_| {
        panic!(
            "no answer long after the deadline: {} tiers",
            instance.tiers.len()
        )
    })
}

pub fn tier(name: &str, cpu: u32, mem: u32) -> Tier {
    Tier {
        name: name.into(),
        demand: Amount::new(cpu, mem),
        min_node: 0,
        max_node: None,
        ports: BTreeSet::new(),
        rules: Default::default(),
    }
}

pub fn question(tiers: Vec<Tier>, vms: Vec<Vm>, new_vm: Amount) -> Instance {
    Instance {
        tiers,
        vms,
        shapes: vec![Shape::of(new_vm)],
        max_new: None,
        max_vms: None,
        min_vms: 0,
        weights: Weights::default(),
        cpu_step: 100,
        may_stay: true,
    }
}

fn vm(name: &str, cpu: u32, mem: u32, held: Vec<(usize, Amount)>) -> Vm {
    Vm {
        name: name.into(),
        capacity: Amount::new(cpu, mem),
        held,
        spare: false,
        cordoned: false,
    }
}

fn ports(protocol: Protocol, range: std::ops::Range<u16>) -> BTreeSet<HostPort> {
    let port = |port| HostPort {
        port,
        protocol,
        address: None,
    };
    range.map(port).collect()
}

/// VMs of unequal size, and no limit on new ones.
fn unequal(seed: u64) -> Instance {
    let mut dice = Dice(seed);
    let n = 2 + dice.below(3) as usize;
    let new_vm = Amount::new(1 + dice.below(4), 2 + dice.below(7));
    let tiers: Vec<Tier> = (0..n)
        .map(|ix| Tier {
            min_node: dice.below(3),
            max_node: dice.chance(40).then(|| 1 + dice.below(3)),
            ports: if dice.chance(20) {
                ports(Protocol::Tcp, 80..81)
            } else {
                BTreeSet::new()
            },
            ..tier(&format!("a_t{ix}"), 1 + dice.below(5), 1 + dice.below(15))
        })
        .collect();
    let vms = (0..dice.below(4))
        .map(|ix| {
            let capacity = Amount::new(1 + dice.below(6), 1 + dice.below(11));
            let mut free = capacity;
            let mut held = Vec::new();
            for t in 0..n {
                if dice.chance(40) && free.cpu > 0 && free.mem > 0 {
                    let amount = Amount::new(1 + dice.below(free.cpu), 1 + dice.below(free.mem));
                    free = Amount::new(free.cpu - amount.cpu, free.mem - amount.mem);
                    held.push((t, amount));
                }
            }
            Vm {
                spare: held.is_empty() && dice.chance(40),
                ..vm(&format!("i-{ix}"), capacity.cpu, capacity.mem, held)
            }
        })
        .collect();
    let mut instance = question(tiers, vms, new_vm);
    if dice.chance(40) {
        let mut weight = || dice.pick(&[0, 0, 1, 3, 20, 1_000_000]);
        instance.weights = Weights {
            vm_create: weight(),
            vm_use: weight(),
            vm_delete: weight(),
            container_create: weight(),
            container_set: weight(),
            container_delete: weight(),
            container_delete_pinned: weight(),
        };
    }
    instance.min_vms = if dice.chance(20) { dice.below(4) } else { 0 };
    instance.may_stay = false;
    instance
}

#[test]
fn vms_of_unequal_size_and_no_limit_on_new_ones_are_answered() {
    for seed in 0..250 {
        let instance = unequal(seed);
        match answered(&instance, Duration::from_secs(5)) {
            Ok(answer) => {
                assert!(answer.bound <= answer.objective, "seed {seed}");
                assert_eq!(answer.counters.refused, 0, "seed {seed}: a false bound");
            }
            Err(SolveError::Infeasible(why)) => assert!(!why.reasons.is_empty()),
            Err(other) => panic!("seed {seed}: {other:?}"),
        }
    }
}

/// The same, with so few new VMs that all placements can be looked at.
#[test]
fn unequal_vms_and_extreme_weights_are_solved_exactly() {
    let mut compared = 0;
    for seed in 10_000..11_000 {
        let mut instance = unequal(seed);
        instance.vms.truncate(2);
        instance.max_new = Some(3 - instance.vms.len() as u32);
        instance.tiers.truncate(3);
        for vm in &mut instance.vms {
            vm.held.retain(|h| h.0 < 3);
        }
        let expected = brute::optimum(&instance, 3);
        match (expected, answered(&instance, Duration::from_secs(20))) {
            (Some(best), Ok(answer)) => {
                compared += 1;
                assert_eq!(answer.objective, best, "seed {seed}: {instance:?}");
                assert_eq!(answer.bound, best, "seed {seed}: {instance:?}");
                assert_eq!(answer.ended_by, EndedBy::Proof);
            }
            (None, Err(SolveError::Infeasible(_))) => {}
            (expected, got) => panic!("seed {seed}: {expected:?} but {got:?}\n{instance:?}"),
        }
    }
    assert!(compared > 100, "{compared}");
}

/// If VMs cost nothing, one more of them saves a container.
#[test]
fn vms_that_cost_nothing_are_counted_as_such() {
    let mut instance = question(
        vec![tier("x_a", 32, 3), tier("x_b", 2, 125)],
        Vec::new(),
        Amount::new(16, 64),
    );
    instance.weights.vm_create = 0;
    let answer = answered(&instance, Duration::from_secs(10)).unwrap();
    assert_eq!((answer.objective, answer.bound), (16, 16));
}

#[test]
fn of_equal_prices_the_one_with_fewer_actions_wins() {
    let one = Amount::new(1, 1);
    let vms = vec![
        vm("i-1", 8, 8, vec![(0, one), (1, one)]),
        vm("i-2", 8, 8, vec![(0, Amount::new(7, 7)), (1, one)]),
    ];
    let mut b = tier("x_b", 2, 2);
    b.min_node = 2;
    let instance = question(vec![tier("x_a", 7, 7), b], vms, Amount::new(8, 8));
    let answer = answered(&instance, Duration::from_secs(10)).unwrap();
    // Only the small container of x_a is removed.
    assert_eq!(answer.placement[0].containers, [(1, one)]);
    assert_eq!(answer.placement[1].containers, [(0, Amount::new(7, 7)), (1, one)]);
}

/// Which containers are resized is a choice of its own: the one on the full VM need not be.
#[test]
fn a_container_that_can_keep_its_size_keeps_it() {
    let now = Amount::new(786, 1);
    let vms = vec![vm("i-1", 800, 1, vec![(0, now)])];
    let mut instance = question(vec![tier("x_a", 800, 2)], vms, Amount::new(100, 1));
    instance.cpu_step = 1;
    let answer = answered(&instance, Duration::from_secs(10)).unwrap();
    assert_eq!((answer.objective, answer.bound), (38, 38));
    assert_eq!(answer.ended_by, EndedBy::Proof);
    assert_eq!(answer.placement[0].containers, [(0, now)]);
}

/// A VM that is not in use yet is no action while it stays so.
#[test]
fn vms_not_in_use_are_not_counted_as_deleted() {
    let mut spare = vm("i-0", 8, 8, Vec::new());
    spare.spare = true;
    let mut instance = question(
        vec![tier("x_a", 8, 8)],
        vec![spare, vm("i-1", 8, 8, Vec::new())],
        Amount::new(8, 8),
    );
    // Using one and deleting the other costs as much either way.
    instance.weights.vm_create = 9;
    let answer = answered(&instance, Duration::from_secs(10)).unwrap();
    assert_eq!(answer.objective, 15);
    assert_eq!(answer.placement[0].vm, VmRef::Existing(1));
}

/// Every pair of divided tiers meets on the one large VM, so there are as many connected sets as
/// there are sets of tiers.
#[test]
fn many_divided_tiers_on_one_vm_take_no_longer_than_the_deadline() {
    let tiers = (0..14)
        .map(|ix| Tier {
            min_node: 2,
            ..tier(&format!("x_t{ix:02}"), 2, 2)
        })
        .collect();
    let instance = question(tiers, vec![vm("big", 64, 64, Vec::new())], Amount::new(1, 1));
    let answer = answered(&instance, Duration::from_secs(10)).unwrap();
    // Each has a container on the large VM and one on a small one of its own.
    assert_eq!(answer.placement.len(), 15);
    assert_eq!(answer.objective, 11 + 14 * 20 + 28 * 4);
}

/// Three tiers, of which each two share a port, need three VMs; no single port says so.
#[test]
fn tens_of_thousands_of_tiers_neither_overflow_the_stack_nor_hang() {
    let mut tiers: Vec<Tier> = (0..19_990).map(|ix| tier(&format!("x_t{ix:05}"), 2, 2)).collect();
    for (name, first, second) in [("x_za", 1, 2), ("x_zb", 2, 3), ("x_zc", 1, 3)] {
        let mut last = tier(name, 1, 1);
        last.ports.extend(ports(Protocol::Tcp, first..first + 1));
        last.ports.extend(ports(Protocol::Tcp, second..second + 1));
        tiers.push(last);
    }
    let mut instance = question(tiers, Vec::new(), Amount::new(100_000, 100_000));
    instance.cpu_step = 1;
    instance.max_new = Some(3);
    let answer = answered(&instance, Duration::from_secs(10)).unwrap();
    assert!(answer.bound <= answer.objective);
    instance.max_new = Some(2);
    match answered(&instance, Duration::from_secs(10)) {
        Err(SolveError::Infeasible(why)) => {
            let code = why.reasons.iter().find(|r| r.code == ReasonCode::PortsExhausted);
            assert!(code.unwrap().text.contains("x_za, x_zb, x_zc"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn wide_ranges_of_ports_are_looked_at_as_ranges() {
    let wide = |name: &str, protocol| Tier {
        ports: ports(protocol, 2_000..32_000),
        ..tier(name, 2, 2)
    };
    let mut tiers = vec![
        wide("x_t0", Protocol::Tcp),
        wide("x_t1", Protocol::Udp),
        wide("x_t2", Protocol::Sctp),
    ];
    tiers.push(Tier {
        ports: ports(Protocol::Tcp, 31_999..32_001),
        ..tier("x_last", 1, 1)
    });
    let instance = question(tiers, Vec::new(), Amount::new(16, 64));
    let answer = answered(&instance, Duration::from_secs(10)).unwrap();
    assert_eq!((answer.objective, answer.bound), (2 * 20 + 4 * 4, 2 * 20 + 4 * 4));
}

/// One tier in as many containers as there are steps, on VMs that hold one each.
#[test]
fn a_tier_on_a_hundred_thousand_vms_is_answered() {
    let instance = question(vec![tier("x_a", 100_000, 100_000)], Vec::new(), Amount::new(1, 1));
    let answer = answered(&instance, Duration::from_secs(5)).unwrap();
    assert_eq!(answer.placement.len(), 100_000);
}

/// Large VMs in one part and small ones in another, or both in each: what is proven from parts must not
/// depend on which VMs a part has.
#[test]
fn no_bound_from_parts_is_above_what_the_same_question_costs_in_another_order() {
    let mut dice = Dice(5);
    let mut tiers = Vec::new();
    let mut vms = Vec::new();
    for ix in 0..150usize {
        let large = ix < 75;
        let (capacity, count) = if large {
            (Amount::new(64, 256), 5)
        } else {
            (Amount::new(4, 16), 4)
        };
        let mut held = Vec::new();
        for k in 0..count {
            held.push((tiers.len(), Amount::new(1, 1 + dice.below(3))));
            let name = format!("x_v{ix:03}k{k}");
            tiers.push(tier(&name, 1 + dice.below(8), 1 + dice.below(32)));
        }
        vms.push(vm(&format!("i-{ix:03}"), capacity.cpu, capacity.mem, held));
    }
    let grouped = Instance {
        may_stay: false,
        ..question(tiers, vms, Amount::new(16, 64))
    };
    let mut mixed = grouped.clone();
    mixed.vms.sort_by_key(|vm| {
        let ix: usize = vm.name[2..].parse().unwrap();
        (ix % 75, ix)
    });
    let a = answered(&grouped, Duration::from_secs(4)).unwrap();
    let b = answered(&mixed, Duration::from_secs(4)).unwrap();
    assert!(a.bound <= b.objective && b.bound <= a.objective);
    assert_eq!((a.counters.refused, b.counters.refused), (0, 0));
}
