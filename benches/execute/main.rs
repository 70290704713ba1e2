//! What `mapek` adds to Docker's own time: forty containers over ten engines, and the resize of one
//! running container, through `PUT /api/execute` and through a bare Docker client, in turn.
//!
//! `make bench-execute` runs it in the lab's sandbox and prints the tables. The service's state is on
//! the machine's disk, with every record synced; the engines keep theirs in memory, as in all of the
//! lab.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(missing_docs)]

// The lab's parts, of which this binary uses some.
#[allow(dead_code)]
#[path = "../../tests/patience/mod.rs"]
mod patience;
#[macro_use]
#[path = "../../tests/lab/sandbox.rs"]
mod sandbox;
#[allow(dead_code)]
#[path = "../../tests/lab/daemons.rs"]
mod daemons;
#[allow(dead_code)]
#[path = "../../tests/lab/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../../tests/lab/images.rs"]
mod images;
#[allow(dead_code)]
#[path = "../../tests/lab/keys.rs"]
mod keys;
#[allow(dead_code)]
#[path = "../../tests/lab/network.rs"]
mod network;
#[allow(dead_code)]
#[path = "../../tests/lab/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../../tests/lab/service.rs"]
mod service;
#[allow(dead_code)]
#[path = "../../tests/lab/topologies.rs"]
mod topologies;

mod bare;
mod table;

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::bare::Bare;
use crate::daemons::Lab;
use crate::service::Service;
use crate::table::Table;
use crate::topologies::{idle, nothing, on_hosts, plan};

const VMS: usize = 10;
const ON_EACH: usize = 4;
const ROUNDS: usize = 6;
const RESIZES: usize = 200;

/// Starts the service with its state on a real disk.
fn service() -> Service {
    let data = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-execute");
    let _ = std::fs::remove_dir_all(&data);
    Service::start_at(&data, &[("MAPEK_OBSERVE_EVERY_S", "0"), ("MAPEK_LOG", "warn")])
}

/// Every VM has room for four containers of half a core and one memory unit, and is in use all the
/// time: only containers are made and removed.
async fn prepare(lab: &Lab, service: &Service, tiers: usize) {
    let tiers: Map<String, Value> = (0..tiers)
        .map(|number| (format!("t{number:02}"), idle()))
        .collect();
    let mut topology = on_hosts(lab.hosts(lab.vms.len()), Value::Object(tiers));
    let infrastructure = topology["infrastructure"].as_object_mut().unwrap();
    infrastructure.remove("hooks_git_repo");
    infrastructure.insert("cpu_mode".to_owned(), json!("quota"));
    infrastructure.insert("min_vms".to_owned(), json!(lab.vms.len()));
    service.put_topology(&topology).await;
    service.execute(&nothing()).await;
}

#[test]
fn forty_containers_over_ten_engines() {
    in_lab!(VMS, async |lab| {
        let service = service();
        prepare(lab, &service, VMS * ON_EACH).await;
        let names: Vec<String> = (0..VMS * ON_EACH).map(|number| format!("t{number:02}")).collect();
        let all: Vec<(&str, f64, u32)> = names.iter().map(|name| (name.as_str(), 0.5, 1)).collect();
        let all = plan(&all);
        let bare = Bare::of(lab);
        // In the order of the table's columns. The first round warms everything up and does not count.
        let mut times = [const { Vec::new() }; 4];
        for round in 0..=ROUNDS {
            let mut took = [Duration::ZERO; 4];
            let turns = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for turn in turns {
                let begun = Instant::now();
                if turn == 0 {
                    service.execute(&all).await;
                } else {
                    bare.create(ON_EACH).await;
                }
                took[turn] = begun.elapsed();
                let count: usize = lab.vms.iter().map(|vm| vm.containers().len()).sum();
                assert_eq!(count, VMS * ON_EACH);
                let begun = Instant::now();
                if turn == 0 {
                    service.execute(&nothing()).await;
                } else {
                    bare.remove(ON_EACH).await;
                }
                took[turn + 2] = begun.elapsed();
            }
            if round > 0 {
                for (times, took) in times.iter_mut().zip(took) {
                    times.push(took);
                }
            }
        }
        let [up, bare_up, down, bare_down] = times;
        let mut table = Table::new("Forty containers over ten engines, seconds");
        table.row("create and start", &up, &bare_up, 1.0);
        table.row("stop and remove", &down, &bare_down, 1.0);
        table.print();
    });
}

#[test]
fn one_running_container_resized() {
    in_lab!(1, async |lab| {
        let service = service();
        prepare(lab, &service, 1).await;
        let plans = [1, 2].map(|mem| plan(&[("t00", 0.5, mem)]));
        service.execute(&plans[1]).await;
        let bare = Bare::of(lab);
        let mut times = [const { Vec::new() }; 3];
        for number in 0..RESIZES + 20 {
            let mem = number % 2;
            let begun = Instant::now();
            service.execute(&plans[mem]).await;
            let through = begun.elapsed();
            // The same change back and forth, so that the engine has as much to do.
            let begun = Instant::now();
            bare.resize("rubis_t00", 1 + (mem as i64 + 1) % 2).await;
            let alone = begun.elapsed();
            bare.resize("rubis_t00", 1 + mem as i64).await;
            let begun = Instant::now();
            bare.resize_and_look("rubis_t00", 1 + mem as i64).await;
            let looked = begun.elapsed();
            if number >= 20 {
                for (times, took) in times.iter_mut().zip([through, alone, looked]) {
                    times.push(took);
                }
            }
        }
        let [through, alone, looked] = times;
        let mut table = Table::new("One running container resized, milliseconds");
        table.row("update", &through, &alone, 1000.0);
        table.row("update, read back", &through, &looked, 1000.0);
        table.print();
    });
}
