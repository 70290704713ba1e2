//! What a machine is: its system, processor and memory. Pure.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Facts, facts, field, kib, rounded, text};

/// The architecture in the words of images, and the system.
#[must_use]
pub fn system(arch: &str, release: &str, os_release: &str, hostname: &str) -> Facts {
    let usual = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    let pretty = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim().trim_matches('"'));
    facts([
        ("arch", text(usual)),
        ("os", text("linux")),
        ("os_name", pretty.and_then(text)),
        ("kernel", text(release)),
        ("hostname", text(hostname)),
    ])
}

/// Cores, sockets, model, clock, and what it can shield from the system, of `/proc/cpuinfo`; `fastest` is the highest
/// clock in kHz, where the kernel tells it.
#[must_use]
pub fn cpu(cpuinfo: &str, fastest: &str) -> Facts {
    let values = |name: &'static str| {
        cpuinfo.lines().filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let cores = values("processor")
        .filter(|value| value.parse::<u32>().is_ok())
        .count();
    let sockets: BTreeSet<&str> = values("physical id").collect();
    // Boards tell their own name, and no model of the processor.
    let model = field(cpuinfo, "model name").or_else(|| field(cpuinfo, "Model"));
    let now = values("cpu MHz").filter_map(|value| value.parse::<f64>().ok());
    let highest = fastest.trim().parse::<f64>().ok().map(|khz| khz / 1000.0);
    let clock = highest.or_else(|| {
        now.fold(None, |most: Option<f64>, mhz| {
            Some(most.map_or(mhz, |most| most.max(mhz)))
        })
    });
    let flags = field(cpuinfo, "flags").or_else(|| field(cpuinfo, "Features"));
    let has = |name: &str| flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == name));
    let shields = [
        ("sgx", "sgx"),
        ("sev", "sev"),
        ("sev_snp", "sev-snp"),
        ("tdx_guest", "tdx"),
        ("tdx_host_platform", "tdx"),
    ];
    let tee: BTreeSet<&str> = shields
        .into_iter()
        .filter(|(flag, _)| has(flag))
        .map(|(_, name)| name)
        .collect();
    facts([
        ("cores", (cores > 0).then(|| json!(cores))),
        ("sockets", (!sockets.is_empty()).then(|| json!(sockets.len()))),
        ("cpu_vendor", field(cpuinfo, "vendor_id").and_then(text)),
        ("cpu_model", model.and_then(text)),
        ("clock_mhz", clock.and_then(|mhz| rounded(mhz, 0))),
        ("tee", Some(json!(tee))),
        ("virtual", flags.map(|_| json!(has("hypervisor")))),
    ])
}

/// Memory of `/proc/meminfo`.
#[must_use]
pub fn memory(meminfo: &str) -> Facts {
    facts([
        ("memory_mb", kib(meminfo, "MemTotal").map(|kib| json!(kib / 1024))),
        ("swap_mb", kib(meminfo, "SwapTotal").map(|kib| json!(kib / 1024))),
    ])
}
