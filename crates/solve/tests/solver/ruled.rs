//! Rules of where tiers may be, cordoned VMs, failure domains and several shapes, against brute force.

use std::sync::Arc;

use mapek_solve::{Amount, Instance, PerVm, Rules, Shape};

use crate::exact::{compare, further, tiny};
use crate::generate::Dice;
use crate::solved;

/// A tiny instance with rules drawn for it.
fn ruled(seed: u64) -> Instance {
    let mut instance = tiny(seed);
    let mut dice = Dice(seed ^ 0x5eed);
    if dice.chance(50) {
        shapes(&mut instance, &mut dice);
    }
    for vm in &mut instance.vms {
        vm.cordoned = !vm.spare && dice.chance(25);
    }
    let (vms, shapes) = (instance.vms.len(), instance.shapes.len());
    for tier in &mut instance.tiers {
        let allowed = dice.chance(40).then(|| {
            Arc::new(PerVm {
                vms: (0..vms).map(|_| dice.chance(70)).collect(),
                shapes: (0..shapes).map(|_| dice.chance(70)).collect(),
            })
        });
        let domains = dice.chance(30).then(|| {
            let mut domain = || dice.chance(85).then(|| dice.below(3));
            Arc::new(PerVm {
                vms: (0..vms).map(|_| domain()).collect(),
                shapes: (0..shapes).map(|_| domain()).collect(),
            })
        });
        tier.rules = Rules {
            allowed,
            domains,
            dislikes: None,
        };
    }
    instance
}

/// Two or three shapes, of no more VMs in all than brute force can look at.
fn shapes(instance: &mut Instance, dice: &mut Dice) {
    let more = 1 + dice.below(2);
    for _ in 0..more {
        instance.shapes.push(Shape {
            name: String::new(),
            capacity: Amount::new(1 + dice.below(6), 1 + dice.below(8)),
            price: dice.chance(80).then(|| dice.below(45)),
            max: dice.chance(50).then(|| dice.below(3)),
        });
    }
    if dice.chance(30) {
        instance.shapes[0].price = Some(dice.below(45));
    }
    instance.max_new = Some(1 + dice.below(2));
    if dice.chance(30) && instance.vms.iter().all(|vm| !vm.spare) {
        instance.min_vms = dice.below(3);
        instance.shapes[0].max = None;
    }
}

#[test]
fn two_thousand_tiny_instances_with_rules_are_solved_exactly() {
    let mut solvable = 0;
    for seed in 0..2_000 {
        let instance = ruled(seed);
        compare(seed, &instance);
        solvable += usize::from(solved(&instance).is_ok());
    }
    assert!(solvable > 300, "only {solvable} have a solution");
}

#[test]
fn two_thousand_tiny_instances_with_rules_disks_and_gpus_are_solved_exactly() {
    let mut solvable = 0;
    for seed in 2_000..4_000 {
        let mut instance = ruled(seed);
        further(&mut instance, &mut Dice(seed ^ 0xd15c));
        compare(seed, &instance);
        solvable += usize::from(solved(&instance).is_ok());
    }
    assert!(solvable > 150, "only {solvable} have a solution");
}
