//! Criterion benchmarks of the solver: how long to the end of a fixed amount of work.
//!
//! `cargo bench --bench solver`. For answers against time and against other solvers, see
//! `scripts/bench-solver`.

#![allow(clippy::indexing_slicing, missing_docs)] // the generator is a test file

#[path = "../tests/solver/generate.rs"]
#[allow(dead_code)]
mod generate;

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mapek_solve::{Instance, Limits, solve};

fn answer(instance: &Instance, deadline: Duration) -> Option<u64> {
    let begun = Instant::now();
    let limits = Limits {
        deadline,
        ..Limits::default()
    };
    let result = solve(instance, &limits, &|| begun.elapsed(), &AtomicBool::new(false));
    result.ok().map(|a| a.objective)
}

/// Instances that are proven long before the deadline: time to the proof.
fn proofs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proof");
    group.sample_size(10);
    for (name, n, seed) in [
        ("fresh", 10, 1),
        ("fresh", 20, 4),
        ("replan", 10, 1),
        ("pinned", 20, 1),
    ] {
        let Some(instance) = generate::family(name, n, seed) else {
            continue;
        };
        group.bench_with_input(BenchmarkId::new(name, n), &instance, |b, instance| {
            b.iter(|| black_box(answer(instance, Duration::from_secs(2))));
        });
    }
    group.finish();
}

/// A deadline that has passed: time to the first checked answer, by size.
fn first_answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("first answer");
    group.sample_size(10);
    for n in [100, 1_000, 10_000] {
        for name in ["fresh", "replan", "pinned"] {
            let Some(instance) = generate::family(name, n, 1) else {
                continue;
            };
            group.bench_with_input(BenchmarkId::new(name, n), &instance, |b, instance| {
                b.iter(|| black_box(answer(instance, Duration::ZERO)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, proofs, first_answers);
criterion_main!(benches);
