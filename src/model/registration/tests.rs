#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn full() -> Value {
    json!({
        "endpoint": "tcp://10.0.0.7:2375", "ip": "10.0.0.7", "epoch": 7, "refresh_s": 2, "cpu_cores": 4,
        "mem_units": 16, "labels": { "zone": "a" },
        "capabilities": { "arch": "arm64", "cores": 8, "memory_mb": 16000, "gpus": ["x"] },
        "health": { "load": 0.5 }
    })
}

fn problems(document: &Value) -> Vec<String> {
    let problems = Refresh::parse("edge-1", document).unwrap_err();
    problems.0.iter().map(|one| one.path.clone()).collect()
}

#[test]
fn a_refresh_changes_what_it_says_and_a_later_start_says_everything_anew() {
    let first = Refresh::parse("edge-1", &full()).unwrap();
    let known = first.over(None).unwrap();
    assert_eq!((known.refresh_s, known.mem), (2, Some(16)));
    let short = Refresh::parse("edge-1", &json!({ "epoch": 7, "health": { "load": 2 } })).unwrap();
    assert!(short.repeats(&known) && first.repeats(&known));
    assert_eq!(short.over(Some(&known)).unwrap(), known);
    let moved = Refresh::parse("edge-1", &json!({ "epoch": 7, "ip": "10.0.0.8" })).unwrap();
    assert!(!moved.repeats(&known));
    let now = moved.over(Some(&known)).unwrap();
    assert_eq!(
        (now.ip.as_deref(), &now.labels),
        (Some("10.0.0.8"), &known.labels)
    );

    let again = |epoch: u64| json!({ "epoch": epoch, "endpoint": "tcp://10.0.0.7:2375" });
    let restarted = Refresh::parse("edge-1", &again(8)).unwrap();
    let now = restarted.over(Some(&known)).unwrap();
    assert_eq!((now.ip, now.mem, now.labels.len()), (None, None, 0));
    let stale = Refresh::parse("edge-1", &again(6)).unwrap();
    assert_eq!(stale.over(Some(&known)), Err(Refused::Stale(7)));
    let short = Refresh::parse("edge-1", &json!({ "epoch": 8 })).unwrap();
    assert_eq!(short.over(Some(&known)), Err(Refused::Incomplete));
    assert_eq!(short.over(None), Err(Refused::Incomplete));
    // One that had left, and says the same, is back.
    let left = Registration {
        left: true,
        ..known.clone()
    };
    assert!(!first.repeats(&left));
    assert_eq!(first.over(Some(&left)).unwrap(), known);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = json!({
        "endpoint": "ftp://10.0.0.7", "ip": "here", "epoch": -1, "refresh_s": 0, "cpu_cores": 0, "mem_units": 0,
        "labels": { "zone": [] }, "capabilities": { "deep": { "a": { "b": 1 } } }, "health": [], "heath": {}
    });
    let mut all = problems(&wrong);
    all.sort();
    assert_eq!(
        all,
        [
            "capabilities.deep",
            "cpu_cores",
            "endpoint",
            "epoch",
            "health",
            "heath",
            "ip",
            "labels.zone",
            "mem_units",
            "refresh_s"
        ]
    );
    assert_eq!(problems(&json!({})), ["epoch"]);
    assert_eq!(problems(&json!([])), [""]);
}

#[test]
fn what_is_kept_of_a_node_is_bounded() {
    let many: Map<String, Value> = (0..65).map(|number| (format!("n{number}"), json!(1))).collect();
    let long = "x".repeat(257);
    for capabilities in [
        json!(many),
        json!({ "a": long }),
        json!({ long.as_str(): 1 }),
        json!({ "a": vec![1; 65] }),
        json!({ "a": vec!["x".repeat(256); 63], "b": vec!["x".repeat(256); 2] }),
    ] {
        let document = json!({ "epoch": 1, "capabilities": capabilities });
        assert!(!problems(&document).is_empty());
    }
    for id in ["time", "new_vm0", "a/b", "", "-a"] {
        assert!(Refresh::parse(id, &full()).is_err(), "{id}");
    }
}

#[test]
fn what_a_node_offers_is_what_it_says_or_else_what_it_has() {
    let refresh = Refresh::parse("edge-1", &full()).unwrap();
    let mut known = refresh.over(None).unwrap();
    assert_eq!(known.offers(512), (Some(Cpu::cores(4)), Some(16)));
    (known.cpu, known.mem) = (None, None);
    assert_eq!(known.offers(512), (Some(Cpu::cores(8)), Some(31)));
    known.capabilities.clear();
    assert_eq!(known.offers(512), (None, None));
}
