//! Bounds and exact methods against each other, on small random instances.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::answer::Counters;
use super::evidence::{Bound, Certificate, Prover};
use super::exact::{self, Proof};
use super::instance::{Amount, Instance, PerVm, Shape, Tier, Vm, Weights};
use super::loads::{Loads, Set};
use super::meter::UNLIMITED;
use super::problem::Problem;
use super::rng::Rng;
use super::rules::Origin;
use super::watch::Watch;
use super::{bound, chunks, knapsack, parts, relax, ties, verify};

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

/// One without rules, or one with.
fn either(round: usize, rng: &mut Rng) -> Instance {
    if round.is_multiple_of(2) {
        instance(rng)
    } else {
        ruled(rng)
    }
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
    let (mut solvable, mut impossible) = (0, 0);
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
        let linear = relax::solve(&problem, false, 60.0).unwrap();
        let whole = relax::solve(&problem, true, 60.0).unwrap();
        assert!(
            linear.bound.value <= cost && whole.bound.value <= cost,
            "round {round}: {whole:?} above {cost}: {instance:?}"
        );
        for toll in [linear.toll.unwrap_or([0.0, 0.0]), [0.5, 1.5], [2.0, 0.1]] {
            let pieces = parts::solve_by(&problem, toll, 60.0, 2, &|| false).unwrap();
            assert!(
                pieces.value <= cost,
                "round {round}: parts {} above {cost}: {instance:?}",
                pieces.value
            );
        }
    }
    assert!(
        solvable > 80 && impossible > 20,
        "{solvable} solvable, {impossible} not"
    );
}

/// What fits into one container depends on the largest VM, so a part must not have a larger one
/// than the whole, and must not be far below it for that reason.
#[test]
fn no_part_has_a_larger_vm_than_the_whole() {
    let mut rng = Rng::new(5);
    let mut strangers = 0;
    for round in 0..400 {
        let instance = instance(&mut rng);
        let problem = Problem::new(&instance);
        let largest = |p: &Problem, r: usize| p.existing.iter().map(|c| c[r]).max().unwrap_or(0);
        for part in chunks::cut(&problem, 1, true) {
            strangers += part.elsewhere;
            for r in 0..2 {
                assert!(
                    largest(&part.problem, r) <= largest(&problem, r),
                    "round {round}: {instance:?}"
                );
            }
        }
    }
    assert!(strangers > 50, "only {strangers} VMs stood for others");
}

/// Decides random tiers one after the other, now and then one less, and asks every set of VMs.
#[test]
fn amounts_exist_when_no_set_of_vms_is_overloaded() {
    let mut rng = Rng::new(7);
    let (mut fit, mut refused, mut pieces) = (0, 0, 0);
    for _ in 0..2_000 {
        let vms = 2 + rng.below(5);
        let room: Vec<[i64; 2]> = (0..vms)
            .map(|_| [2 + rng.below(8) as i64, 2 + rng.below(8) as i64])
            .collect();
        let mut loads = Loads::new(room.clone());
        let mut decided: Vec<(Set, [i64; 2])> = Vec::new();
        for _ in 0..12 {
            if rng.below(5) == 0 && !decided.is_empty() {
                loads.pop();
                decided.pop();
                continue;
            }
            let set = 1 + rng.below((1 << vms) - 1) as Set;
            let least = i64::from(set.count_ones());
            let demand = [0, 1].map(|_| least + rng.below(7) as i64);
            decided.push((set, demand));
            let overloaded = (1u32..1 << vms).any(|asked| {
                (0..2).any(|r| {
                    let load: i64 = decided
                        .iter()
                        .map(|&(set, demand)| {
                            if set & !asked == 0 {
                                demand[r]
                            } else {
                                i64::from((set & asked).count_ones())
                            }
                        })
                        .sum();
                    let has: i64 = (0..vms).filter(|v| asked >> v & 1 == 1).map(|v| room[v][r]).sum();
                    load > has
                })
            });
            let pushed = loads.push(set, demand);
            assert_eq!(pushed, !overloaded, "{room:?} {decided:?}");
            if pushed {
                fit += 1;
                pieces += usize::from(set.count_ones() > 1);
            } else {
                refused += 1;
                decided.pop();
            }
        }
    }
    assert!(
        fit > 3_000 && refused > 3_000 && pieces > 1_000,
        "{fit} {refused} {pieces}"
    );
}

/// The number of new VMs is cut down to what a cheaper placement can use, never below that.
#[test]
fn a_cheaper_placement_has_no_more_new_vms_than_said() {
    let mut rng = Rng::new(23);
    let stop = AtomicBool::new(false);
    let clock = || Duration::ZERO;
    let spent = AtomicU64::new(0);
    let watch = Watch::new(&clock, &stop, &spent, Duration::from_secs(60));
    let mut counters = Counters::default();
    let mut cut = 0;
    for round in 0..400 {
        let instance = either(round, &mut rng);
        let problem = Arc::new(Problem::new(&instance));
        let (Proof::Optimal(best), _) = exact::by_program(&problem, None, &watch, &mut counters) else {
            continue;
        };
        let said = bound::most_news(&problem, Some(best.cost + 1));
        for (kind, &said) in said.iter().enumerate() {
            let slots = best.slots.iter().filter(|s| s.origin == Origin::New(kind));
            let used = slots.filter(|s| !s.boxes.is_empty()).count();
            assert!(said >= used, "round {round}: {said} of {used}: {instance:?}");
        }
        cut += usize::from(said < bound::most_news(&problem, None));
    }
    assert!(cut > 30, "{cut}");
}

