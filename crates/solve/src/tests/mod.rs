//! Bounds and exact methods against each other, on small random instances.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod scopes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::answer::Counters;
use super::evidence::{Bound, Certificate, Prover};
use super::exact::{self, Proof};
use super::instance::{Amount, Instance, PerVm, Resource, Shape, Tier, Vm, Weights};
use super::loads::{Loads, Set};
use super::meter::UNLIMITED;
use super::problem::Problem;
use super::relax::Toll;
use super::rng::Rng;
use super::rules::Origin;
use super::watch::Watch;
use super::{bound, chunks, knapsack, parts, relax, tariff, ties, verify};

/// Re-plans of 2 to 6 tiers on up to 4 VMs, some filled exactly, with other weights now and then.
fn instance(rng: &mut Rng) -> Instance {
    let mut draw = |n: usize| rng.below(n) as u32;
    let shape = Amount::new(2 + draw(5), 2 + draw(9));
    let tiers: Vec<Tier> = (0..2 + draw(5))
        .map(|ix| {
            let exact = draw(4) == 0;
            let cpu = if exact {
                shape.cpu * (1 + draw(2))
            } else {
                1 + draw(8)
            };
            Tier {
                name: format!("a_t{ix}"),
                demand: Amount::new(cpu, 1 + draw(12)),
                min_node: if draw(5) == 0 { 2 } else { 1 },
                max_node: (draw(8) == 0).then(|| 1 + draw(3)),
                ports: Default::default(),
                rules: Default::default(),
            }
        })
        .collect();
    let vms = (0..draw(4))
        .map(|ix| {
            let mut free = if draw(3) == 0 {
                Amount::new(1 + draw(8), 1 + draw(12))
            } else {
                shape
            };
            let capacity = free;
            let mut held = Vec::new();
            for t in 0..tiers.len() {
                if draw(2) == 0 && free.cpu > 0 && free.mem > 0 {
                    let amount = Amount::new(1 + draw(free.cpu as usize), 1 + draw(free.mem as usize));
                    free = Amount::new(free.cpu - amount.cpu, free.mem - amount.mem);
                    held.push((t, amount));
                }
            }
            let spare = draw(4) == 0;
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
    let mut weights = Weights::default();
    if draw(4) == 0 {
        weights.container_set = draw(6);
        weights.container_delete = draw(6);
        weights.vm_use = draw(20);
        weights.vm_delete = draw(20);
        weights.vm_create = draw(30);
    }
    Instance {
        tiers,
        vms,
        shapes: vec![Shape::of(shape)],
        max_new: Some(3 + draw(2)),
        max_vms: (draw(4) == 0).then(|| 1 + draw(5)),
        min_vms: if draw(5) == 0 { draw(5) } else { 0 },
        weights,
        cpu_step: 100,
        may_stay: false,
    }
}

/// The same with rules of where tiers may be, and with VMs of several shapes to be made.
fn ruled(rng: &mut Rng) -> Instance {
    let mut instance = instance(rng);
    let mut draw = |n: usize| rng.below(n) as u32;
    if draw(2) == 0 {
        for _ in 0..1 + draw(2) {
            instance.shapes.push(Shape {
                name: String::new(),
                capacity: Amount::new(1 + draw(8), 1 + draw(12)),
                price: Some(draw(45)),
                max: (draw(2) == 0).then(|| draw(3)),
            });
        }
        instance.max_new = Some(2);
        if instance.vms.iter().any(|vm| vm.spare) {
            instance.min_vms = 0;
        }
    }
    for vm in &mut instance.vms {
        vm.cordoned = !vm.spare && draw(5) == 0;
    }
    let counts = [instance.vms.len(), instance.shapes.len()];
    for tier in &mut instance.tiers {
        let restricted = draw(3) == 0;
        let allowed = per_vm(counts, || draw(4) > 0);
        tier.rules.allowed = restricted.then(|| Arc::new(allowed));
        let (apart, domains) = (draw(4) == 0, per_vm(counts, || (draw(8) > 0).then(|| draw(3))));
        tier.rules.domains = apart.then(|| Arc::new(domains));
        let (picky, dislikes) = (draw(3) == 0, per_vm(counts, || draw(4)));
        tier.rules.dislikes = picky.then(|| Arc::new(dislikes));
    }
    instance
}

fn per_vm<T>([vms, shapes]: [usize; 2], mut draw: impl FnMut() -> T) -> PerVm<T> {
    PerVm {
        vms: (0..vms).map(|_| draw()).collect(),
        shapes: (0..shapes).map(|_| draw()).collect(),
    }
}

/// One without rules, or one with; in every third, VMs have disks and GPUs, and tiers ask for them.
fn either(round: usize, rng: &mut Rng) -> Instance {
    let mut instance = if round.is_multiple_of(2) {
        instance(rng)
    } else {
        ruled(rng)
    };
    if round.is_multiple_of(3) {
        further(&mut instance, rng);
    }
    instance
}

fn further(instance: &mut Instance, rng: &mut Rng) {
    let mut draw = |n: u32| rng.below(n as usize) as u32;
    for tier in &mut instance.tiers {
        tier.demand.disk = draw(9) * draw(2);
        tier.demand.gpus = draw(3) * draw(2);
    }
    for shape in &mut instance.shapes {
        (shape.capacity.disk, shape.capacity.gpus) = (draw(12), draw(4));
    }
    for vm in &mut instance.vms {
        (vm.capacity.disk, vm.capacity.gpus) = (draw(12), draw(4));
        let mut free = vm.capacity;
        for (_, amount) in &mut vm.held {
            (amount.disk, amount.gpus) = (draw(free.disk + 1), draw(free.gpus + 1));
            free.disk -= amount.disk;
            free.gpus -= amount.gpus;
        }
    }
}

/// What of a demand a VM has room for.
fn cut_to(demand: Amount, room: Amount) -> Amount {
    let mut cut = demand;
    for resource in Resource::ALL {
        cut.set(resource, demand.of(resource).min(room.of(resource)));
    }
    cut
}

#[test]
fn the_tree_and_highs_agree_on_the_fewest_actions() {
    let mut rng = Rng::new(29);
    let (stop, spent, clock) = (AtomicBool::new(false), AtomicU64::new(0), || Duration::ZERO);
    let watch = Watch::new(&clock, &stop, &spent, Duration::from_secs(60));
    let mut counters = Counters::default();
    let (mut both, mut fewer) = (0, 0);
    for round in 0..600 {
        let instance = either(round, &mut rng);
        let problem = Arc::new(Problem::new(&instance));
        let (tree, _) = exact::by_tree(&problem, None, Some(u64::MAX), &watch, &mut counters);
        let Proof::Optimal(packing) = tree else { continue };
        let before = packing.actions(&problem);
        let by_tree = ties::settle(&problem, packing.clone(), true, &watch, &mut counters);
        assert!(by_tree.fewest, "round {round}: {instance:?}");
        assert_eq!(by_tree.packing.cost, packing.cost, "round {round}: {instance:?}");
        let news = bound::most_news(&problem, None);
        let by_program = ties::by_program(&problem, packing, &news, &watch, &mut counters);
        let actions = [&by_tree, &by_program].map(|settled| settled.packing.actions(&problem));
        assert!(
            actions[0] <= actions[1],
            "round {round}: {actions:?} {instance:?}"
        );
        fewer += usize::from(actions[0] < before);
        // A busy machine may not leave it the time.
        if by_program.fewest {
            both += 1;
            assert_eq!(actions[0], actions[1], "round {round}: {instance:?}");
            let dislikes = [&by_tree, &by_program].map(|settled| settled.packing.dislike(&problem));
            assert_eq!(dislikes[0], dislikes[1], "round {round}: {instance:?}");
        }
    }
    assert!(
        both > 50 && fewer > 5,
        "{both} proven by both, {fewer} with fewer actions"
    );
}

#[test]
fn bounds_hold_and_the_tree_agrees_with_highs() {
    let mut rng = Rng::new(11);
    let stop = AtomicBool::new(false);
    let clock = || Duration::ZERO;
    let spent = AtomicU64::new(0);
    let watch = Watch::new(&clock, &stop, &spent, Duration::from_secs(60));
    let mut counters = Counters::default();
    let (mut solvable, mut impossible, mut tariffs) = (0, 0, 0);
    for round in 0..400 {
        let instance = either(round, &mut rng);
        let problem = Arc::new(Problem::new(&instance));
        let (tree, _) = exact::by_tree(&problem, None, Some(u64::MAX), &watch, &mut counters);
        let (program, _) = exact::by_program(&problem, None, &watch, &mut counters);
        let cost = match (tree, program) {
            (Proof::Optimal(a), Proof::Optimal(b)) => {
                assert_eq!(a.cost, b.cost, "round {round}: {instance:?}");
                a.cost
            }
            (Proof::NoneBelow, Proof::NoneBelow) => {
                impossible += 1;
                continue;
            }
            (a, b) => panic!("round {round}: {a:?} but {b:?}\n{instance:?}"),
        };
        solvable += 1;
        let mut meter = watch.meter(UNLIMITED);
        let volume = bound::containers(&problem) + bound::fleet(&problem, &mut meter).unwrap().price;
        assert!(
            volume <= cost,
            "round {round}: volume {volume} above {cost}: {instance:?}"
        );
        if tariff::applies(&problem) {
            let bound = tariff::solve(&problem, 60.0).unwrap();
            assert!(
                verify::certified(&instance, &bound).is_ok(),
                "round {round}: {bound:?} {instance:?}"
            );
            assert!(
                bound.value <= cost,
                "round {round}: {bound:?} above {cost}: {instance:?}"
            );
            let more = Bound {
                value: bound.value + 1,
                ..bound.clone()
            };
            assert!(
                verify::certified(&instance, &more).is_err(),
                "round {round}: {bound:?} {instance:?}"
            );
            tariffs += usize::from(bound.value > volume);
        }
        let linear = relax::solve(&problem, false, 60.0).unwrap();
        let whole = relax::solve(&problem, true, 60.0).unwrap();
        assert!(
            linear.bound.value <= cost && whole.bound.value <= cost,
            "round {round}: {whole:?} above {cost}: {instance:?}"
        );
        let toll = |room, large| Toll { room, large };
        let tolls = [
            linear.toll.unwrap_or(toll([0.0; 4], [0.0; 4])),
            toll([0.5, 1.5, 0.2, 1.0], [0.0; 4]),
            toll([2.0, 0.1, 0.0, 3.0], [1.0, 0.5, 0.0, 0.1]),
        ];
        for toll in tolls {
            let pieces = parts::solve_by(&problem, toll, 60.0, 2, &|| false).unwrap();
            assert!(
                pieces.value <= cost,
                "round {round}: parts {} above {cost}: {instance:?}",
                pieces.value
            );
        }
    }
    assert!(
        solvable > 80 && impossible > 20 && tariffs > 3,
        "{solvable} solvable, {impossible} not, {tariffs} where rules say more than volume"
    );
}
