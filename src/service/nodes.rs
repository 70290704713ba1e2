//! Every VM that could be used, wherever it comes from: what its source and its engine say about
//! it, and its standing. Everyone who looks at a VM reports here what it said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::cloud::{CloudVm, Offer, Standing};
use crate::engine::{Health, Machine, Observed};
use crate::execute::as_seen;
use crate::fault::{Code, Fault};
use crate::model::node::{Source, Used};
use crate::model::topology::Cloud as CloudSpec;
use crate::model::{Allocation, Node, Topology, Vm, VmId};
use crate::nodes::{Heard, Moment, Registry, Told};

use super::observed::ports::TakenPorts;
use super::observed::{Look, PATIENCE};
use super::{Service, Snapshot};

/// The nodes, by name.
pub(super) type Nodes = BTreeMap<VmId, Node>;

/// What was heard of the nodes since the start.
pub(super) struct Known {
    started: Instant,
    registry: Mutex<Registry>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            registry: Mutex::default(),
        }
    }
}

impl Service {
    /// Every node, looked at now, ordered by name. None before the first topology.
    ///
    /// # Errors
    ///
    /// When their source can't be asked.
    pub async fn nodes(&self) -> Result<Vec<Node>, Fault> {
        let service = self.clone();
        let nodes = self.to_the_end(async move { service.nodes_here().await });
        Ok(nodes.await?.into_values().collect())
    }

    /// One node.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or its source can't be asked.
    pub async fn node(&self, id: &VmId) -> Result<Node, Fault> {
        let service = self.clone();
        let mut nodes = self.to_the_end(async move { service.nodes_here().await }).await?;
        nodes.remove(id).ok_or_else(|| {
            let known: Vec<&str> = nodes.keys().map(VmId::as_str).collect();
            let near = crate::model::nearest(id.as_str(), known.into_iter());
            let hint = near.map(|near| format!("; did you mean '{near}'?"));
            let hint = hint.unwrap_or_default();
            Fault::new(Code::NotFound, format!("there is no node '{id}'{hint}"))
        })
    }

    pub(super) async fn nodes_here(&self) -> Result<Nodes, Fault> {
        self.nodes_with_ports().await.map(|(nodes, _)| nodes)
    }

    /// The same, with the ports that containers of others publish there.
    pub(super) async fn nodes_with_ports(&self) -> Result<(Nodes, TakenPorts), Fault> {
        let snapshot = self.snapshot();
        let Some(topology) = snapshot.topology.clone() else {
            return Ok((Nodes::new(), TakenPorts::default()));
        };
        let known = self.known(&topology).await?;
        let answers = |vm: &&CloudVm| {
            use Standing::{Departing, Ready, Silent};
            matches!(vm.standing, Ready | Silent(_) | Departing(_))
        };
        let looks = known.values().filter(answers);
        let looks = looks.map(|vm| {
            let (snapshot, topology) = (&snapshot, &topology);
            async move {
                let look = self.look(snapshot, topology, &vm.name, Some(vm));
                match tokio::time::timeout(PATIENCE, look).await {
                    Ok(Ok(seen)) => Some((vm.name.clone(), seen)),
                    Ok(Err(_)) => None,
                    Err(_) => {
                        let why = format!("no answer within {} s", PATIENCE.as_secs());
                        self.note_look(&vm.name, Err(&Fault::new(Code::EngineTimeout, why)));
                        None
                    }
                }
            }
        });
        let seen: BTreeMap<VmId, Vec<Observed>> = join_all(looks).await.into_iter().flatten().collect();
        self.assess(&fleet(&known)).await;
        let mut nodes = Nodes::new();
        for vm in known.values() {
            let seen = seen.get(&vm.name).map(Vec::as_slice);
            nodes.insert(vm.name.clone(), self.as_node(&snapshot, &topology, vm, seen));
        }
        // What is in use is shown, even if its source no longer knows it.
        for (id, vm) in &snapshot.allocation.vms {
            if !nodes.contains_key(id) {
                let gone = lost_by_its_source(id, vm);
                nodes.insert(id.clone(), self.as_node(&snapshot, &topology, &gone, None));
            }
        }
        let mut names: BTreeSet<VmId> = nodes.keys().cloned().collect();
        self.registry(|registry, _| {
            // Others may have registered since.
            names.extend(self.snapshot().registered.keys().cloned());
            registry.keep(&names);
        });
        let mut ports = TakenPorts::default();
        for (vm, seen) in &seen {
            ports.note(vm, seen);
        }
        Ok((nodes, ports))
    }

    /// The VMs of an offer as nodes, as they were just looked at.
    pub(super) fn nodes_of(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        offer: &Offer,
        looks: &[Look],
    ) -> Nodes {
        let seen: BTreeMap<&VmId, &[Observed]> = looks
            .iter()
            .filter_map(|look| Some((&look.vm.name, look.result.as_ref().ok()?.1.as_slice())))
            .collect();
        let nodes = offer.vms.iter().map(|vm| {
            let seen = seen.get(&vm.name).copied();
            (vm.name.clone(), self.as_node(snapshot, topology, vm, seen))
        });
        nodes.collect()
    }

    /// Records the result of a look at a VM.
    pub(super) fn note_look(&self, vm: &VmId, look: Result<&(Machine, Vec<Observed>), &Fault>) {
        match look {
            Ok((machine, seen)) => {
                let heard = Heard {
                    about: machine.about.clone(),
                    health: health(seen),
                };
                self.registry(|registry, now| registry.heard(vm, heard, now));
            }
            Err(fault) => self.registry(|registry, now| registry.unheard(vm, &fault.message, now)),
        }
    }

