//! What a sealed plan is based on, and what of that has changed since. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engine::{Observed, State};
use crate::model::{Foreign, Size, TierId, VmId};

use super::pinned::Pinned;

/// Everything that the choice of the actions depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// The topology's generation.
    pub generation: u64,
    /// What the plan asks for, however it was written.
    pub plan: BTreeMap<TierId, Size>,
    /// What runs: sizes, cores and addresses.
    pub from: Pinned,
    /// What others hold on the VMs where the actions start or end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<VmId, Foreign>,
    /// Own containers on each VM that was seen.
    pub containers: BTreeMap<VmId, BTreeMap<String, Held>>,
    /// The commit, or content hash, of the hooks; None if none is run or they can't be had.
    pub hooks: Option<String>,
    /// The id of each image on each VM where a container is to be created. None if the engine does
    /// not have the image: then it is pulled. Left out if the engine was not to be asked.
    pub images: BTreeMap<VmId, BTreeMap<String, Option<String>>>,
}

/// A container as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The engine's id: another id is another container.
    pub id: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether it holds its part without running: it is paused, or between two restarts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stalled: bool,
    /// The cores that it is pinned to, as the engine writes them.
    pub cores: String,
    /// Its share of all cores, in billionths.
    pub nano_cpus: u64,
    /// Its memory limit in bytes: more exact than the units that it makes.
    pub memory: u64,
}

impl Basis {
    /// Adds what engines were seen to run.
    #[must_use]
    pub fn seen(mut self, seen: &BTreeMap<VmId, Vec<Observed>>) -> Self {
        for (vm, containers) in seen {
            let managed = containers.iter().filter(|container| container.managed);
            let held = managed.map(|container| {
                let seen = Held {
                    id: container.id.clone(),
                    running: container.state == State::Running,
                    stalled: container.state.holds() && container.state != State::Running,
                    cores: container.cpuset.clone(),
                    nano_cpus: container.nano_cpus,
                    memory: container.memory,
                };
                (container.name.clone(), seen)
            });
            self.containers.insert(vm.clone(), held.collect());
        }
        self
    }

    /// What has changed, each with its old and its new value.
    #[must_use]
    pub fn moved(&self, now: &Self) -> Vec<Moved> {
        let mut moved = Vec::new();
        let mut note = |what, place: Value, was: Value, is: Value| {
            if was != is {
                moved.push(Moved { what, place, was, is });
            }
        };
        note(
            "topology",
            json!({}),
            json!(self.generation),
            json!(now.generation),
        );
        for tier in keys(&self.plan, &now.plan) {
            let place = json!({ "tier": tier });
            note(
                "plan",
                place,
                json!(self.plan.get(tier)),
                json!(now.plan.get(tier)),
            );
        }
        let (was, is) = (&self.from.allocation.vms, &now.from.allocation.vms);
        for vm in keys(was, is) {
            let shape =
                |vm: Option<&crate::model::Vm>| vm.map(|vm| json!({ "ip": vm.ip, "size": vm.capacity }));
            note(
                "vm",
                json!({ "vm": vm }),
                json!(shape(was.get(vm))),
                json!(shape(is.get(vm))),
            );
            let held = |basis: &Self| basis.held_on(vm);
            let (was, is) = (held(self), held(now));
            // A VM that was not seen at one of the two times says nothing about single containers.
            let seen = self.containers.contains_key(vm) == now.containers.contains_key(vm);
            for container in keys(&was, &is).into_iter().filter(|_| seen) {
                let place = json!({ "vm": vm, "container": container });
                note(
                    "container",
                    place,
                    json!(was.get(container)),
                    json!(is.get(container)),
                );
            }
            if seen {
                let kept = |basis: &Self| {
                    let from = &basis.from;
                    let (owed, revisions) = (from.owed.get(vm), from.revisions.get(vm));
                    let addresses = from.addresses.get(vm);
                    let any = owed.is_some() || revisions.is_some() || addresses.is_some();
                    any.then(|| json!([owed, revisions, addresses]))
                };
                note(
                    "allocation",
                    json!({ "vm": vm }),
                    json!(kept(self)),
                    json!(kept(now)),
                );
            } else {
                let (was, is) = (self.from.on(vm), now.from.on(vm));
                note("allocation", json!({ "vm": vm }), was, is);
            }
        }
        let both_saw = |vm: &VmId| self.containers.contains_key(vm) == now.containers.contains_key(vm);
        for vm in keys(&self.foreign, &now.foreign)
            .into_iter()
            .filter(|vm| both_saw(vm))
        {
            let held = |basis: &Self| json!(basis.foreign.get(vm));
            note("foreign", json!({ "vm": vm }), held(self), held(now));
        }
        note("hooks", json!({}), json!(self.hooks), json!(now.hooks));
        for (vm, images) in &now.images {
            for (image, is) in images {
                let was = self.images.get(vm).and_then(|images| images.get(image));
                // An image that was to be pulled may have been pulled meanwhile.
                if was != Some(&None) {
                    let place = json!({ "vm": vm, "image": image });
                    note("image", place, json!(was), json!(is));
                }
            }
        }
        moved
    }

    /// What is known about the containers on a VM: from its engine, or as confirmed.
    fn held_on(&self, vm: &VmId) -> BTreeMap<String, Value> {
        match self.containers.get(vm) {
            Some(seen) => seen
                .iter()
                .map(|(name, held)| (name.clone(), json!(held)))
                .collect(),
            None => {
                let used = self.from.allocation.vms.get(vm).map(|vm| &vm.used);
                let used = used.into_iter().flatten();
                used.map(|(tier, container)| (tier.to_string(), json!(container)))
                    .collect()
            }
        }
    }
}

fn keys<'a, K: Ord, V>(one: &'a BTreeMap<K, V>, other: &'a BTreeMap<K, V>) -> BTreeSet<&'a K> {
    one.keys().chain(other.keys()).collect()
}

/// One thing that has changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// `topology`, `plan`, `vm`, `container`, `allocation`, `foreign`, `hooks` or `image`.
    pub what: &'static str,
    /// Its name, such as that of the VM or the tier.
    #[serde(flatten)]
    pub place: Value,
    /// The old value; null if there was none.
    pub was: Value,
    /// The new value; null if there is none.
    pub is: Value,
}

impl std::fmt::Display for Moved {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |key: &str| self.place.get(key).and_then(Value::as_str).unwrap_or_default();
        let change = match (&self.was, &self.is) {
            (Value::Null, _) => "is new",
            (_, Value::Null) => "is gone",
            _ => "changed",
        };
        match self.what {
            "topology" => write!(out, "the topology was generation {} and is {}", self.was, self.is),
            "plan" => write!(out, "the plan for {} {change}", of("tier")),
            "vm" => write!(out, "VM '{}' {change}", of("vm")),
            "container" => write!(
                out,
                "container '{}' on VM '{}' {change}",
                of("container"),
                of("vm")
            ),
            "allocation" => write!(out, "what VM '{}' holds {change}", of("vm")),
            "foreign" => write!(out, "what others run on VM '{}' {change}", of("vm")),
            "image" => write!(out, "image '{}' on VM '{}' {change}", of("image"), of("vm")),
            _ => write!(out, "the hooks were {} and are {}", self.was, self.is),
        }
    }
}
