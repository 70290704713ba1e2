//! Seals: what translate showed, kept with all that it was based on, so that execute can run just
//! that or say what has moved since. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::engine::{Observed, State};
use crate::model::{Allocation, Foreign, Size, TierId, VmId};
use crate::translate::{Action, Interrupt, Stage};

use super::record::Pinned;

/// What was shown, under an id that is a hash of it: the same showing has the same id, on every
/// service and after every restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// 32 hexadecimal digits.
    pub id: String,
    /// When it was last shown.
    pub sealed_at: Timestamp,
    /// The plan as it was sent.
    pub plan: Value,
    /// What it was based on.
    pub basis: Basis,
    /// The allocation to reach.
    pub target: Allocation,
    /// The way there.
    pub stages: Vec<Stage>,
}

/// All that the actions were chosen by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Which topology.
    pub generation: u64,
    /// What the plan asks for, however it was spelled.
    pub plan: BTreeMap<TierId, Size>,
    /// What runs: sizes, cores and addresses.
    pub from: Pinned,
    /// What others hold on the VMs that the actions set out from or lead to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<VmId, Foreign>,
    /// Our containers on each VM that was seen.
    pub containers: BTreeMap<VmId, BTreeMap<String, Held>>,
    /// The commit, or content hash, of the hooks; None where none is run or they can't be had.
    pub hooks: Option<String>,
    /// The id of each image on each VM where a container is to be created. None where the engine
    /// has no such image: it is pulled then. Left out where the engine was not to be asked.
    pub images: BTreeMap<VmId, BTreeMap<String, Option<String>>>,
}

/// A container as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The engine's id: another one is another container.
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
    /// Takes in what engines were seen to run.
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

    /// What is not any more as it was, each with what it was and is.
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
            // A VM that could not be seen at one of the times says nothing of single containers.
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
                    let (owed, revisions) = (basis.from.owed.get(vm), basis.from.revisions.get(vm));
                    (owed.is_some() || revisions.is_some()).then(|| json!([owed, revisions]))
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
                // What was to be pulled may have been pulled meanwhile.
                if was != Some(&None) {
                    let place = json!({ "vm": vm, "image": image });
                    note("image", place, json!(was), json!(is));
                }
            }
        }
        moved
    }

    /// What is known of the containers on a VM: as its engine told, or as confirmed.
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

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// `topology`, `plan`, `vm`, `container`, `allocation`, `foreign`, `hooks` or `image`.
    pub what: &'static str,
    /// Which.
    #[serde(flatten)]
    pub place: Value,
    /// As it was shown; null where there was none.
    pub was: Value,
    /// As it is; null where there is none.
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

impl Seal {
    /// Over what was shown.
    #[must_use]
    pub fn over(
        plan: Value,
        basis: Basis,
        target: &Allocation,
        stages: &[Stage],
        interrupts: &[Interrupt],
        now: Timestamp,
    ) -> Self {
        let shown = json!([basis, Pinned::from(target), stages, interrupts]);
        let mut id = String::new();
        for byte in Sha256::digest(shown.to_string()).iter().take(16) {
            // Writing to a string can't fail.
            let _ = write!(id, "{byte:02x}");
        }
        Self {
            id,
            sealed_at: now,
            plan,
            basis,
            target: target.clone(),
            stages: stages.to_vec(),
        }
    }

