//! A second opinion on questions too large for brute force: OR-tools CP-SAT, in a process of its own.
//!
//! Only if `MAPEK_FUZZ_PEER` names a Python that has it; `make fuzz-solver` sets it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::question::Question;

/// The largest question (tiers times VMs) that is passed on.
const PAIRS: usize = 400;
/// Seconds for each search, of which there are two: for the price and for the actions.
const SECONDS: f64 = 1.0;

pub struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What CP-SAT has found and proven.
#[derive(Debug)]
pub struct Opinion {
    pub objective: Option<i64>,
    /// Nothing is below this, whatever the number of new VMs.
    pub bound: Option<i64>,
    pub impossible: bool,
    /// The fewest actions at that objective, if both are proven.
    pub actions: Option<usize>,
}

impl Peer {
    /// Starts it, if it is wanted.
    pub fn start() -> Option<Self> {
        let python = std::env::var("MAPEK_FUZZ_PEER")
            .ok()
            .filter(|path| !path.is_empty())?;
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz_solver/peer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        })
    }

    /// Asks, if the question is not too large.
    pub fn ask(&mut self, question: &Question) -> Option<Opinion> {
        let tiers = &question.tiers;
        let ([kind], false) = (question.kinds.as_slice(), tiers.is_empty()) else {
            return None;
        };
        if kind.price != question.weights.vm_create || !kind.lasting || question.has_rules() {
            return None;
        }
        let room = PAIRS / tiers.len();
        let most = question.most_news();
        let news = most.min(room.checked_sub(question.vms.len())?);
        let sent = json!({
            "tiers": tiers.iter().map(|tier| json!({
                "demand": question.steps(tier.demand),
                "min": tier.min,
                "max": tier.max.min(1_000_000),
            })).collect::<Vec<_>>(),
            "vms": question.vms.iter().map(|vm| json!({
                "room": question.steps(vm.room),
                "held": vm.held.iter().map(|(tier, now)| {
                    (tier.to_string(), json!(question.steps(*now)))
                }).collect::<serde_json::Map<_, _>>(),
                "others": vm.others,
            })).collect::<Vec<_>>(),
            "new": question.steps(kind.room),
            "news": news,
            "spare": question.spare.as_ref().map(Vec::len),
            "max_vms": question.max_vms.min(1_000_000),
            "min_vms": question.min_vms,
            "clash": (0..tiers.len()).flat_map(|a| (0..a).map(move |b| (a, b)))
                .filter(|&(a, b)| tiers[a].clash(&tiers[b]))
                .collect::<Vec<_>>(),
            "removal": (0..tiers.len()).map(|tier| question.removal(tier)).collect::<Vec<_>>(),
            "vm_create": question.weights.vm_create,
            "vm_use": question.weights.vm_use,
            "vm_delete": question.weights.vm_delete,
            "create": question.weights.create,
            "set": question.weights.set,
            "seconds": SECONDS,
        });
        writeln!(self.to, "{sent}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("an answer of the peer");
        let all = news == most;
        Some(Opinion {
            objective: said["objective"].as_i64(),
            bound: said["bound"].as_i64().filter(|_| all),
            impossible: said["impossible"] == true && all,
            actions: said["actions"].as_u64().map(|count| count as usize),
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
