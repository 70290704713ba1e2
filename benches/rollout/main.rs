//! The same change of the same image under the same load: `mapek`, `docker service update` of a Swarm, and the procedure
//! that Kamal documents, one after the other on the same three engines.
//!
//! `make bench-rollout` runs it in the lab's sandbox and prints the table that is in docs/rollouts.md.

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
#[allow(dead_code)]
#[path = "../../tests/lab/traffic.rs"]
mod traffic;

mod balancer;
mod down;
mod kamal;
mod ours;
mod swarm;

use std::time::{Duration, Instant};

use crate::balancer::balance;
use crate::daemons::{Lab, Vm};
use crate::down::most_down;
use crate::http::client;
use crate::patience::Patience;
use crate::traffic::Traffic;

/// Engines that run the app; one more runs the load balancer in front of them, which is the same for all.
const NODES: usize = 3;
/// The app's port on every node.
const PORT: u16 = 8081;
/// What is rolled out: the same bytes under another name, so that nothing but the roll-out is measured.
const NEW: &str = "mapek/nginx:new";
/// The app takes two seconds to start, as apps do.
const START: &str = "sleep 2; exec mapek-nginx app";

/// How often each is measured; the median counts.
const ROUNDS: usize = 3;

/// What came of one roll-out.
struct Measured {
    took: Duration,
    /// Requests through the balancer, and those that failed.
    through: (usize, usize),
    /// Requests straight to the nodes, and those that failed.
    straight: (usize, usize),
    /// The most app servers that were down at the same moment.
    down: usize,
}

/// Whoever rolls the change out.
trait Contestant {
    fn name(&self) -> &'static str;
    /// Three app servers run from the old image.
    async fn set_up(&mut self, nodes: &[Vm]);
    /// Rolls the new image out, and comes back when that is done.
    async fn roll_out(&mut self, nodes: &[Vm]);
    /// Nothing of it is left.
    async fn clear(&mut self, nodes: &[Vm]);
}

async fn answers(url: &str) {
    let mut patience = Patience::every(Duration::from_millis(50));
    loop {
        let answer = client().get(url).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        patience.wait(|| format!("{url} does not answer")).await;
    }
}

async fn measure(contestant: &mut impl Contestant, lab: &Lab) -> Measured {
    let (nodes, front) = lab.vms.split_at(NODES);
    contestant.set_up(nodes).await;
    let straight: Vec<String> = nodes
        .iter()
        .map(|vm| format!("http://{}:{PORT}/", vm.ip))
        .collect();
    for url in &straight {
        answers(url).await;
    }
    let through = balance(&front[0], nodes);
    answers(&through).await;
    // What was begun before is over for all of them.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let flow = Traffic::to(&through);
    let flows: Vec<Traffic> = straight.iter().map(|url| Traffic::to(url)).collect();
    let since = jiff::Timestamp::now();
    let began = Instant::now();
    contestant.roll_out(nodes).await;
    let took = began.elapsed();
    let mut all = (0, 0);
    for flow in flows {
        let report = flow.stop().await;
        all.0 += report.answered() + report.failures.len();
        all.1 += report.failures.len();
    }
    let report = flow.stop().await;
    let measured = Measured {
        took,
        through: (report.answered() + report.failures.len(), report.failures.len()),
        straight: all,
        down: most_down(nodes, since),
    };
    for url in &straight {
        answers(url).await;
    }
    contestant.clear(nodes).await;
    measured
}

fn row(name: &str, mut rounds: Vec<Measured>) -> String {
    rounds.sort_by_key(|one| one.took);
    let seconds = |one: &Measured| format!("{:.1}", one.took.as_secs_f64());
    let range = format!(
        "{} to {}",
        seconds(&rounds[0]),
        seconds(&rounds[rounds.len() - 1])
    );
    let sum = |part: fn(&Measured) -> (usize, usize)| {
        let (all, failed) = rounds
            .iter()
            .map(part)
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        format!("{failed} of {all}")
    };
    let down = rounds.iter().map(|one| one.down).max().unwrap_or_default();
    format!(
        "| {name} | {} | {range} | {} | {} | {down} |",
        seconds(&rounds[rounds.len() / 2]),
        sum(|one| one.through),
        sum(|one| one.straight),
    )
}

async fn rounds(contestant: &mut impl Contestant, lab: &Lab) -> String {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        all.push(measure(contestant, lab).await);
    }
    row(contestant.name(), all)
}

#[test]
fn one_change_rolled_out_in_three_ways() {
    in_lab!(NODES + 1, async |lab| {
        for vm in &lab.vms {
            vm.docker(&["tag", images::NGINX, NEW]);
        }
        let lines = [
            rounds(&mut kamal::Kamal, lab).await,
            rounds(&mut ours::Mapek::start(&lab.vms[..NODES]), lab).await,
            rounds(&mut swarm::Swarm, lab).await,
        ];
        println!("A new image for three app servers on three nodes; {ROUNDS} rounds each");
        println!();
        println!(
            "| | seconds (median) | (fastest to slowest) | failed through the balancer | failed straight at the nodes | most servers down at once |"
        );
        println!("|---|--:|--:|--:|--:|--:|");
        for line in lines {
            println!("{line}");
        }
    });
}
