//! Defects of the predecessor's solver that must not come back.

use mapek_solve::{Amount, Instance, Shape, SolveError, Tier, Vm, Weights};

use crate::solved;

fn three_tiers(max_node: Option<u32>) -> Instance {
    let tiers = (0..3)
        .map(|ix| Tier {
            name: format!("app_t{ix}"),
            demand: Amount::new(1, 5),
            min_node: 1,
            max_node,
            ports: Default::default(),
            rules: Default::default(),
        })
        .collect();
    Instance {
        tiers,
        vms: Vec::new(),
        shapes: vec![Shape::of(Amount::new(2, 8))],
        max_new: None,
        max_vms: None,
        min_vms: 0,
        weights: Weights::default(),
        cpu_step: 100,
        may_stay: true,
    }
}

/// It offered only as many new VMs as the summed volume needs (here 2), and found no solution.
#[test]
fn more_vms_than_the_volume_needs_are_considered() {
    let answer = solved(&three_tiers(None)).unwrap();
    assert!(answer.proven_optimal);
    assert_eq!((answer.placement.len(), answer.objective), (3, 3 * 20 + 3 * 4));
}

/// It read `max_node` only when it was 1, and then only as a cost: a pinned tier could be split.
#[test]
fn max_node_is_a_limit_and_not_a_price() {
    let answer = solved(&three_tiers(Some(1))).unwrap();
    for tier in 0..3 {
        let on = answer
            .placement
            .iter()
            .filter(|vm| vm.containers.iter().any(|c| c.0 == tier));
        assert_eq!(on.count(), 1);
    }
    let mut instance = three_tiers(Some(1));
    instance.tiers[0].demand = Amount::new(3, 5);
    assert!(matches!(solved(&instance), Err(SolveError::Infeasible(_))));
    instance.tiers[0].max_node = Some(2);
    let answer = solved(&instance).unwrap();
    let spread = answer
        .placement
        .iter()
        .filter(|vm| vm.containers.iter().any(|c| c.0 == 0));
    assert_eq!(spread.count(), 2);
}

/// Found by the property tests: a tier that no longer fits anywhere made sums of prices overflow.
#[test]
fn tiers_that_fit_nowhere_do_not_overflow_the_tree() {
    let instance = crate::generate::replan(14, 14_138_747_707_639_920_714);
    let answer = solved(&instance).unwrap();
    assert!(answer.bound <= answer.objective);
}

/// The search chose from an empty set of tiers, and panicked: if keeping a VM is cheaper than
/// deleting it, the bound leaves room for an improvement.
#[test]
fn a_plan_that_removes_all_there_is_has_an_answer_whatever_vms_cost() {
    let mut instance = three_tiers(None);
    instance.tiers.truncate(1);
    instance.tiers[0].demand = Amount::new(0, 0);
    instance.vms = vec![Vm {
        name: "vm1".to_owned(),
        capacity: Amount::new(1, 1),
        held: vec![(0, Amount::new(1, 1))],
        spare: false,
        cordoned: false,
    }];
    instance.weights.vm_use = 0;
    let answer = solved(&instance).unwrap();
    assert!(answer.placement.is_empty());
}

/// The bound of a placement that deletes what it does not use was above the price of staying, and
/// the answer was withheld. VMs that hold nothing are deleted even if keeping them would be
/// cheaper, except for those that `min_vms` asks for.
#[test]
fn idle_vms_that_are_cheaper_kept_than_deleted_are_priced_as_they_go_or_stay() {
    let mut instance = three_tiers(None);
    instance.tiers.clear();
    instance.vms = (0..2)
        .map(|ix| Vm {
            name: format!("vm{ix}"),
            capacity: Amount::new(1, 1),
            held: Vec::new(),
            spare: false,
            cordoned: false,
        })
        .collect();
    instance.max_vms = Some(1);
    instance.weights.vm_use = 0;
    let answer = solved(&instance).unwrap();
    assert!(!answer.unchanged && answer.idle.is_empty(), "{answer:?}");
    assert_eq!(answer.objective, 2 * u64::from(instance.weights.vm_delete));
    assert!(answer.bound <= answer.objective, "{answer:?}");
    instance.max_vms = None;
    instance.min_vms = 2;
    let answer = solved(&instance).unwrap();
    assert!(answer.unchanged && answer.idle.len() == 2, "{answer:?}");
    assert_eq!((answer.objective, answer.bound), (0, 0));
}
