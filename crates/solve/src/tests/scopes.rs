//! What parts, pieces and certificates cover: never less than they say.

use super::*;

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
            for r in 0..4 {
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
        let room: Vec<[i64; 3]> = (0..vms)
            .map(|_| {
                [
                    2 + rng.below(8) as i64,
                    2 + rng.below(8) as i64,
                    rng.below(8) as i64,
                ]
            })
            .collect();
        let mut loads = Loads::new(room.clone());
        let mut decided: Vec<(Set, [i64; 3])> = Vec::new();
        for _ in 0..12 {
            if rng.below(5) == 0 && !decided.is_empty() {
                loads.pop();
                decided.pop();
                continue;
            }
            let set = 1 + rng.below((1 << vms) - 1) as Set;
            let least = i64::from(set.count_ones());
            // Of the third, a container may have none.
            let demand = [least, least, 0].map(|least| least + rng.below(7) as i64);
            decided.push((set, demand));
            let overloaded = (1u32..1 << vms).any(|asked| {
                (0..3).any(|r| {
                    let load: i64 = decided
                        .iter()
                        .map(|&(set, demand)| {
                            if set & !asked == 0 {
                                demand[r]
                            } else {
                                i64::from((set & asked).count_ones()) * i64::from(r < 2)
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
    for round in 0..800 {
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
            tier.demand = cut_to(tier.demand, instance.shapes[0].capacity);
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
            tier.demand = cut_to(tier.demand, instance.shapes[0].capacity);
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
