//! The simulated world: the real service, with its state machines, its solver and its journal, in
//! virtual time and from a seed, among engines, clouds, clients and a disk that fail in the ways
//! that real ones do. After every step, promises are checked against what is really there; see
//! docs/simulation.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod agent;
mod calls;
mod checks;
mod clients;
mod commands;
mod compare;
mod connection;
mod container;
mod dice;
mod disk;
mod ending;
mod ending_apps;
mod engine;
mod group;
mod hooks;
mod machine;
mod mishap;
mod platform;
mod play;
mod shrink;
mod story;
mod trace;
mod world;
mod write;
mod write_asks;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::play::play;
use crate::write::write;

/// The seeds that every run of the tests goes through.
const SEEDS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} should be a number, not {text:?}")),
    )
}

/// How many seeds that break promises are reported at most.
const MOST: usize = 10;

/// The seeds of these that break a promise, with the promise; on all cores.
fn broken(from: u64, count: u64) -> BTreeMap<u64, String> {
    let next = AtomicU64::new(from);
    let failed = Mutex::new(BTreeMap::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count || failed.lock().unwrap().len() >= MOST {
                        return;
                    }
                    if let Some(promise) = play(&write(seed), false).violation {
                        failed.lock().unwrap().insert(seed, promise);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// `MAPEK_SIMULATION_SEEDS` takes another number of seeds, `MAPEK_SIMULATION_SEED` only one.
#[test]
fn every_promise_is_kept_in_every_story() {
    let only = number("MAPEK_SIMULATION_SEED");
    let count = only.map_or_else(|| number("MAPEK_SIMULATION_SEEDS").unwrap_or(SEEDS), |_| 1);
    let from = only.unwrap_or_else(|| number("MAPEK_SIMULATION_FROM").unwrap_or(0));
    let begun = Instant::now();
    let failed = broken(from, count);
    if let Some(seed) = failed.keys().next() {
        let all: Vec<String> = failed
            .iter()
            .map(|(seed, promise)| format!("seed {seed}: {promise}"))
            .collect();
        panic!("{}\n{}", all.join("\n"), shrink::tell(&write(*seed)));
    }
    #[expect(clippy::cast_precision_loss)]
    let speed = count as f64 / begun.elapsed().as_secs_f64();
    println!("{count} seeds from {from}: every promise kept; {speed:.0} seeds per second");
    if only.is_some() {
        let story = write(from);
        println!("{story}\n{}", play(&story, true).lines.join("\n"));
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 0..50 {
        let story = write(seed);
        let first = play(&story, true);
        let second = play(&story, true);
        let differs = first.lines.iter().zip(&second.lines).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}
