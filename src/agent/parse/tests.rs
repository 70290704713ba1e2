#![allow(clippy::indexing_slicing)]

use serde_json::json;

use super::*;

const BOARD: &str = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd\n\nprocessor\t: 1\nBogoMIPS\t: 108.00\n\
                     Features\t: fp asimd\n\nRevision\t: c03114\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n";
const SERVER: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7763\ncpu MHz\t\t: 2445.4\n\
                      physical id\t: 0\nflags\t\t: fpu sev sev_snp\n\nprocessor\t: 1\nvendor_id\t: AuthenticAMD\n\
                      model name\t: AMD EPYC 7763\ncpu MHz\t\t: 3100.9\nphysical id\t: 1\nflags\t\t: fpu sev sev_snp\n";

#[test]
fn a_server_and_a_board_tell_of_their_processors_each_in_its_own_words() {
    assert_eq!(
        json!(capabilities::cpu(SERVER, "")),
        json!({ "cores": 2, "sockets": 2, "cpu_vendor": "AuthenticAMD", "cpu_model": "AMD EPYC 7763",
            "clock_mhz": 3101.0, "tee": ["sev", "sev-snp"], "virtual": false })
    );
    assert_eq!(
        json!(capabilities::cpu(BOARD, "1800000\n")),
        json!({ "cores": 2, "cpu_model": "Raspberry Pi 4 Model B Rev 1.4", "clock_mhz": 1800.0, "tee": [],
            "virtual": false })
    );
    assert_eq!(json!(capabilities::cpu("", "nonsense")), json!({ "tee": [] }));
}

#[test]
fn a_system_has_the_names_that_images_have() {
    let release = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
    let facts = capabilities::system("aarch64", "6.1.0\n", release, "edge-1\n");
    assert_eq!(
        json!(facts),
        json!({ "arch": "arm64", "os": "linux", "os_name": "Debian GNU/Linux 12 (bookworm)", "kernel": "6.1.0",
            "hostname": "edge-1" })
    );
    let facts = capabilities::system("riscv64", "", "", "");
    assert_eq!(json!(facts), json!({ "arch": "riscv64", "os": "linux" }));
}

#[test]
fn memory_is_told_in_mib_and_as_a_share() {
    let meminfo = "MemTotal:        4000000 kB\nMemFree:          500000 kB\nMemAvailable:    1000000 kB\n\
                   SwapTotal:       2048 kB\nSwapFree:        1024 kB\n";
    assert_eq!(
        json!(capabilities::memory(meminfo)),
        json!({ "memory_mb": 3906, "swap_mb": 2 })
    );
    assert_eq!(
        json!(health::memory(meminfo)),
        json!({ "memory_available_mb": 976, "memory_used": 0.75, "swap_used_mb": 1 })
    );
    assert_eq!(json!(health::memory("MemTotal: 0 kB")), json!({}));
}

#[test]
fn only_real_disks_count_and_each_is_told_with_its_kind() {
    let disk = |name: &str, sectors: &str, rotational: &str, model: &str, real| devices::Disk {
        name: name.to_owned(),
        sectors: sectors.to_owned(),
        rotational: rotational.to_owned(),
        model: model.to_owned(),
        real,
    };
    let all = vec![
        disk("sda", "1953525168\n", "1\n", "WDC WD10EZEX  \n", true),
        disk("nvme0n1", "500118192\n", "0\n", "", true),
        disk("sr0", "0\n", "1\n", "DVD", true),
        disk("loop0", "8192\n", "0\n", "", false),
        disk("sdb", "nonsense", "", "", true),
    ];
    assert_eq!(
        json!(devices::disks(all)),
        json!({ "disk_gb": 1256, "disks": ["sda 1000 GB hdd WDC WD10EZEX", "nvme0n1 256 GB ssd"] })
    );
    assert_eq!(
        json!(devices::disks(Vec::new())),
        json!({ "disk_gb": 0, "disks": [] })
    );
}

#[test]
fn a_gpu_is_told_by_the_name_that_its_driver_gives_it() {
    let pci = |class: &str, vendor: &str, device: &str| devices::Pci {
        class: class.to_owned(),
        vendor: vendor.to_owned(),
        device: device.to_owned(),
    };
    let all = || {
        vec![
            pci("0x030200\n", "0x10de\n", "0x1eb8\n"),
            pci("0x038000\n", "0x1002\n", "0x744c\n"),
            // The screen of a virtual machine, and a network card.
            pci("0x030000\n", "0x1234\n", "0x1111\n"),
            pci("0x020000\n", "0x8086\n", "0x1533\n"),
        ]
    };
    assert_eq!(
        json!(devices::gpus(all(), Vec::new())),
        json!({ "gpus": 2, "gpu_models": ["nvidia 1eb8", "amd 744c"], "gpu_vendors": ["amd", "nvidia"] })
    );
    let driver = vec!["Model: \t\t Tesla T4\nIRQ:   \t\t 33\n".to_owned()];
    assert_eq!(
        json!(devices::gpus(all(), driver)),
        json!({ "gpus": 2, "gpu_models": ["amd 744c", "Tesla T4"], "gpu_vendors": ["amd", "nvidia"] })
    );
    assert_eq!(json!(devices::gpus(Vec::new(), Vec::new())), json!({ "gpus": 0 }));
    assert_eq!(
        json!(devices::tpm(Some("2\n"))),
        json!({ "tpm": true, "tpm_version": 2 })
    );
    assert_eq!(json!(devices::tpm(Some(""))), json!({ "tpm": true }));
    assert_eq!(json!(devices::tpm(None)), json!({ "tpm": false }));
}

