//! Topologies, plans and allocations from arbitrary input: nothing may make the parsers panic, and
//! what they accept once they accept again.
//!
//! `MAPEK_FUZZ_CASES` says how many documents of each kind are tried; `make fuzz` tries a million.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod documents;
mod mutate;

use std::sync::OnceLock;

use mapek::model::{Allocation, Plan, Topology};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use documents::{allocations, any_json, plans, topologies};
use mutate::mutated;

/// Enough to find common mistakes; a million takes minutes.
const CASES: u32 = 20_000;

fn config() -> Config {
    let cases = match std::env::var("MAPEK_FUZZ_CASES") {
        Ok(count) => count.parse().expect("MAPEK_FUZZ_CASES is a number"),
        Err(_) => CASES,
    };
    Config {
        cases,
        // A failing input is printed, and belongs into a test of its own.
        failure_persistence: None,
        ..Config::default()
    }
}

/// Tries `parse` on arbitrary documents, and on valid ones with something changed.
fn fuzz(valid: &[Value], parse: impl Fn(&Value)) {
    let strategy = prop_oneof![1 => any_json(), 4 => mutated(valid.to_vec())];
    TestRunner::new(config())
        .run(&strategy, |document| {
            parse(&document);
            Ok(())
        })
        .unwrap();
}

fn topology() -> &'static Topology {
    static ONE: OnceLock<Topology> = OnceLock::new();
    ONE.get_or_init(|| Topology::parse(&topologies()[0]).unwrap().topology)
}

#[test]
fn any_topology_is_taken_or_refused() {
    fuzz(&topologies(), |document| match Topology::parse(document) {
        Ok(parsed) => {
            let again = Topology::parse(&parsed.topology.document).expect("what was taken is taken again");
            assert_eq!(again.topology.tiers.len(), parsed.topology.tiers.len());
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    });
}

#[test]
fn any_plan_is_taken_or_refused() {
    fuzz(&plans(), |document| {
        if let Err(problems) = Plan::parse(document, topology()) {
            assert!(!problems.to_string().is_empty());
        }
    });
}

#[test]
fn any_allocation_is_taken_or_refused_and_comes_out_as_it_went_in() {
    fuzz(&allocations(), |document| {
        match Allocation::parse(document, "allocation", 1) {
            Ok((allocation, _)) => {
                let written = serde_json::to_value(&allocation).unwrap();
                let (again, _) =
                    Allocation::parse(&written, "allocation", 1).expect("what was written is read");
                assert_eq!(again, allocation);
            }
            Err(problems) => assert!(!problems.to_string().is_empty()),
        }
    });
}

#[test]
fn any_text_is_json_or_not() {
    // Bytes of documents with some replaced: nearly JSON, and nearly text.
    let texts: Vec<Vec<u8>> = topologies()
        .iter()
        .chain(&plans())
        .map(|value| value.to_string().into_bytes())
        .collect();
    let strategy = (
        proptest::sample::select(texts),
        proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
    );
    TestRunner::new(config())
        .run(&strategy, |(mut text, changes)| {
            for (index, byte) in changes {
                let at = index.index(text.len());
                text[at] = byte;
            }
            if let Ok(document) = serde_json::from_slice::<Value>(&text) {
                let _ = Topology::parse(&document);
                let _ = Plan::parse(&document, topology());
                let _ = Allocation::parse(&document, "allocation", 100);
            }
            Ok(())
        })
        .unwrap();
}
