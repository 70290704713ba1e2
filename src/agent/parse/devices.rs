//! Devices: disks, GPUs, a TPM. Pure.

use serde_json::json;

use super::{Facts, facts, field};

/// A folder of `/sys/block`.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// `size`, in sectors of 512 bytes whatever the disk has.
    pub sectors: String,
    /// `queue/rotational`.
    pub rotational: String,
    /// `device/model`.
    pub model: String,
    /// Whether it is a real device, and not a file, memory or a part of another disk.
    pub real: bool,
}

/// A folder of `/sys/bus/pci/devices`.
#[derive(Clone, Debug, Default)]
pub struct Pci {
    /// `class`.
    pub class: String,
    /// `vendor`.
    pub vendor: String,
    /// `device`.
    pub device: String,
}

/// At most this many of a kind are reported.
const MOST: usize = 16;

/// The disks, and their total size.
#[must_use]
pub fn disks(disks: Vec<Disk>) -> Facts {
    let real = disks.into_iter().filter(|disk| disk.real);
    let sized = real.filter_map(|disk| {
        let bytes = disk.sectors.trim().parse::<u64>().ok()?.checked_mul(512)?;
        (bytes > 0).then_some((disk, bytes / 1_000_000_000))
    });
    let sized: Vec<(Disk, u64)> = sized.collect();
    let told = |(disk, gb): &(Disk, u64)| {
        let kind = match disk.rotational.trim() {
            "0" => " ssd",
            "1" => " hdd",
            _ => "",
        };
        let model = disk.model.trim();
        let gap = if model.is_empty() { "" } else { " " };
        let text = format!("{} {gb} GB{kind}{gap}{model}", disk.name);
        text.chars().take(120).collect::<String>()
    };
    let listed: Vec<String> = sized.iter().take(MOST).map(told).collect();
    facts([
        (
            "disk_gb",
            Some(json!(sized.iter().map(|(_, gb)| gb).sum::<u64>())),
        ),
        ("disks", Some(json!(listed))),
    ])
}

/// The GPUs: by name if a driver gives it, or else by the vendor.
#[must_use]
pub fn gpus(pci: Vec<Pci>, nvidia: Vec<String>) -> Facts {
    let hex = |text: &str| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    let display = pci
        .iter()
        .filter(|device| hex(&device.class).is_some_and(|class| class >> 16 == 3));
    let vendor = |device: &Pci| {
        let known = match hex(&device.vendor)? {
            0x10de => "nvidia",
            0x1002 => "amd",
            0x8086 => "intel",
            // Display adapters of virtual machines and of server management can't compute.
            _ => return None,
        };
        Some((known, device.device.trim().trim_start_matches("0x").to_owned()))
    };
    let found: Vec<(&str, String)> = display.filter_map(vendor).collect();
    let named: Vec<&str> = nvidia.iter().filter_map(|text| field(text, "Model")).collect();
    let models: Vec<String> = found
        .iter()
        .filter(|(vendor, _)| named.is_empty() || *vendor != "nvidia")
        .map(|(vendor, device)| format!("{vendor} {device}"))
        .chain(named.iter().map(|name| (*name).to_owned()))
        .take(MOST)
        .collect();
    let mut vendors: Vec<&str> = found.iter().map(|(vendor, _)| *vendor).collect();
    if !named.is_empty() {
        vendors.push("nvidia");
    }
    vendors.sort_unstable();
    vendors.dedup();
    let count = models.len();
    let any = count > 0;
    facts([
        ("gpus", Some(json!(count))),
        ("gpu_models", any.then(|| json!(models))),
        ("gpu_vendors", any.then(|| json!(vendors))),
    ])
}

/// Whether there is a TPM, and of which version, by its `tpm_version_major`.
#[must_use]
pub fn tpm(version: Option<&str>) -> Facts {
    let number = version.and_then(|version| version.trim().parse::<u32>().ok());
    facts([
        ("tpm", Some(json!(version.is_some()))),
        ("tpm_version", number.map(|number| json!(number))),
    ])
}