#[test]
fn what_is_counted_is_told_a_second() {
    let stat = |busy: u64, idle: u64| format!("cpu  {busy} 0 0 {idle} 0 0 0 0 50 0\ncpu0 1 1 1 1\n");
    let disks = ["sda".to_owned(), "loop0".to_owned()];
    let diskstats = |read: u64, written: u64| {
        format!(
            "   8       0 sda 10 0 {read} 5 10 0 {written} 5 0 0 0\n   8       1 sda1 1 0 999 5 1 0 999 5 0 0 0\n   7       \
             0 loop0 1 0 999 5 1 0 999 5 0 0 0\n"
        )
    };
    let dev = |received: u64, sent: u64| {
        format!(
            "Inter-|   Receive |  Transmit\n face |bytes packets |bytes\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: \
             {received} 1 0 0 0 0 0 0 {sent} 1 0 0 0 0 0 0\ndocker0: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n"
        )
    };
    let at = |times: u64| counters::Counters {
        cpu: counters::cpu(&stat(100 * times, 300 * times)),
        disk: counters::disk(&diskstats(2000 * times, 4000 * times), &disks),
        network: counters::network(&dev(10_000 * times, 20_000 * times)),
        energy: Some(30_000_000 * times),
    };
    let two_seconds = std::time::Duration::from_secs(2);
    assert_eq!(
        json!(counters::rates(&at(1), &at(2), two_seconds)),
        json!({ "cpu_used": 0.25, "disk_read_kb_s": 512.0, "disk_written_kb_s": 1024.0,
            "network_received_kb_s": 5.0, "network_sent_kb_s": 10.0, "power_w": 15.0 })
    );
    // They went back, or no time has passed.
    assert_eq!(json!(counters::rates(&at(2), &at(1), two_seconds)), json!({}));
    let no_time = json!(counters::rates(&at(1), &at(2), std::time::Duration::ZERO));
    assert_eq!(no_time, json!({ "cpu_used": 0.25 }));
    assert_eq!(counters::cpu(""), None);
    assert_eq!(counters::disk("nonsense\n", &disks), None);
    assert_eq!(counters::network("nonsense\nalso: this"), None);
}

#[test]
fn heat_power_and_load_are_told_where_the_machine_tells_them() {
    let sensors = ["45000\n", "nonsense", "-274000\n", "61250\n", "65261850\n"].map(str::to_owned);
    assert_eq!(
        json!(health::temperature(sensors.into_iter())),
        json!({ "temperature_c": 61.3 })
    );
    assert_eq!(json!(health::temperature(std::iter::empty())), json!({}));
    let battery = "POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_CAPACITY=83\nPOWER_SUPPLY_POWER_NOW=12340000\n";
    let mains = |online: u8| format!("POWER_SUPPLY_TYPE=Mains\nPOWER_SUPPLY_ONLINE={online}\n");
    let told = |online: u8| json!(health::supplies([battery.to_owned(), mains(online)].into_iter()));
    assert_eq!(
        told(0),
        json!({ "battery_percent": 83.0, "on_battery": true, "battery_w": 12.3 })
    );
    assert_eq!(told(1)["on_battery"], false);
    assert_eq!(json!(health::supplies([mains(1)].into_iter())), json!({}));
    assert_eq!(
        json!(health::load("0.20 1.5 x 1/2 3\n")),
        json!({ "load_1m": 0.2, "load_5m": 1.5 })
    );
    assert_eq!(
        json!(health::disk(100_000_000_000, 25_000_000_000)),
        json!({ "disk_free_gb": 25, "disk_used": 0.75 })
    );
    assert_eq!(
        json!(health::uptime("1234.6 99\n")),
        json!({ "uptime_s": 1235.0 })
    );
}

#[test]
fn whatever_the_files_say_nothing_is_too_long_for_the_service() {
    let long = "x".repeat(10_000);
    let facts = capabilities::system(&long, &long, &format!("PRETTY_NAME={long}"), &long);
    for value in facts.values() {
        assert!(value.as_str().is_none_or(|text| text.len() <= 256), "{value}");
    }
}
