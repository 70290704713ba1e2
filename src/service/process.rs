//! What this process uses, under the names that all Prometheus clients use.

use std::sync::atomic::AtomicU64;

use procfs::WithCurrentSystemInfo;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Memory, processor time, open files.
#[derive(Default)]
pub struct Process {
    resident: Gauge<u64, AtomicU64>,
    virtual_memory: Gauge<u64, AtomicU64>,
    cpu: Counter<f64, AtomicU64>,
    files: Gauge<u64, AtomicU64>,
    threads: Gauge<u64, AtomicU64>,
    started: Gauge<f64, AtomicU64>,
}

impl Process {
    /// Adds the numbers to the registry.
    pub fn register(&self, to: &mut Registry) {
        to.register(
            "process_resident_memory_bytes",
            "Memory in use",
            self.resident.clone(),
        );
        to.register(
            "process_virtual_memory_bytes",
            "Memory asked for",
            self.virtual_memory.clone(),
        );
        to.register("process_cpu_seconds", "Processor time spent", self.cpu.clone());
        to.register("process_open_fds", "Open file descriptors", self.files.clone());
        to.register("process_threads", "Threads", self.threads.clone());
        to.register(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            self.started.clone(),
        );
    }

    /// Reads them again. What can't be read keeps its number.
    pub fn look(&self) {
        let Ok(own) = procfs::process::Process::myself() else {
            return;
        };
        if let Ok(stat) = own.stat() {
            self.resident.set(stat.rss_bytes().get());
            self.virtual_memory.set(stat.vsize);
            self.threads
                .set(u64::try_from(stat.num_threads).unwrap_or_default());
            #[expect(clippy::cast_precision_loss)]
            let spent = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
            // A counter can only be increased.
            self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
            if let Ok(boot) = procfs::boot_time_secs() {
                #[expect(clippy::cast_precision_loss)]
                let after = stat.starttime as f64 / procfs::ticks_per_second() as f64;
                #[expect(clippy::cast_precision_loss)]
                self.started.set(boot as f64 + after);
            }
        }
        if let Ok(files) = own.fd_count() {
            self.files.set(u64::try_from(files).unwrap_or_default());
        }
    }
}
