//! Requests per second beside nginx, which serves the very same bytes from files: the allocation,
//! the topology, and the translation of `plan.json`. Idle memory and start-up time besides.
//!
//! `make bench-http` runs it in the lab's sandbox and prints the table. Service, nginx and wrk share
//! the machine's cores, and take turns.

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

mod nginx;
mod wrk;

use std::path::Path;

use serde_json::{Value, json};

use crate::nginx::Nginx;
use crate::service::Service;
use crate::wrk::{Load, Rate};

/// Each is asked so often in turn; the middle one counts.
const ROUNDS: usize = 3;
const STARTS: usize = 9;

fn read(name: &str) -> Value {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn start() -> Service {
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-http");
    let _ = std::fs::remove_dir_all(&data);
    Service::start_at(
        &data,
        &[("MAPEK_OBSERVE_EVERY_S", "0"), ("MAPEK_RATE_LIMIT", "0")],
    )
}

/// Resident memory of processes, in MiB.
fn memory(pids: &[u32]) -> f64 {
    let of = |pid: &u32| -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    pids.iter().map(of).sum::<f64>() / 1024.0
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn beside_nginx() {
    in_lab!(1, async |lab| {
        let mut service = start();
        let idle = memory(&[service.daemon.pid()]);
        let mut topology = read("topology.json");
        topology["infrastructure"]["cloud_driver"] = json!({ "hosts": lab.hosts(1) });
        service.put_topology(&topology).await;
        let plan = read("plan.json");
        service.execute(&plan).await;

        let own = |path: &str| service.api.url(path);
        let mut files = Vec::new();
        for (name, method, path) in [
            ("allocation", "GET", "/api/allocation"),
            ("topology", "GET", "/api/topology"),
            ("translate", "PUT", "/api/translate"),
        ] {
            let request = http::client().request(method.parse().unwrap(), own(path));
            let request = if method == "PUT" {
                request.body(plan.to_string())
            } else {
                request
            };
            let body = request.send().await.unwrap().bytes().await.unwrap();
            files.push((name, body.to_vec()));
        }
        let nginx = Nginx::start(&files);
        let beside_idle = memory(&nginx.pids());

        let mut rows = Vec::new();
        for (name, load) in [
            ("GET /api/allocation", Load::get("/api/allocation")),
            ("GET /api/topology", Load::get("/api/topology")),
            (
                "PUT /api/translate, plan.json",
                Load::put("/api/translate", &plan),
            ),
        ] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            // The first of each warms up.
            load.run(&own(""), 1);
            load.run(&nginx.url(), 1);
            for _ in 0..ROUNDS {
                ours.push(load.run(&own(""), 5));
                theirs.push(load.run(&nginx.url(), 5));
            }
            rows.push((name, Rate::middle(ours), Rate::middle(theirs)));
        }
        let after = memory(&[service.daemon.pid()]);
        drop(nginx);
        assert!(service.terminate().success());

        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let begun = std::time::Instant::now();
            service.start_again();
            ours.push(begun.elapsed().as_secs_f64() * 1000.0);
            service.kill();
            let begun = std::time::Instant::now();
            drop(Nginx::start(&files));
            theirs.push(begun.elapsed().as_secs_f64() * 1000.0);
        }

        println!();
        println!(
            "| at 64 connections; translate at 4 | mapek, requests/s | nginx, requests/s | ratio | mapek, 99 % within | nginx, 99 % within |"
        );
        println!("|---|---|---|---|---|---|");
        for (name, ours, theirs) in rows {
            let ratio = ours.per_second / theirs.per_second;
            println!(
                "| {name} | {:.0} | {:.0} | {ratio:.2} | {} | {} |",
                ours.per_second, theirs.per_second, ours.late, theirs.late
            );
        }
        println!();
        println!("| | mapek | nginx |");
        println!("|---|---|---|");
        println!("| memory when started, MiB | {idle:.1} | {beside_idle:.1} |");
        println!("| memory after the load, MiB | {after:.1} | |");
        println!(
            "| from start to the first answer, ms | {:.0} | {:.0} |",
            middle(ours),
            middle(theirs)
        );
        println!();
    });
}
