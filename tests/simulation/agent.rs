//! The agents of machines that register themselves. Their refreshes are late, lost, sent twice and overtake each other;
//! they are killed, frozen, cut off together with their machine, and leave.

use std::time::Duration;

use mapek::model::VmId;
use mapek::service::Service;
use serde_json::{Value, json};

use crate::clients::client;
use crate::story::{CloudKind, Setting, Trouble};
use crate::world::{State, World};

/// What an agent promises.
const REFRESH_S: u64 = 10;
/// How often it refreshes.
const EVERY: Duration = Duration::from_secs(4);

/// The agent of one machine. It outlives the service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agent {
    /// Which start of it this is.
    epoch: u64,
    /// It says nothing until then.
    silent_until: Duration,
    /// When it speaks again, it was started anew.
    restarts: bool,
    /// What it sends until then is lost, late, or comes twice.
    bad_line_until: Duration,
    /// It says that it leaves, before it is silent.
    leaves: bool,
}

impl Agent {
    /// From now on nothing goes wrong.
    pub fn heal(&mut self, now: Duration) {
        self.silent_until = self.silent_until.min(now);
        self.bad_line_until = now;
        self.leaves = false;
    }
}

/// What goes wrong with an agent.
pub fn hurt(state: &mut State, trouble: &Trouble) {
    let now = state.now();
    let (Trouble::AgentDies { vm, length }
    | Trouble::AgentFreezes { vm, length }
    | Trouble::BadLine { vm, length }
    | Trouble::Partition { vm, length }
    | Trouble::AgentLeaves { vm, length }) = *trouble
    else {
        return;
    };
    let Some(name) = state.agents.keys().nth(vm).cloned() else {
        return;
    };
    let agent = state.agents.entry(name.clone()).or_default();
    let until = now + length;
    match trouble {
        Trouble::BadLine { .. } => agent.bad_line_until = agent.bad_line_until.max(until),
        Trouble::AgentDies { .. } => agent.restarts = true,
        Trouble::AgentLeaves { .. } => (agent.restarts, agent.leaves) = (true, true),
        _ => {}
    }
    if !matches!(trouble, Trouble::BadLine { .. }) {
        agent.silent_until = agent.silent_until.max(until);
    }
    // The engine can't be reached either, and its containers go on.
    if let (Trouble::Partition { .. }, Some(machine)) = (trouble, state.machines.get_mut(&name)) {
        machine.down_until = machine.down_until.max(until);
    }
}

/// Starts the agents of a story in a life of the service.
pub fn start(world: &World, service: &Service, setting: &Setting) {
    let CloudKind::Nodes(_) = setting.cloud else {
        return;
    };
    let names: Vec<String> = world.lock().agents.keys().cloned().collect();
    for name in names {
        tokio::spawn(live(world.clone(), service.clone(), name));
    }
}

/// What an agent does at one moment.
enum Deed {
    Say(Duration, Value),
    Leave(u64),
}

async fn live(world: World, service: Service, name: String) {
    loop {
        for deed in deeds(&world, &name) {
            let (service, name) = (service.clone(), name.clone());
            tokio::spawn(async move {
                match deed {
                    Deed::Say(travel, said) => {
                        tokio::time::sleep(travel).await;
                        let _ = service.register(&name, &said, false, client()).await;
                    }
                    Deed::Leave(epoch) => {
                        let _ = service.leave_node(&VmId::new(&name), Some(epoch), client()).await;
                    }
                }
            });
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn deeds(world: &World, name: &str) -> Vec<Deed> {
    let state = &mut *world.lock();
    let now = state.now();
    let Some(machine) = state.machines.get(name) else {
        return Vec::new();
    };
    let (off, ip) = (machine.off_until > now, machine.ip.clone());
    let Some(agent) = state.agents.get_mut(name) else {
        return Vec::new();
    };
    // With the machine its agent is started anew.
    agent.restarts |= off;
    if std::mem::take(&mut agent.leaves) {
        let epoch = agent.epoch;
        state.note(&format!("the agent of {name} leaves"));
        return vec![Deed::Leave(epoch)];
    }
    if off || agent.silent_until > now {
        return Vec::new();
    }
    if std::mem::take(&mut agent.restarts) {
        agent.epoch += 1;
    }
    let (epoch, bad) = (agent.epoch, agent.bad_line_until > now);
    let whole = json!({ "epoch": epoch, "endpoint": format!("tcp://{ip}:2375"), "ip": ip, "refresh_s": REFRESH_S,
        "capabilities": { "arch": "amd64" } });
    let short = json!({ "epoch": epoch });
    let mut deeds = Vec::new();
    for _ in 0..if bad && state.dice.percent(30) { 2 } else { 1 } {
        if bad && state.dice.percent(50) {
            continue;
        }
        let longest = if bad {
            Duration::from_secs(15)
        } else {
            Duration::from_millis(50)
        };
        let travel = state.dice.spread(Duration::from_millis(1), longest);
        let said = if state.dice.percent(50) { &whole } else { &short };
        deeds.push(Deed::Say(travel, said.clone()));
    }
    deeds
}
