#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::*;

fn topology(mode: &str) -> Topology {
    let document = json!({
        "infrastructure": { "cpu_cores": 2, "mem_units": 8, "cpu_mode": mode },
        "apps": [
            { "name": "rubis", "tiers": { "web": { "docker_image": "x", "depends_on": ["db"] }, "db": { "docker_image": "x" } } },
            { "name": "rubis_web", "tiers": { "cpu_cores": { "docker_image": "x" } } }
        ]
    });
    Topology::parse(&document).unwrap().topology
}

#[track_caller]
fn problem(plan: &Value, path: &str, words: &str) {
    let Problems(found) = Plan::parse(plan, &topology("cpuset")).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, path);
    assert!(found[0].problem.contains(words), "{found:?}");
}

#[test]
fn a_plan_is_keyed_by_app_and_tier_or_by_flat_name() {
    let size = json!({ "cpu_cores": 2.0, "mem_units": 6.0 });
    for plan in [json!({ "rubis": { "db": size } }), json!({ "rubis_db": size })] {
        let (plan, warnings) = Plan::parse(&plan, &topology("cpuset")).unwrap();
        assert_eq!(plan.tiers, [(TierId::new("rubis_db"), Size::new(2, 6))].into());
        assert!(warnings.is_empty());
    }
}

#[test]
fn an_app_whose_name_is_another_apps_flat_name_is_taken_as_the_app() {
    let plan = json!({ "rubis_web": { "cpu_cores": { "cpu_cores": 1, "mem_units": 1 } } });
    let (plan, _) = Plan::parse(&plan, &topology("cpuset")).unwrap();
    assert_eq!(plan.tiers.keys().next().unwrap().as_str(), "rubis_web_cpu_cores");
}

#[test]
fn a_tier_with_none_of_both_is_left_out() {
    let plan = json!({ "rubis": { "db": { "cpu_cores": 0, "mem_units": 0 } } });
    assert_eq!(
        Plan::parse(&plan, &topology("cpuset")).unwrap().0,
        Plan::default()
    );
}

#[test]
fn a_dependency_that_is_left_out_is_told_as_a_warning() {
    let plan = json!({ "rubis": { "web": { "cpu_cores": 1, "mem_units": 1 } } });
    let (_, warnings) = Plan::parse(&plan, &topology("cpuset")).unwrap();
    assert!(warnings[0].problem.contains("rubis_db"), "{warnings:?}");
}

#[test]
fn what_makes_no_sense_is_told_with_its_path() {
    problem(&json!([]), "", "an object");
    problem(&json!({ "nope": {} }), "nope", "no app");
    problem(&json!({ "rubi": {} }), "rubi", "did you mean rubis?");
    problem(
        &json!({ "rubis": { "dbb": {} } }),
        "rubis.dbb",
        "did you mean db?",
    );
    problem(
        &json!({ "rubis_dbb": { "cpu_cores": 1, "mem_units": 1 } }),
        "rubis_dbb",
        "no tier",
    );
    problem(
        &json!({ "rubis": { "db": { "cpu_cores": 0, "mem_units": 1 } } }),
        "rubis.db",
        "some of both",
    );
    problem(
        &json!({ "rubis": { "db": { "cpu_cores": -1, "mem_units": 1 } } }),
        "rubis.db.cpu_cores",
        "-1",
    );
    problem(
        &json!({ "rubis": { "db": { "cpu_cores": 1.5, "mem_units": 1 } } }),
        "rubis.db.cpu_cores",
        "quota",
    );
    problem(
        &json!({ "rubis": { "db": { "cpu_cores": 1, "mem_units": 1.5 } } }),
        "rubis.db.mem_units",
        "whole",
    );
    problem(
        &json!({ "rubis": { "db": { "cpu_cores": 1e12, "mem_units": 1 } } }),
        "rubis.db.cpu_cores",
        "1000000",
    );
    problem(
        &json!({ "rubis": { "db": { "cpu_cores": "1", "mem_units": 1 } } }),
        "rubis.db.cpu_cores",
        "a number",
    );
    problem(
        &json!({ "rubis": { "db": { "cpu_cores": 1 } } }),
        "rubis.db.mem_units",
        "missing",
    );
    let size = json!({ "cpu_cores": 1, "mem_units": 1 });
    problem(
        &json!({ "rubis": { "db": size }, "rubis_db": size }),
        "rubis_db",
        "twice",
    );
}

#[test]
fn decimal_cores_are_counted_exactly_in_quota_mode() {
    let plan = json!({ "rubis": { "db": { "cpu_cores": 0.29, "mem_units": 1 } } });
    let (plan, _) = Plan::parse(&plan, &topology("quota")).unwrap();
    assert_eq!(plan.tiers["rubis_db"].cpu, Cpu::hundredths(29));
}

#[test]
fn a_plan_may_ask_for_disk_and_gpus_but_not_for_those_alone() {
    let sizes = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 2, "disk_gb": 20, "gpus": 2.0 } });
    let (plan, _) = Plan::parse(&sizes, &topology("cpuset")).unwrap();
    let size = plan.tiers[&TierId::new("rubis_db")];
    assert_eq!((size.disk_gb, size.gpus), (20, 2));
    assert_eq!(
        size.to_string(),
        "cpu cores=1 and mem_units=2 and disk_gb=20 and gpus=2"
    );
    assert_eq!(
        json!(size),
        json!({ "cpu_cores": 1, "mem_units": 2, "disk_gb": 20, "gpus": 2 })
    );
    // Old clients see what they saw.
    assert_eq!(json!(Size::new(1, 2)), json!({ "cpu_cores": 1, "mem_units": 2 }));
    assert_eq!(
        serde_json::from_value::<Size>(json!(Size::new(1, 2))).unwrap(),
        Size::new(1, 2)
    );
    let alone = json!({ "rubis_db": { "cpu_cores": 0, "mem_units": 0, "gpus": 1 } });
    problem(&alone, "rubis_db", "no GPUs either");
    let half = json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1, "gpus": 0.5 } });
    problem(&half, "rubis_db.gpus", "whole number");
}
