//! Plans without a placement: the reasons in words, and the repair, which must work.

use mapek_solve::{Amount, Infeasible, Instance, ReasonCode, Shape, SolveError, Tier, Weights};

use crate::exact::tiny;
use crate::solved;

fn tier(name: &str, cpu: u32, mem: u32) -> Tier {
    Tier {
        name: name.into(),
        demand: Amount::new(cpu, mem),
        min_node: 1,
        max_node: None,
        ports: Default::default(),
        rules: Default::default(),
    }
}

fn on(new_vm: Amount, tiers: Vec<Tier>) -> Instance {
    Instance {
        tiers,
        vms: Vec::new(),
        shapes: vec![Shape::of(new_vm)],
        max_new: None,
        max_vms: None,
        min_vms: 0,
        weights: Weights::default(),
        cpu_step: 100,
        may_stay: true,
    }
}

fn refused(instance: &Instance) -> Infeasible {
    match solved(instance) {
        Err(SolveError::Infeasible(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn texts(why: &Infeasible) -> Vec<&str> {
    why.reasons.iter().map(|r| r.text.as_str()).collect()
}

#[test]
fn a_tier_too_large_for_its_max_node_is_named_with_its_numbers() {
    let mut db = tier("rubis_db", 7, 4);
    db.max_node = Some(1);
    let instance = on(Amount::new(2, 8), vec![db, tier("rubis_app", 1, 1)]);
    let why = refused(&instance);
    assert_eq!(
        texts(&why),
        ["rubis_db needs 7 cores and has max_node 1, but a VM has 2"]
    );
    let repair = why.repair.unwrap();
    assert_eq!(repair.text, "it would be possible with max_node 4 for rubis_db");
    assert!(solved(&repair.applied(&instance)).is_ok());
}

#[test]
fn memory_too_little_for_the_vms_that_cores_need_is_named() {
    let instance = on(Amount::new(2, 8), vec![tier("rubis_db", 7, 2)]);
    let why = refused(&instance);
    assert_eq!(
        texts(&why),
        ["rubis_db: 2 mem_units can't be spread over the 4 VMs that 7 cores need"]
    );
    assert_eq!(
        why.repair.unwrap().text,
        "it would be possible with 2 mem_units more for rubis_db"
    );
}

#[test]
fn all_reasons_come_at_once() {
    let mut a = tier("a_a", 9, 4);
    a.max_node = Some(2);
    let mut b = tier("b_b", 1, 3);
    b.min_node = 3;
    let mut instance = on(Amount::new(2, 8), vec![a, b]);
    instance.max_vms = Some(3);
    let why = refused(&instance);
    let codes: Vec<ReasonCode> = why.reasons.iter().map(|r| r.code).collect();
    for code in [ReasonCode::TooFewVms, ReasonCode::TooThin] {
        assert!(codes.contains(&code), "{code:?} missing in {why}");
    }
}

#[test]
fn one_more_vm_is_proposed_where_it_is_enough() {
    let tiers = vec![tier("x_a", 2, 2), tier("x_b", 2, 2), tier("x_c", 2, 2)];
    let mut instance = on(Amount::new(2, 8), tiers);
    instance.max_vms = Some(2);
    let why = refused(&instance);
    assert_eq!(why.repair.unwrap().text, "it would be possible with one more VM");
}

#[test]
fn amounts_are_said_in_cores_in_quota_mode_too() {
    let mut db = tier("rubis_db", 350, 4);
    db.max_node = Some(1);
    let mut instance = on(Amount::new(200, 8), vec![db]);
    instance.cpu_step = 1;
    let why = refused(&instance);
    assert_eq!(
        texts(&why),
        ["rubis_db needs 3.5 cores and has max_node 1, but a VM has 2"]
    );
}

#[test]
fn every_repair_of_a_tiny_instance_works() {
    let (mut refused, mut repaired) = (0, 0);
    for seed in 100_000..100_800 {
        let instance = tiny(seed);
        if let Err(SolveError::Infeasible(why)) = solved(&instance) {
            refused += 1;
            if let Some(repair) = why.repair {
                repaired += 1;
                let next = repair.applied(&instance);
                assert!(solved(&next).is_ok(), "seed {seed}: {}", repair.text);
            }
        }
    }
    assert!(
        repaired * 10 >= refused * 9,
        "only {repaired} of {refused} have a repair"
    );
}

#[test]
fn a_limit_that_nobody_has_set_is_not_named() {
    let mut instance = on(Amount::new(2, 8), vec![tier("shop_app", 1, 1)]);
    instance.max_vms = Some(0);
    let why = refused(&instance);
    assert!(
        texts(&why).contains(&"shop_app needs a VM, but there can be none with room for a container"),
        "{why:?}"
    );
}

/// A reason that names what nobody wrote can't be acted on.
#[test]
fn no_reason_names_a_limit_that_nobody_wrote() {
    let mut named = 0;
    for seed in 0..3_000 {
        let mut instance = crate::exact::tiny(seed);
        for tier in &mut instance.tiers {
            tier.min_node = tier.min_node.min(1);
            tier.max_node = None;
        }
        if seed % 3 == 0 {
            instance.max_vms = Some(0);
        }
        if let Err(SolveError::Infeasible(why)) = solved(&instance) {
            named += why.reasons.len();
            for reason in &why.reasons {
                let said = reason.text.contains("min_node") || reason.text.contains("max_node");
                assert!(!said, "seed {seed}: {}", reason.text);
            }
        }
    }
    assert!(named > 300, "{named}");
}
