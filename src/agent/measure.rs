//! Reads the kernel's files; `parse` says what they mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::parse::{capabilities, counters, devices, health};
use crate::model::About;

/// Where the kernel's files are: `/`, or a copy of some of them.
#[derive(Clone, Debug)]
pub struct Kernel {
    root: PathBuf,
}

impl Kernel {
    /// The files under this folder.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// A file's text; empty if there is none, or it is not text.
    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    fn is_there(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The names in a folder, in order.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(path)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn capabilities(&self) -> Map<String, Value> {
        let cpu = self.text("proc/cpuinfo");
        let fastest = self.text("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
        let disks = self.names("sys/block").into_iter().map(|name| {
            let of = |file: &str| self.text(&format!("sys/block/{name}/{file}"));
            let real = self.is_there(&format!("sys/block/{name}/device"));
            devices::Disk {
                sectors: of("size"),
                rotational: of("queue/rotational"),
                model: of("device/model"),
                real: real || name.starts_with("vd") || name.starts_with("xvd"),
                name,
            }
        });
        let pci = self.names("sys/bus/pci/devices").into_iter().map(|name| {
            let of = |file: &str| self.text(&format!("sys/bus/pci/devices/{name}/{file}"));
            devices::Pci {
                class: of("class"),
                vendor: of("vendor"),
                device: of("device"),
            }
        });
        let nvidia = self.names("proc/driver/nvidia/gpus").into_iter();
        let nvidia = nvidia.map(|name| self.text(&format!("proc/driver/nvidia/gpus/{name}/information")));
        let mut known = Map::new();
        known.extend(capabilities::system(
            std::env::consts::ARCH,
            &self.text("proc/sys/kernel/osrelease"),
            &self.text("etc/os-release"),
            &self.text("proc/sys/kernel/hostname"),
        ));
        known.extend(capabilities::cpu(&cpu, &fastest));
        known.extend(capabilities::memory(&self.text("proc/meminfo")));
        known.extend(devices::disks(disks.collect()));
        known.extend(devices::gpus(pci.collect(), nvidia.collect()));
        let tpm = self.names("sys/class/tpm").into_iter().next();
        let version = tpm.map(|name| self.text(&format!("sys/class/tpm/{name}/tpm_version_major")));
        known.extend(devices::tpm(version.as_deref()));
        known.insert("kvm".to_owned(), json!(self.is_there("dev/kvm")));
        known
    }

    /// What is counted since the machine was started.
    fn counters(&self) -> counters::Counters {
        let zones = self.names("sys/class/powercap").into_iter();
        // These already include zones within others.
        let outer = zones.filter(|name| name.matches(':').count() == 1);
        let energy = outer.filter_map(|name| {
            let text = self.text(&format!("sys/class/powercap/{name}/energy_uj"));
            text.trim().parse::<u64>().ok()
        });
        let energy: Vec<u64> = energy.collect();
        counters::Counters {
            cpu: counters::cpu(&self.text("proc/stat")),
            disk: counters::disk(&self.text("proc/diskstats"), &self.names("sys/block")),
            network: counters::network(&self.text("proc/net/dev")),
            energy: (!energy.is_empty()).then(|| energy.iter().sum()),
        }
    }

    fn health(&self) -> Map<String, Value> {
        let mut known = health::load(&self.text("proc/loadavg"));
        known.extend(health::memory(&self.text("proc/meminfo")));
        known.extend(health::uptime(&self.text("proc/uptime")));
        let thermal = self.names("sys/class/thermal").into_iter();
        let thermal = thermal.map(|name| self.text(&format!("sys/class/thermal/{name}/temp")));
        let sensors = self.names("sys/class/hwmon").into_iter().flat_map(|name| {
            let folder = format!("sys/class/hwmon/{name}");
            let inputs = self.names(&folder).into_iter();
            let inputs = inputs.filter(|file| file.starts_with("temp") && file.ends_with("_input"));
            inputs
                .map(|file| self.text(&format!("{folder}/{file}")))
                .collect::<Vec<_>>()
        });
        known.extend(health::temperature(thermal.chain(sensors)));
        let supplies = self.names("sys/class/power_supply").into_iter();
        let supplies = supplies.map(|name| self.text(&format!("sys/class/power_supply/{name}/uevent")));
        known.extend(health::supplies(supplies));
        if let Ok(file_system) = rustix::fs::statvfs(&self.root) {
            let block = file_system.f_frsize;
            known.extend(health::disk(
                file_system.f_blocks.saturating_mul(block),
                file_system.f_bavail.saturating_mul(block),
            ));
        }
        known
    }
}

/// What was measured of the machine.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    capabilities: Map<String, Value>,
    at: Option<Instant>,
    news: bool,
    before: Option<(Instant, counters::Counters)>,
}

impl Measured {
    /// Whether it is time to measure the capabilities again.
    #[must_use]
    pub fn is_old(&self, now: Instant, every: Duration) -> bool {
        self.at
            .is_none_or(|at| now.saturating_duration_since(at) >= every)
    }

    /// Measures the capabilities. The machine's operator knows best, then the kernel, then the
    /// engine.
    pub fn look(
        &mut self,
        kernel: &Kernel,
        engine: Option<&About>,
        given: &Map<String, Value>,
        now: Instant,
    ) {
        let mut all = match engine {
            Some(about) => about.capabilities.clone(),
            // What the engine said before holds until it says something else.
            None => self.capabilities.clone(),
        };
        all.extend(kernel.capabilities());
        all.extend(given.clone());
        // What could not be sent before is still to be sent.
        self.news |= all != self.capabilities;
        (self.capabilities, self.at) = (all, Some(now));
    }

    /// The capabilities.
    #[must_use]
    pub const fn capabilities(&self) -> &Map<String, Value> {
        &self.capabilities
    }

    /// Whether they have not been sent yet.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        self.news
    }

    /// They were sent.
    pub const fn was_told(&mut self) {
        self.news = false;
    }

    /// The machine's health now. `engine` is why its engine does not answer.
    pub fn health(&mut self, kernel: &Kernel, engine: Option<&String>, now: Instant) -> Map<String, Value> {
        let mut known = kernel.health();
        let counters = kernel.counters();
        if let Some((then, before)) = &self.before {
            let between = now.saturating_duration_since(*then);
            known.extend(counters::rates(before, &counters, between));
        }
        self.before = Some((now, counters));
        let engine = engine.map_or("answers", |_| "does not answer");
        known.insert("engine".to_owned(), json!(engine));
        known
    }
}
