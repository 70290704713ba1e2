//! Measures vector packing directly: made-up pinned plans and triplets, as a table.
//!
//! `pack [SECONDS [INSTANCES]]`. In the triplets each bin is filled exactly by three items, so a third of the items
//! is the optimum: Caprara and Toth's kind (2001), and Falkenauer's (1996), of two resources each.

#![allow(clippy::indexing_slicing)] // three items at a time

use std::time::{Duration, Instant};

use mapek_solve::vector_packing::{Question, solve};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let seconds: u64 = args.next().map_or(Ok(10), |text| text.parse())?;
    let instances: u64 = args.next().map_or(Ok(10), |text| text.parse())?;
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    println!("{instances} instances of each kind, {seconds} s each on one thread, {profile} profile.\n");
    println!("| kind | items | proven best | bins above the bound, in all | slowest proof, s |");
    println!("|---|--:|--:|--:|--:|");
    for count in [50, 100, 120] {
        row("pinned", count, instances, seconds, pinned);
    }
    for count in [60, 120, 249, 501] {
        row("triplets (Caprara)", count, instances, seconds, |n, dice| {
            triplets(n, dice, false)
        });
        row("triplets (Falkenauer)", count, instances, seconds, |n, dice| {
            triplets(n, dice, true)
        });
    }
    Ok(())
}

fn row(kind: &str, count: usize, instances: u64, seconds: u64, make: impl Fn(usize, &mut Dice) -> Question) {
    let (mut proven, mut above, mut slowest) = (0, 0, Duration::ZERO);
    for seed in 1..=instances {
        let question = make(count, &mut Dice(seed));
        let begun = Instant::now();
        let Some(outcome) = solve(&question, 1, &|_| begun.elapsed() < Duration::from_secs(seconds)) else {
            continue;
        };
        let took = begun.elapsed();
        assert!(
            outcome.certificate.holds(question.capacity, &question.items),
            "{kind} {count}, seed {seed}: the certificate does not hold"
        );
        above += outcome.packing.len() - outcome.certificate.bins;
        if outcome.proven() {
            proven += 1;
            slowest = slowest.max(took);
        }
    }
    let slowest = slowest.as_secs_f64();
    println!("| {kind} | {count} | {proven} of {instances} | {above} | {slowest:.2} |");
}

/// Sizes of the kind that the other benchmark of pinned plans has.
fn pinned(count: usize, dice: &mut Dice) -> Question {
    let item = |_| [dice.from(6, 45), dice.from(24, 183)];
    Question {
        capacity: [64, 256],
        items: (0..count).map(item).collect(),
    }
}

fn triplets(count: usize, dice: &mut Dice, falkenauer: bool) -> Question {
    let mut items = Vec::new();
    while items.len() < count {
        let mut three = [[0; 2]; 3];
        for r in 0..2 {
            let (a, b) = loop {
                let a = if falkenauer {
                    dice.from(38, 49)
                } else {
                    dice.from(25, 50)
                };
                let b = dice.from(25, if falkenauer { (100 - a) / 2 } else { 50 });
                // An item takes something of both.
                if a + b < 100 {
                    break (a, b);
                }
            };
            three[0][r] = a;
            three[1][r] = b;
            three[2][r] = 100 - a - b;
        }
        items.extend(three);
    }
    Question {
        capacity: [100, 100],
        items,
    }
}

/// `SplitMix64`, so that a seed means the same instance everywhere.
struct Dice(u64);

impl Dice {
    fn from(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        least + (z ^ (z >> 31)) % (most - least + 1)
    }
}
