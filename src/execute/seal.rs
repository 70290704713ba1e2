//! Seals: what translate showed, stored with everything that it was based on, so that execute can
//! do exactly that or say what has changed since. Pure.

use std::fmt::Write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::{Allocation, TierId, VmId};
use crate::translate::{Action, Interrupt, Stage};

use super::basis::Basis;
use super::pinned::Pinned;

/// What was shown, under an id that is a hash of it: the same content has the same id, on every
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
    /// The stages.
    pub stages: Vec<Stage>,
}

impl Seal {
    /// A hash of what was shown.
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

    /// The VMs on which containers are to be created, with their tiers.
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
    use super::super::basis::Held;
    use super::*;
    use crate::model::{Container, CoreSet, Vm};
    use crate::model::{Foreign, Size};
    use std::collections::BTreeMap;

    fn basis() -> Basis {
        let mut vm = Vm::empty(Some("127.0.0.1".into()), Size::new(2, 8));
        let container = Container {
            size: Size::new(1, 3),
            cores: CoreSet([1].into()),
            owed: Default::default(),
            revision: None,
            addresses: None,
            digest: None,
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
