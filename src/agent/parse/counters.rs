//! What is counted since a machine was started, and the rates that follow from it. Pure.

use std::time::Duration;

use super::{Facts, facts, rounded};

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Ticks in which the processors worked, and all of them.
    pub cpu: Option<(u64, u64)>,
    /// Bytes read and written.
    pub disk: Option<(u64, u64)>,
    /// Bytes received and sent.
    pub network: Option<(u64, u64)>,
    /// Microjoules.
    pub energy: Option<u64>,
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The first line of `/proc/stat`.
#[must_use]
pub fn cpu(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // The time of guests is part of the time of users.
    let ticks: Vec<u64> = numbers(line).into_iter().take(8).collect();
    let all: u64 = ticks.iter().sum();
    // Idle, and waiting for disks.
    let idle = ticks
        .get(3)?
        .saturating_add(ticks.get(4).copied().unwrap_or_default());
    Some((all.saturating_sub(idle), all))
}

/// `/proc/diskstats`, for whole disks.
#[must_use]
pub fn disk(diskstats: &str, disks: &[String]) -> Option<(u64, u64)> {
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = *words.get(2)?;
        let virtual_one = ["loop", "ram", "zram", "dm-", "md"]
            .iter()
            .any(|start| name.starts_with(start));
        let whole = disks.iter().any(|disk| disk == name) && !virtual_one;
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        whole.then_some((number(5)?, number(9)?))
    };
    let all = diskstats.lines().filter_map(of);
    all.reduce(|sum, one| (sum.0 + one.0, sum.1 + one.1))
        .map(|(read, written)| (read.saturating_mul(512), written.saturating_mul(512)))
}

/// `/proc/net/dev`, without traffic that never leaves the machine.
#[must_use]
pub fn network(dev: &str) -> Option<(u64, u64)> {
    let of = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let inside = ["lo", "docker", "br-", "veth", "ifb", "virbr"];
        let outside = !inside.iter().any(|start| name.trim().starts_with(start));
        let counts = numbers(counts);
        outside.then_some((*counts.first()?, *counts.get(8)?))
    };
    let all = dev.lines().filter_map(of);
    all.reduce(|sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// The rates between two looks. Counters that went back, because a device is gone, say nothing.
#[must_use]
pub fn rates(before: &Counters, now: &Counters, between: Duration) -> Facts {
    let seconds = between.as_secs_f64();
    #[expect(clippy::cast_precision_loss)]
    let grown = |before: u64, now: u64| now.checked_sub(before).map(|more| more as f64);
    let per_second = |before: Option<u64>, now: Option<u64>, unit: f64| {
        let more = grown(before?, now?)?;
        (seconds > 0.0).then(|| more / unit / seconds)
    };
    let first = |pair: Option<(u64, u64)>| pair.map(|pair| pair.0);
    let second = |pair: Option<(u64, u64)>| pair.map(|pair| pair.1);
    let cpu = || {
        let (before, now) = (before.cpu?, now.cpu?);
        let all = grown(before.1, now.1).filter(|all| *all > 0.0)?;
        Some((grown(before.0, now.0)? / all).min(1.0))
    };
    const KB: f64 = 1000.0;
    let kb = |before, now| per_second(before, now, KB).and_then(|rate| rounded(rate, 1));
    facts([
        ("cpu_used", cpu().and_then(|share| rounded(share, 3))),
        ("disk_read_kb_s", kb(first(before.disk), first(now.disk))),
        ("disk_written_kb_s", kb(second(before.disk), second(now.disk))),
        (
            "network_received_kb_s",
            kb(first(before.network), first(now.network)),
        ),
        (
            "network_sent_kb_s",
            kb(second(before.network), second(now.network)),
        ),
        (
            "power_w",
            per_second(before.energy, now.energy, 1e6).and_then(|watts| rounded(watts, 1)),
        ),
    ])
}
