//! Measures solves of made-up questions, as a table: what they come to, and what work that takes.
//!
//! `measure [--ms N] [--shapes] [--rules] FAMILY TIERS SEED …`. Ticks and processor time say more than the clock where
//! other programs run. With `--shapes` there are ten kinds of new VM in place of one; with `--rules` every tier may only
//! be on some of them.

#![allow(clippy::indexing_slicing)] // a made list

#[path = "../tests/solver/generate.rs"]
#[allow(dead_code)]
mod generate;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;
use mapek_solve::{Amount, Instance, Limits, PerVm, Shape, Weights, solve};

fn main() -> anyhow::Result<()> {
    let mut limits = Limits::default();
    let (mut shapes, mut rules) = (false, false);
    let mut args = std::env::args().skip(1);
    println!("| question | cost | bound | proved by | gap | ms | processor ms | ticks, millions | peak MB |");
    println!("|---|--:|--:|---|--:|--:|--:|--:|--:|");
    while let Some(arg) = args.next() {
        let mut number = || {
            args.next()
                .with_context(|| format!("{arg} needs a number"))?
                .parse::<u64>()
                .context("no number")
        };
        match arg.as_str() {
            "--ms" => limits.deadline = Duration::from_millis(number()?),
            "--shapes" => shapes = true,
            "--rules" => rules = true,
            family => {
                let (tiers, seed) = (usize::try_from(number()?)?, number()?);
                let mut instance =
                    generate::family(family, tiers, seed).with_context(|| format!("no family {family}"))?;
                if shapes {
                    ten_shapes(&mut instance);
                }
                if rules {
                    requires(&mut instance);
                }
                let kind = [(shapes, " ten shapes"), (rules, " rules")];
                let kind: String = kind.iter().filter(|k| k.0).map(|k| k.1).collect();
                row(&format!("{family} {tiers}/{seed}{kind}"), &instance, &limits)?;
            }
        }
    }
    Ok(())
}

fn row(name: &str, instance: &Instance, limits: &Limits) -> anyhow::Result<()> {
    let (begun, before) = (Instant::now(), processor_ms());
    let answer = solve(instance, limits, &|| begun.elapsed(), &AtomicBool::new(false))?;
    let (ms, processor) = (begun.elapsed().as_millis(), processor_ms() - before);
    println!(
        "| {name} | {} | {} | {} | {:.2} % | {ms} | {processor} | {} | {} |",
        answer.objective,
        answer.bound,
        answer.proved_by.as_str(),
        answer.gap * 100.0,
        answer.counters.ticks / 1_000_000,
        peak_mb(),
    );
    if std::env::var_os("TRACE").is_some() {
        for step in &answer.trace {
            println!("    {:?} {:?}", step.at, step.what);
        }
    }
    Ok(())
}

/// Ten kinds, the larger the cheaper for what they have, in two proportions.
fn ten_shapes(instance: &mut Instance) {
    let sizes = [
        (2, 4, 3),
        (2, 8, 4),
        (4, 8, 6),
        (4, 16, 7),
        (8, 16, 11),
        (8, 32, 13),
        (16, 32, 21),
        (16, 64, 24),
        (32, 64, 40),
        (32, 128, 46),
    ];
    // Prices in tenths of what one VM of the usual shape costs otherwise.
    let w = Weights::default();
    let times = |price: u32| price * 10;
    instance.weights = Weights {
        vm_create: times(w.vm_create),
        vm_use: times(w.vm_use),
        vm_delete: times(w.vm_delete),
        container_create: times(w.container_create),
        container_set: times(w.container_set),
        container_delete: times(w.container_delete),
        container_delete_pinned: times(w.container_delete_pinned),
    };
    let shape = |&(cpu, mem, price): &(u32, u32, u32)| Shape {
        name: format!("c{cpu}m{mem}"),
        price: Some(price * 200 / 24),
        ..Shape::of(Amount::new(cpu, mem))
    };
    instance.shapes = sizes.iter().map(shape).collect();
}

/// Every tier may be on some of the shapes and VMs, by one of eight rules.
fn requires(instance: &mut Instance) {
    let (vms, shapes) = (instance.vms.len(), instance.shapes.len());
    let rule = |n: usize| {
        let may = |at: usize| shapes == 1 || (at * 7 + n * 3) % 10 >= 4;
        let all = PerVm {
            vms: (0..vms).map(|v| (v * 7 + n * 3) % 10 >= 1).collect(),
            shapes: (0..shapes).map(may).collect(),
        };
        Arc::new(all)
    };
    let rules: Vec<_> = (0..8).map(rule).collect();
    for (at, tier) in instance.tiers.iter_mut().enumerate() {
        tier.rules.allowed = Some(Arc::clone(&rules[at % 8]));
    }
}

/// Processor time of this process so far.
fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    // Hundredths of a second, in user and in kernel mode.
    (ticks(11) + ticks(12)) * 10
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}
