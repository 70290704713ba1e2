//! Questions made from everything that `POST /api/solve` accepts, asked of the real program.
//!
//! An answer has to come, in time and in bounded memory, and is checked from the contract's text alone.
//! Tiny questions are compared with brute force, larger ones with CP-SAT where it is there; some are asked
//! again in other words.
//!
//! What is tried can be changed by `MAPEK_FUZZ_CASES`, `MAPEK_FUZZ_SEED`, `MAPEK_FUZZ_FROM` (the first case of that
//! seed), `MAPEK_FUZZ_PATIENCE` (how often the allowed time is waited for) and `MAPEK_FUZZ_PEER` (a Python that
//! has CP-SAT). `make fuzz-solver` tries a hundred thousand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod brute;
mod checker;
mod dice;
mod draw;
mod further;
mod judge;
mod peer;
mod question;
mod rules;
mod service;
mod shrink;
mod tiers;
mod variants;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dice::Dice;
use judge::{Finding, Kind};
use peer::Peer;
use serde_json::Value;
use service::Service;

/// Few enough to take a minute or so.
const CASES: u64 = 5_000;
/// One for each core of the machines that this usually runs on.
const WORKERS: u64 = 2;
/// Findings that are shrunk and printed, of each kind.
const SHOWN: usize = 3;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        _ => default,
    }
}

#[derive(Default)]
struct Tally {
    asked: u64,
    proven: u64,
    impossible: u64,
    undecided: u64,
    compared: u64,
    second_opinions: u64,
    settled: u64,
    found: BTreeMap<Kind, Vec<(u64, String)>>,
}

fn shrunken(
    service: &mut Service,
    peer: &mut Option<Peer>,
    body: &Value,
    (kind, first): (Kind, &str),
    seed: u64,
) -> (Value, String) {
    let mut text = String::new();
    // Not to wait long for each of many questions without an answer.
    let (patience, tries) = match kind {
        Kind::NoAnswer => (2, 25),
        _ => (3, 250),
    };
    let small = shrink::shrink(body, tries, |candidate| {
        let (_, findings) = judge::judge(service, peer, candidate, patience, &mut Dice(seed));
        // A body without sense has another status.
        let alike = |text: &str| kind != Kind::Status || text.get(..10) == first.get(..10);
        let same = findings
            .into_iter()
            .find(|finding| finding.kind == kind && alike(&finding.text));
        if let Some(finding) = &same {
            text.clone_from(&finding.text);
        }
        same.is_some()
    });
    (small, text)
}

/// Keeps a question as it was asked, and returns the path of its file.
fn keep(kind: Kind, seed: u64, body: &Value) -> String {
    let path = format!("{}/{kind:?}-{seed}.json", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, body.to_string()).unwrap();
    path
}

fn work(cases: u64, first: u64, next: &AtomicU64, patience: u32, tally: &Mutex<Tally>) {
    let (mut service, mut peer) = (Service::start(), Peer::start());
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        if at >= cases {
            return;
        }
        let seed = first + at;
        let body = draw::body(seed);
        let (verdict, findings) = judge::judge(&mut service, &mut peer, &body, patience, &mut Dice(!seed));
        {
            let mut tally = tally.lock().unwrap();
            tally.asked += 1;
            tally.proven += u64::from(verdict.proven);
            tally.impossible += u64::from(verdict.impossible);
            tally.undecided += u64::from(verdict.undecided);
            tally.compared += u64::from(verdict.compared);
            tally.second_opinions += u64::from(verdict.second_opinion);
            tally.settled += u64::from(verdict.settled);
        }
        for Finding { kind, text } in findings {
            let shown = {
                let mut tally = tally.lock().unwrap();
                let seen = tally.found.entry(kind).or_default();
                seen.push((seed, text.clone()));
                seen.len()
            };
            if shown <= SHOWN {
                println!("{kind:?}: {}", keep(kind, seed, &body));
            }
            if shown <= SHOWN && kind != Kind::Late {
                let (small, what) = shrunken(&mut service, &mut peer, &body, (kind, &text), !seed);
                let what = if what.is_empty() { text } else { what };
                println!("{kind:?}, seed {seed}: {what}\n  curl -d '{small}' localhost:8000/api/solve");
            }
        }
    }
}