    /// Now, for the registry.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            since_start: self.inner.nodes.started.elapsed(),
            at: self.inner.settings.outside.now(),
        }
    }

    pub(super) fn registry<T>(&self, with: impl FnOnce(&mut Registry, Moment) -> T) -> T {
        let now = self.moment();
        let mut registry = self
            .inner
            .nodes
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        with(&mut registry, now)
    }

    /// A VM as a node. `seen` is what its engine reports as running, if it was asked.
    fn as_node(
        &self,
        snapshot: &Snapshot,
        topology: &Topology,
        vm: &CloudVm,
        seen: Option<&[Observed]>,
    ) -> Node {
        let told = told(snapshot, vm);
        let (stands, heard) = self.registry(|registry, now| {
            let stands = registry.stands(&vm.name, &told, now);
            let mut heard = registry.last(&vm.name).cloned().unwrap_or_default();
            // What it says itself, besides what its engine shows.
            heard
                .health
                .extend(registry.health(&vm.name).cloned().unwrap_or_default());
            (stands, heard)
        });
        let about = heard.about.and(&vm.about);
        let held = snapshot.allocation.vms.get(&vm.name);
        let empty = Vm::empty(vm.ip.clone(), topology.infrastructure.size_of(&vm.name));
        let now = match seen {
            Some(seen) => Some(as_seen(topology, held.unwrap_or(&empty), seen)),
            None => held.cloned(),
        };
        Node {
            id: vm.name.clone(),
            source: source(topology),
            standing: stands.standing,
            reason: stands.reason,
            since: stands.since,
            ip: vm.ip.clone().or_else(|| held.and_then(|held| held.ip.clone())),
            size: held.unwrap_or(&empty).capacity,
            used: now.map(|vm| Used {
                tiers: vm
                    .used
                    .iter()
                    .map(|(tier, held)| (tier.clone(), held.size))
                    .collect(),
                others: vm.foreign.size,
            }),
            labels: about.labels,
            capabilities: about.capabilities,
            health: heard.health,
            epoch: snapshot.registered.get(&vm.name).map(|node| node.epoch),
        }
    }
}

/// The nodes of a what-if: nobody can look at them.
pub(super) fn imagined(topology: &Topology, allocation: &Allocation, offer: &Offer) -> Nodes {
    let node = |id: &VmId, vm: &Vm, about: crate::model::About| Node {
        id: id.clone(),
        source: source(topology),
        standing: crate::model::node::Standing::Ready,
        reason: None,
        since: jiff::Timestamp::UNIX_EPOCH,
        ip: vm.ip.clone(),
        size: vm.capacity,
        used: None,
        labels: about.labels,
        capabilities: about.capabilities,
        health: Map::new(),
        epoch: None,
    };
    let offered = offer.vms.iter().map(|vm| {
        let empty = Vm::empty(None, topology.infrastructure.size_of(&vm.name));
        let held = allocation.vms.get(&vm.name).unwrap_or(&empty);
        (vm.name.clone(), node(&vm.name, held, vm.about.clone()))
    });
    let mut nodes: Nodes = offered.collect();
    for (id, vm) in &allocation.vms {
        let make = || node(id, vm, crate::model::About::default());
        nodes.entry(id.clone()).or_insert_with(make);
    }
    nodes
}

/// What others than its engine say about a VM: its source, and who cordoned it.
fn told(snapshot: &Snapshot, vm: &CloudVm) -> Told {
    match &vm.standing {
        Standing::Ready | Standing::Silent(_) => wanted_of(snapshot, &vm.name),
        Standing::Departing(why) => Told::Leaving(why.clone()),
        Standing::Aside(why) => Told::Aside(why.clone()),
        Standing::Leaving(why) => Told::Leaving(why.clone()),
    }
}

/// What somebody wants of a node.
pub(super) fn wanted_of(snapshot: &Snapshot, node: &VmId) -> Told {
    match (snapshot.drained(node), snapshot.cordons.get(node)) {
        (Some(why), _) => Told::Draining(why),
        (None, Some(cordon)) => Told::Cordoned(cordon.reason()),
        (None, None) => Told::Nothing,
    }
}

/// The nodes of which any may be lost: those that are said to be there.
pub(super) fn fleet(known: &BTreeMap<VmId, CloudVm>) -> BTreeSet<VmId> {
    let there = |vm: &&CloudVm| matches!(vm.standing, Standing::Ready | Standing::Silent(_));
    known.values().filter(there).map(|vm| vm.name.clone()).collect()
}

fn lost_by_its_source(id: &VmId, vm: &Vm) -> CloudVm {
    CloudVm {
        name: id.clone(),
        ip: vm.ip.clone(),
        endpoint: String::new(),
        standing: Standing::Leaving("its source does not have it any more".to_owned()),
        about: crate::model::About::default(),
    }
}

pub(super) fn source(topology: &Topology) -> Source {
    match &topology.infrastructure.cloud {
        CloudSpec::Embedded => Source::Embedded,
        CloudSpec::Hosts(_) => Source::Hosts,
        CloudSpec::AutoScaling(_) => Source::Autoscaling,
        CloudSpec::Nodes(_) => Source::Nodes,
    }
}

/// The health of a machine, by what its engine runs.
fn health(seen: &[Observed]) -> Map<String, Value> {
    let count = |is: fn(&Observed) -> bool| seen.iter().filter(|one| is(one)).count();
    let counts = [
        ("containers", seen.len()),
        ("running", count(|one| one.state.holds())),
        ("unhealthy", count(|one| one.health == Some(Health::Unhealthy))),
    ];
    let counts = counts.into_iter();
    counts
        .map(|(name, count)| (name.to_owned(), json!(count)))
        .collect()
}