/// Values of any kind give a bound, so only what it is compared with can show a mistake.
#[test]
fn the_knapsack_bound_holds_and_is_often_reached() {
    let mut rng = Rng::new(31);
    let stop = AtomicBool::new(false);
    let clock = || Duration::ZERO;
    let spent = AtomicU64::new(0);
    let watch = Watch::new(&clock, &stop, &spent, Duration::from_secs(60));
    let mut counters = Counters::default();
    let (mut better, mut reached, mut kept) = (0, 0, 0);
    for round in 0..600 {
        let mut instance = instance(&mut rng);
        instance.max_vms = None;
        for tier in &mut instance.tiers {
            tier.min_node = 1;
            tier.max_node = Some(1);
            tier.demand.cpu = tier.demand.cpu.min(instance.shapes[0].capacity.cpu);
            tier.demand.mem = tier.demand.mem.min(instance.shapes[0].capacity.mem);
        }
        let problem = Arc::new(Problem::new(&instance));
        let (tree, _) = exact::by_tree(&problem, None, Some(u64::MAX), &watch, &mut counters);
        let Proof::Optimal(best) = tree else { continue };
        let mut meter = watch.meter(UNLIMITED);
        let volume = bound::containers(&problem) + bound::fleet(&problem, &mut meter).unwrap().price;
        for above in [1, 7] {
            let floor = knapsack::floor(&problem, best.cost + above, &|| false)
                .unwrap()
                .value;
            assert!(
                floor <= best.cost,
                "round {round}: {floor} above {}: {instance:?}",
                best.cost
            );
            better += usize::from(floor > volume);
            reached += usize::from(floor == best.cost);
            kept += usize::from(floor == best.cost && !instance.vms.is_empty());
        }
    }
    assert!(
        better > 50 && reached > 200 && kept > 50,
        "{better} {reached} {kept}"
    );
}

/// The checker takes what follows from a certificate, and nothing more.
#[test]
fn a_bound_that_does_not_follow_from_its_certificate_is_refused() {
    let mut rng = Rng::new(41);
    let stop = AtomicBool::new(false);
    let clock = || Duration::ZERO;
    let spent = AtomicU64::new(0);
    let watch = Watch::new(&clock, &stop, &spent, Duration::from_secs(60));
    let (mut counted, mut scopes, mut valued) = (0, 0, 0);
    for round in 0..400 {
        let mut instance = either(round, &mut rng);
        let problem = Problem::new(&instance);
        let mut meter = watch.meter(UNLIMITED);
        let certified = |instance: &Instance, value: i64, by: Prover, certificate: Certificate| {
            let bound = Bound {
                value,
                by,
                certificate,
            };
            verify::certified(instance, &bound).is_ok()
        };
        if let Some(fleet) = bound::fleet(&problem, &mut meter) {
            let value = bound::containers(&problem) + fleet.price;
            let says = |value| certified(&instance, value, Prover::Volume, Certificate::Counted);
            assert!(says(value), "round {round}: {instance:?}");
            // Where a rule leaves a tier too few VMs, every bound is right.
            let plain = round.is_multiple_of(2);
            assert!(!plain || !says(value + 1), "round {round}: {instance:?}");
            counted += 1;
            // With so high a price, placements with new VMs are left out.
            let scope = |news| {
                certified(
                    &instance,
                    value + 1_000,
                    Prover::Tree,
                    Certificate::Exhausted { news },
                )
            };
            let most = bound::most_news(&problem, Some(value + 1_000));
            let none = vec![0; most.len()];
            let some = most.iter().any(|&most| most > 0);
            assert!(scope(most.clone()), "round {round}: {most:?} {instance:?}");
            scopes += usize::from(some && !scope(none));
        }
        for tier in &mut instance.tiers {
            tier.min_node = 1;
            tier.max_node = Some(1);
            tier.demand.cpu = tier.demand.cpu.min(instance.shapes[0].capacity.cpu);
            tier.demand.mem = tier.demand.mem.min(instance.shapes[0].capacity.mem);
        }
        let problem = Problem::new(&instance);
        if let Some(bound) = knapsack::floor(&problem, 10_000, &|| false) {
            assert!(
                verify::certified(&instance, &bound).is_ok(),
                "round {round}: {bound:?} {instance:?}"
            );
            let more = Bound {
                value: bound.value + 100,
                ..bound
            };
            assert!(
                verify::certified(&instance, &more).is_err(),
                "round {round}: {instance:?}"
            );
            valued += 1;
        }
    }
    assert!(
        counted > 100 && scopes > 100 && valued > 200,
        "{counted} {scopes} {valued}"
    );
}
