//! What must hold for every instance.

use mapek_solve::{Amount, Answer, Instance, Resource, Vm, VmRef};
use proptest::prelude::*;

use crate::exact::{self, tiny};
use crate::generate::{self, Dice};
use crate::solved;

/// The allocation after the answer is carried out.
fn applied(instance: &Instance, answer: &Answer) -> Instance {
    let vms = answer
        .placement
        .iter()
        .map(|placed| {
            let (name, capacity) = match placed.vm {
                VmRef::Existing(v) => (instance.vms[v].name.clone(), instance.vms[v].capacity),
                VmRef::New { number, shape } => (format!("new_vm{number}"), instance.shapes[shape].capacity),
            };
            Vm {
                name,
                capacity,
                held: placed.containers.clone(),
                spare: false,
                cordoned: false,
            }
        })
        .collect();
    Instance {
        vms,
        may_stay: true,
        ..instance.clone()
    }
}

fn shuffled(instance: &Instance, seed: u64) -> Instance {
    let mut dice = Dice(seed);
    let mut order: Vec<usize> = (0..instance.tiers.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, dice.below(i as u32 + 1) as usize);
    }
    let mut next = instance.clone();
    next.tiers = order.iter().map(|&t| instance.tiers[t].clone()).collect();
    for vm in &mut next.vms {
        for held in &mut vm.held {
            held.0 = order.iter().position(|&t| t == held.0).unwrap();
        }
    }
    for i in (1..next.vms.len()).rev() {
        next.vms.swap(i, dice.below(i as u32 + 1) as usize);
    }
    next
}

/// Small instances of all kinds: those of the brute-force test, and the families.
fn small(kind: u32, seed: u64) -> Instance {
    let further = |mut instance: Instance| {
        exact::further(&mut instance, &mut Dice(seed ^ 0xd15c));
        instance
    };
    match kind {
        0 => generate::fresh(8, seed),
        1 => generate::replan(6, seed),
        2 => generate::pinned(9, seed),
        3 => further(tiny(seed)),
        _ => tiny(seed),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_tiers_and_vms_does_not_matter(kind in 0u32..6, seed in any::<u64>()) {
        let instance = small(kind, seed);
        let other = shuffled(&instance, seed ^ 1);
        match (solved(&instance), solved(&other)) {
            (Ok(a), Ok(b)) if a.proven_optimal && b.proven_optimal => {
                prop_assert_eq!(a.objective, b.objective);
            }
            (Ok(a), Ok(b)) => {
                prop_assert!(a.bound <= b.objective && b.bound <= a.objective);
            }
            (Err(_), Err(_)) => {}
            (a, b) => prop_assert!(false, "{:?} and {:?}", a, b),
        }
    }

    #[test]
    fn another_vm_never_makes_it_worse(kind in 3u32..5, seed in any::<u64>()) {
        let instance = small(kind, seed);
        let mut more = instance.clone();
        more.max_new = more.max_new.map(|n| n + 1);
        more.max_vms = more.max_vms.map(|n| n + 1);
        if let Ok(before) = solved(&instance) {
            let after = solved(&more).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(after.objective <= before.objective);
        }
    }

    #[test]
    fn a_vm_of_no_use_costs_its_removal_and_nothing_else(seed in any::<u64>()) {
        let instance = tiny(seed);
        let mut more = instance.clone();
        more.vms.push(Vm { name: "useless".into(), capacity: Amount::new(0, 0), held: Vec::new(), spare: false, cordoned: false });
        match (solved(&instance), solved(&more)) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(a.objective + u64::from(instance.weights.vm_delete), b.objective);
                prop_assert_eq!(a.bound + u64::from(instance.weights.vm_delete), b.bound);
            }
            (Err(_), Err(_)) => {}
            (a, b) => prop_assert!(false, "{:?} and {:?}", a, b),
        }
    }

    /// Whoever asks for none of a resource does not care how much of it there is.
    #[test]
    fn disks_and_gpus_that_nobody_asks_for_change_nothing(kind in 0u32..5, seed in any::<u64>()) {
        let instance = match kind {
            3 => tiny(seed),
            kind => small(kind, seed),
        };
        let mut more = instance.clone();
        let mut dice = Dice(seed);
        for shape in &mut more.shapes {
            shape.capacity.disk = dice.below(100);
            shape.capacity.gpus = dice.below(3);
        }
        for vm in &mut more.vms {
            vm.capacity.disk = dice.below(100);
            vm.capacity.gpus = dice.below(3);
        }
        match (solved(&instance), solved(&more)) {
            // The very same search: the same work, as well as the same answer.
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(a.placement, b.placement);
                prop_assert_eq!((a.objective, a.bound, a.proved_by), (b.objective, b.bound, b.proved_by));
            }
            (Err(a), Err(b)) => prop_assert_eq!(a, b),
            (a, b) => prop_assert!(false, "{:?} and {:?}", a, b),
        }
    }

    /// Three steps for each one before: whatever was possible still is.
    #[test]
    fn finer_steps_never_make_it_worse(kind in 3u32..5, seed in any::<u64>()) {
        let instance = small(kind, seed);
        let finer = |mut amount: Amount| {
            for resource in Resource::ALL {
                amount.set(resource, amount.of(resource) * 3);
            }
            amount
        };
        let mut next = instance.clone();
        for shape in &mut next.shapes {
            shape.capacity = finer(shape.capacity);
        }
        for tier in &mut next.tiers {
            tier.demand = finer(tier.demand);
        }
        for vm in &mut next.vms {
            vm.capacity = finer(vm.capacity);
            for held in &mut vm.held {
                held.1 = finer(held.1);
            }
        }
        if let Ok(before) = solved(&instance) {
            let after = solved(&next).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(after.objective <= before.objective && after.bound <= before.objective);
        }
    }

    #[test]
    fn an_answer_carried_out_changes_nothing_more(kind in 0u32..6, seed in any::<u64>()) {
        let instance = small(kind, seed);
        if let Ok(answer) = solved(&instance) {
            let again = solved(&applied(&instance, &answer)).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(again.unchanged);
            let containers = |a: &Answer| {
                let mut all: Vec<_> = a.placement.iter().map(|p| p.containers.clone()).collect();
                all.sort();
                all
            };
            prop_assert_eq!(containers(&again), containers(&answer));
        }
    }
}

proptest! {
    // Each case may search for a good part of its deadline.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// No placement that anyone finds is below the bound: here, another search's.
    #[test]
    fn no_answer_is_below_anothers_bound(seed in any::<u64>()) {
        let instance = generate::replan(14, seed);
        let mut other = shuffled(&instance, seed ^ 2);
        other.may_stay = false;
        let (a, b) = (solved(&instance).unwrap(), solved(&other).unwrap());
        prop_assert!(a.bound <= b.objective && b.bound <= a.objective, "{:?} {:?}", a, b);
    }
}
