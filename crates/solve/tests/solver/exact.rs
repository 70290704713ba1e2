//! Against brute force: exactly the optimum, or exactly "no solution".

use std::collections::BTreeSet;
use std::net::IpAddr;

use mapek_solve::{Amount, HostPort, Instance, Protocol, Resource, Shape, SolveError, Tier, Vm, Weights};

use crate::brute;
use crate::generate::Dice;
use crate::solved;

/// Everything mixed: 1 to 4 tiers, 1 to 3 VMs in all, existing ones of unequal size.
pub fn tiny(seed: u64) -> Instance {
    let mut dice = Dice(seed);
    let vms = 1 + dice.below(3) as usize;
    let existing = dice.below(vms as u32 + 1) as usize;
    let n = 1 + dice.below(4) as usize;
    let new_vm = Amount::new(1 + dice.below(5), 1 + dice.below(6));
    let tiers: Vec<Tier> = (0..n)
        .map(|ix| Tier {
            name: format!("app_t{ix}"),
            demand: Amount::new(1 + dice.below(5), 1 + dice.below(6)),
            min_node: if dice.chance(20) {
                1 + dice.below(3)
            } else {
                dice.below(2)
            },
            max_node: dice.chance(35).then(|| 1 + dice.below(3)),
            ports: ports(&mut dice),
            rules: Default::default(),
        })
        .collect();
    let vms_now = (0..existing)
        .map(|ix| {
            let capacity = Amount::new(1 + dice.below(6), 1 + dice.below(8));
            let mut held = Vec::new();
            let mut free = capacity;
            for t in 0..n {
                if dice.chance(45) && free.cpu > 0 && free.mem > 0 {
                    let amount = Amount::new(1 + dice.below(free.cpu), 1 + dice.below(free.mem));
                    free = Amount::new(free.cpu - amount.cpu, free.mem - amount.mem);
                    held.push((t, amount));
                }
            }
            let spare = dice.chance(25);
            if spare {
                held.clear();
            }
            Vm {
                name: format!("i-{ix}"),
                capacity,
                held,
                spare,
                cordoned: false,
            }
        })
        .collect();
    Instance {
        tiers,
        vms: vms_now,
        shapes: vec![Shape::of(new_vm)],
        max_new: Some((vms - existing) as u32),
        max_vms: dice.chance(30).then(|| 1 + dice.below(3)),
        min_vms: 0,
        weights: Weights::default(),
        cpu_step: 100,
        may_stay: false,
    }
}

fn ports(dice: &mut Dice) -> BTreeSet<HostPort> {
    let mut ports = BTreeSet::new();
    while dice.chance(30) {
        let address = dice
            .chance(50)
            .then(|| IpAddr::from([127, 0, 0, 1 + dice.below(2) as u8]));
        let protocol = dice.pick(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp]);
        ports.insert(HostPort {
            port: 80 + dice.below(2) as u16,
            protocol,
            address,
        });
    }
    ports
}

pub fn compare(seed: u64, instance: &Instance) {
    let expected = brute::optimum(instance, 3);
    match (expected, solved(instance)) {
        (Some(best), Ok(answer)) => {
            assert_eq!(answer.objective, best, "seed {seed}: {instance:?}\n{answer:?}");
            assert!(answer.proven_optimal, "seed {seed}: unproven {answer:?}");
            assert_eq!(answer.bound, best, "seed {seed}");
            assert_eq!(answer.counters.refused, 0, "seed {seed}: a false bound");
        }
        (None, Err(SolveError::Infeasible(why))) => assert!(!why.reasons.is_empty()),
        (expected, got) => panic!("seed {seed}: {expected:?} but {got:?}\n{instance:?}"),
    }
}

/// Disks and GPUs for an instance: VMs that have some, and tiers that ask for some.
pub fn further(instance: &mut Instance, dice: &mut Dice) {
    for resource in [Resource::Disk, Resource::Gpus] {
        if dice.chance(25) {
            continue;
        }
        for tier in &mut instance.tiers {
            if dice.chance(60) {
                tier.demand.set(resource, dice.below(4));
            }
        }
        for shape in &mut instance.shapes {
            shape
                .capacity
                .set(resource, if dice.chance(80) { dice.below(7) } else { 0 });
        }
        for vm in &mut instance.vms {
            let has = if dice.chance(80) { dice.below(7) } else { 0 };
            vm.capacity.set(resource, has);
            let mut free = has;
            for (_, amount) in &mut vm.held {
                let holds = dice.below(free + 1);
                amount.set(resource, holds);
                free -= holds;
            }
        }
    }
}

#[test]
fn six_thousand_tiny_instances_with_disks_and_gpus_are_solved_exactly() {
    let (mut solvable, mut asked) = (0, 0);
    for seed in 0..6_000 {
        let mut instance = tiny(seed);
        further(&mut instance, &mut Dice(seed ^ 0xd15c));
        compare(seed, &instance);
        let asks = instance.tiers.iter().any(|t| t.demand.disk + t.demand.gpus > 0);
        asked += usize::from(asks);
        solvable += usize::from(asks && solved(&instance).is_ok());
    }
    assert!(
        asked > 4_000 && solvable > 400,
        "{solvable} of {asked} have a solution"
    );
}

#[test]
fn twelve_thousand_tiny_instances_are_solved_exactly() {
    for seed in 0..12_000 {
        compare(seed, &tiny(seed));
    }
}