#[test]
fn every_question_that_the_api_accepts_is_answered_and_rightly() {
    let cases = setting("MAPEK_FUZZ_CASES", CASES);
    let seed = setting("MAPEK_FUZZ_SEED", 1).wrapping_mul(1 << 32);
    let first = seed + setting("MAPEK_FUZZ_FROM", 0);
    let patience = u32::try_from(setting("MAPEK_FUZZ_PATIENCE", 30)).unwrap();
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(cases, first, &next, patience, &tally));
        }
    });
    let tally = tally.into_inner().unwrap();
    println!(
        "{} asked, {} compared with brute force and {} with CP-SAT; {} proven, of which {} with the fewest \
         actions, {} impossible, {} undecided",
        tally.asked,
        tally.compared,
        tally.second_opinions,
        tally.proven,
        tally.settled,
        tally.impossible,
        tally.undecided
    );
    for (kind, seen) in &tally.found {
        println!("{kind:?}: {}", seen.len());
        for (at, text) in seen.iter().take(8) {
            println!("  MAPEK_FUZZ_FROM={}: {text:.200}", at - seed);
        }
    }
    let wrong = tally.found.keys().any(|kind| *kind != Kind::Late);
    assert!(!wrong, "some answers are wrong or missing: see above");
}

/// What a question may say and what has no say in where containers go.
const NO_SAY: [&str; 37] = [
    "hooks_git_repo",
    "hooks_ref",
    "mem_unit_mb",
    "docker",
    "on_failure",
    "on_shortage",
    "self_heal",
    "foreign",
    "name",
    "docker_image",
    "entrypoint_params",
    "run_parameters",
    "on_node_scale",
    "on_dependency_scale",
    "volumes",
    "healthcheck",
    "labels",
    "user",
    "command",
    "trace",
    "hooks_signers",
    "registries",
    "pids_limit",
    "ulimits",
    "read_only",
    "tmpfs",
    "shm_size",
    "cap_add",
    "cap_drop",
    "no_new_privileges",
    "init",
    "stop_signal",
    "pull",
    "max_unavailable",
    "on_node_stop",
    "probe",
    "bake_s",
];

/// The generator must not be blind where the API is not: a new field has to be drawn, or be named above.
#[test]
fn every_field_of_the_schema_is_drawn() {
    let path = format!("{}/openapi.json", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bodies: Vec<Value> = (0..3_000).map(|seed| draw::body(seed * 7_919)).collect();
    let some = |pick: &dyn Fn(&Value, &str) -> bool, field: &str| bodies.iter().any(|body| pick(body, field));
    let has = |value: &Value, field: &str| value.get(field).is_some();
    let any_of = |value: &Value, field: &str| {
        value
            .as_object()
            .is_some_and(|all| all.values().any(|one| has(one, field)))
    };
    let in_tier = |body: &Value, field: &str| {
        let apps = body["topology"]["apps"].as_array();
        apps.is_some_and(|apps| apps.iter().any(|app| any_of(&app["tiers"], field)))
    };
    type Pick<'a> = &'a dyn Fn(&Value, &str) -> bool;
    let places: [(&str, Pick<'_>); 5] = [
        ("Question", &|body, field| has(body, field)),
        ("Infrastructure", &|body, field| {
            has(&body["topology"]["infrastructure"], field)
        }),
        ("Weights", &|body, field| {
            has(&body["topology"]["infrastructure"]["weights"], field)
        }),
        ("Tier", &in_tier),
        ("Vm", &|body, field| any_of(&body["allocation"], field)),
    ];
    let mut missing = Vec::new();
    for (schema, pick) in places {
        let fields = document["components"]["schemas"][schema]["properties"]
            .as_object()
            .unwrap();
        for field in fields.keys().filter(|field| !NO_SAY.contains(&field.as_str())) {
            if !some(pick, field) {
                missing.push(format!("{schema}.{field}"));
            }
        }
    }
    assert!(missing.is_empty(), "never drawn: {missing:?}");
}