    /// The VMs on which containers are to be created, with the tiers.
    pub fn creations(stages: &[Stage]) -> impl Iterator<Item = (&VmId, &TierId)> {
        stages.iter().flatten().filter_map(|action| match action {
            Action::CreateContainer { vm, container, .. }
            | Action::ReplaceContainer { vm, container, .. } => Some((vm, container)),
            Action::CreateVm { .. }
            | Action::DeleteVm { .. }
            | Action::UpdateContainer { .. }
            | Action::DeleteContainer { .. }
            | Action::RunScaleHook { .. }
            | Action::RunTierHook { .. } => None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::model::{Container, CoreSet, Vm};

    fn basis() -> Basis {
        let mut vm = Vm::empty(Some("127.0.0.1".into()), Size::new(2, 8));
        let container = Container {
            size: Size::new(1, 3),
            cores: CoreSet([1].into()),
            owed: Default::default(),
            revision: None,
        };
        vm.used.insert(TierId::new("a_b"), container);
        let allocation = Allocation {
            vms: [(VmId::new("vm1"), vm)].into(),
        };
        let held = Held {
            id: "c1".into(),
            running: true,
            stalled: false,
            cores: "1".into(),
            nano_cpus: 0,
            memory: 3 << 20,
        };
        Basis {
            generation: 3,
            plan: [(TierId::new("a_b"), Size::new(1, 3))].into(),
            from: Pinned::from(&allocation),
            foreign: BTreeMap::new(),
            containers: [(VmId::new("vm1"), [("a_b".to_owned(), held)].into())].into(),
            hooks: Some("abc".into()),
            images: [(
                VmId::new("vm1"),
                [("nginx".to_owned(), Some("sha256:1".to_owned()))].into(),
            )]
            .into(),
        }
    }

    fn moved(change: impl FnOnce(&mut Basis)) -> Vec<String> {
        let mut now = basis();
        change(&mut now);
        basis().moved(&now).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_has_not_changed_has_not_moved() {
        assert!(moved(|_| {}).is_empty());
    }

    #[test]
    fn each_kind_of_change_is_told_by_itself() {
        let vm = VmId::new("vm1");
        let other = VmId::new("vm2");
        assert_eq!(
            moved(|now| now.generation = 4),
            ["the topology was generation 3 and is 4"]
        );
        assert_eq!(moved(|now| now.plan.clear()), ["the plan for a_b is gone"]);
        assert_eq!(
            moved(|now| drop(now.foreign.insert(VmId::new("vm1"), Foreign::default()))),
            ["what others run on VM 'vm1' is new"]
        );
        assert_eq!(
            moved(|now| {
                now.containers.get_mut(&vm).unwrap().get_mut("a_b").unwrap().id = "c2".into();
            }),
            ["container 'a_b' on VM 'vm1' changed"]
        );
        assert_eq!(
            moved(|now| now.containers.get_mut(&vm).unwrap().clear()),
            ["container 'a_b' on VM 'vm1' is gone"]
        );
        assert_eq!(
            moved(|now| {
                let new = Vm::empty(None, Size::new(2, 8));
                now.from.allocation.vms.insert(other, new);
            }),
            ["VM 'vm2' is new"]
        );
        assert_eq!(
            moved(|now| now.hooks = Some("abd".into())),
            ["the hooks were \"abc\" and are \"abd\""]
        );
        assert_eq!(
            moved(|now| {
                let images = now.images.get_mut(&vm).unwrap();
                images.insert("nginx".into(), Some("sha256:2".into()));
            }),
            ["image 'nginx' on VM 'vm1' changed"]
        );
    }

    #[test]
    fn a_hook_that_is_owed_now_has_moved() {
        let owed = crate::model::Owed {
            scale: true,
            tier: None,
        };
        let now = |now: &mut Basis| {
            let of_vm = [(TierId::new("a_b"), owed)].into();
            now.from.owed.insert(VmId::new("vm1"), of_vm);
        };
        assert_eq!(moved(now), ["what VM 'vm1' holds is new"]);
    }

    #[test]
    fn an_image_that_was_to_be_pulled_may_be_there_now() {
        let mut before = basis();
        before.images.get_mut("vm1").unwrap().insert("nginx".into(), None);
        assert!(before.moved(&basis()).is_empty());
    }

    #[test]
    fn a_vm_that_is_not_seen_any_more_is_compared_by_what_was_confirmed() {
        assert!(moved(|now| now.containers.clear()).is_empty());
        let fewer = moved(|now| {
            now.containers.clear();
            now.from.allocation.vms.get_mut("vm1").unwrap().used.clear();
        });
        assert_eq!(fewer, ["what VM 'vm1' holds changed"]);
    }

    #[test]
    fn the_id_is_that_of_what_was_shown_and_of_nothing_else() {
        let seal = |basis: Basis, at: &str, plan: Value| {
            Seal::over(plan, basis, &Allocation::default(), &[], &[], at.parse().unwrap()).id
        };
        let first = seal(basis(), "2026-01-01T00:00:00Z", json!({ "a": { "b": 1 } }));
        assert_eq!(first.len(), 32);
        assert_eq!(first, seal(basis(), "2026-01-02T00:00:00Z", json!({ "a_b": 1 })));
        let mut other = basis();
        other.generation += 1;
        assert_ne!(first, seal(other, "2026-01-01T00:00:00Z", json!({})));
    }
}
