//! A machine's health at this moment. Pure.

use serde_json::{Value, json};

use super::{Facts, facts, kib, rounded};

/// `/proc/loadavg`.
#[must_use]
pub fn load(loadavg: &str) -> Facts {
    let mut numbers = loadavg.split_whitespace().map(|word| word.parse::<f64>().ok());
    let mut next = || numbers.next().flatten().and_then(|load| rounded(load, 2));
    facts([("load_1m", next()), ("load_5m", next()), ("load_15m", next())])
}

/// `/proc/meminfo`.
#[must_use]
pub fn memory(meminfo: &str) -> Facts {
    let available = kib(meminfo, "MemAvailable").or_else(|| kib(meminfo, "MemFree"));
    let all = kib(meminfo, "MemTotal").filter(|all| *all > 0);
    let swap = || Some(kib(meminfo, "SwapTotal")?.saturating_sub(kib(meminfo, "SwapFree")?) / 1024);
    facts([
        ("memory_available_mb", available.map(|kib| json!(kib / 1024))),
        (
            "memory_used",
            all.zip(available).and_then(|(all, free)| used(all, free)),
        ),
        ("swap_used_mb", swap().map(|mb| json!(mb))),
    ])
}

/// The file system that the machine was started from.
#[must_use]
pub fn disk(bytes: u64, free: u64) -> Facts {
    facts([
        ("disk_free_gb", (bytes > 0).then(|| json!(free / 1_000_000_000))),
        ("disk_used", (bytes > 0).then(|| used(bytes, free)).flatten()),
    ])
}

/// The share that is not free.
fn used(all: u64, free: u64) -> Option<Value> {
    #[expect(clippy::cast_precision_loss)]
    let share = 1.0 - free.min(all) as f64 / all as f64;
    rounded(share, 3)
}

/// `/proc/uptime`.
#[must_use]
pub fn uptime(uptime: &str) -> Facts {
    let seconds = uptime
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    facts([("uptime_s", seconds.and_then(|seconds| rounded(seconds, 0)))])
}

/// The hottest of all sensors, which report thousandths of a degree.
#[must_use]
pub fn temperature(sensors: impl Iterator<Item = String>) -> Facts {
    let degrees = sensors.filter_map(|text| Some(text.trim().parse::<f64>().ok()? / 1000.0));
    // A sensor that is not there reports an impossible value.
    let hottest = degrees
        .filter(|degrees| (-60.0..=150.0).contains(degrees))
        .reduce(f64::max);
    facts([("temperature_c", hottest.and_then(|degrees| rounded(degrees, 1)))])
}

/// The `uevent` files of power supplies: batteries, and the mains.
#[must_use]
pub fn supplies(supplies: impl Iterator<Item = String>) -> Facts {
    let (mut mains, mut charge, mut watts) = (None, Vec::new(), None);
    for text in supplies {
        let of = |name: &str| {
            let line = |line: &'_ str| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
            text.lines().find_map(line)
        };
        let number = |name: &str| of(name)?.trim().parse::<f64>().ok();
        match of("POWER_SUPPLY_TYPE").as_deref() {
            Some("Battery") => {
                charge.extend(number("POWER_SUPPLY_CAPACITY"));
                if let Some(microwatts) = number("POWER_SUPPLY_POWER_NOW") {
                    watts = Some(watts.unwrap_or(0.0) + microwatts.abs() / 1e6);
                }
            }
            Some("Mains" | "USB") => {
                let online = number("POWER_SUPPLY_ONLINE").is_some_and(|online| online > 0.0);
                mains = Some(mains.unwrap_or(false) || online);
            }
            _ => {}
        }
    }
    let battery = charge.iter().copied().reduce(f64::min);
    facts([
        ("battery_percent", battery.and_then(|percent| rounded(percent, 0))),
        ("on_battery", battery.and(mains).map(|mains| json!(!mains))),
        ("battery_w", watts.and_then(|watts| rounded(watts, 1))),
    ])
}
