//! Small differences between two allocations: what one event changes, without the whole.

use std::collections::{BTreeMap, BTreeSet};

use super::allocation::{Allocation, Container, Vm};
use super::ids::{TierId, VmId};

/// One change to an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A VM is there, with this shape and address. Its containers stay as they are; `is.used` is
    /// empty and ignored.
    Vm {
        /// Its name.
        vm: VmId,
        /// Its shape and address.
        is: Vm,
    },
    /// A VM is gone, with everything that was on it.
    VmGone {
        /// Its name.
        vm: VmId,
    },
    /// A container on a VM that is there now holds this.
    Container {
        /// Its VM.
        vm: VmId,
        /// Its tier.
        tier: TierId,
        /// What it holds.
        is: Container,
    },
    /// A container is gone.
    ContainerGone {
        /// Its VM.
        vm: VmId,
        /// Its tier.
        tier: TierId,
    },
}

impl Change {
    /// The changes that turn `before` into `after` when they are applied in order.
    #[must_use]
    pub fn between(before: &Allocation, after: &Allocation) -> Vec<Self> {
        let mut changes = Vec::new();
        for id in keys(&before.vms, &after.vms) {
            match (before.vms.get(id), after.vms.get(id)) {
                (_, None) => changes.push(Self::VmGone { vm: id.clone() }),
                (was, Some(is)) => of_vm(id, was, is, &mut changes),
            }
        }
        changes
    }
}

fn of_vm(id: &VmId, was: Option<&Vm>, is: &Vm, changes: &mut Vec<Change>) {
    let shape = bare(is);
    if was.map(bare).as_ref() != Some(&shape) {
        changes.push(Change::Vm {
            vm: id.clone(),
            is: shape,
        });
    }
    let none = BTreeMap::new();
    let used = was.map_or(&none, |was| &was.used);
    for tier in keys(used, &is.used) {
        let (vm, tier) = (id.clone(), tier.clone());
        match (used.get(&tier), is.used.get(&tier)) {
            (was, Some(is)) if was == Some(is) => {}
            (_, Some(is)) => changes.push(Change::Container {
                vm,
                tier,
                is: is.clone(),
            }),
            (_, None) => changes.push(Change::ContainerGone { vm, tier }),
        }
    }
}

/// The VM without its containers.
fn bare(vm: &Vm) -> Vm {
    Vm {
        used: BTreeMap::new(),
        ..vm.clone()
    }
}

fn keys<'a, K: Ord, V>(one: &'a BTreeMap<K, V>, other: &'a BTreeMap<K, V>) -> BTreeSet<&'a K> {
    one.keys().chain(other.keys()).collect()
}

impl Allocation {
    /// Applies one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Vm { vm, is } => {
                let used = self.vms.remove(vm).map(|was| was.used).unwrap_or_default();
                let is = Vm { used, ..is.clone() };
                self.vms.insert(vm.clone(), is);
            }
            Change::VmGone { vm } => drop(self.vms.remove(vm)),
            Change::Container { vm, tier, is } => {
                if let Some(vm) = self.vms.get_mut(vm) {
                    vm.used.insert(tier.clone(), is.clone());
                }
            }
            Change::ContainerGone { vm, tier } => {
                if let Some(vm) = self.vms.get_mut(vm) {
                    vm.used.remove(tier);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{CoreSet, Size};

    fn allocations() -> impl Strategy<Value = Allocation> {
        let container = (1u32..4, 1u64..4, 0u32..3).prop_map(|(cpu, mem, core)| Container {
            size: Size::new(cpu, mem),
            cores: CoreSet([core].into()),
            owed: crate::model::Owed {
                scale: core == 0,
                tier: None,
            },
            revision: (core == 1).then(|| crate::model::RevisionId::new("r")),
            digest: (core == 0).then(|| "sha256:00".to_owned()),
            addresses: (core == 2).then(|| [("db".to_owned(), "10.0.0.1".to_owned())].into()),
        });
        let tiers = prop::collection::btree_map("[ab]_[cd]", container, 0..4);
        let vm = (prop::option::of("10\\.0\\.0\\.[12]"), 1u32..3, tiers).prop_map(|(ip, cpu, used)| Vm {
            used: used
                .into_iter()
                .map(|(tier, held)| (TierId::new(&tier), held))
                .collect(),
            ..Vm::empty(ip, Size::new(cpu, 8))
        });
        prop::collection::btree_map("vm[1-4]", vm, 0..4).prop_map(|vms| Allocation {
            vms: vms.into_iter().map(|(id, vm)| (VmId::new(&id), vm)).collect(),
        })
    }

    proptest! {
        #[test]
        fn the_changes_between_two_allocations_make_one_the_other(
            before in allocations(), after in allocations(),
        ) {
            let changes = Change::between(&before, &after);
            let mut made = before.clone();
            for change in &changes {
                made.apply(change);
            }
            prop_assert_eq!(&made, &after);
            prop_assert_eq!(changes.is_empty(), before == after);
        }
    }

    #[test]
    fn one_container_that_is_resized_is_one_change() {
        let held = |cpu| Container::from(Size::new(cpu, 1));
        let with = |cpu| {
            let mut vm = Vm::empty(None, Size::new(4, 8));
            vm.used = [(TierId::new("a_b"), held(1)), (TierId::new("a_c"), held(cpu))].into();
            Allocation {
                vms: [(VmId::new("vm1"), vm)].into(),
            }
        };
        let change = Change::Container {
            vm: VmId::new("vm1"),
            tier: TierId::new("a_c"),
            is: held(2),
        };
        assert_eq!(Change::between(&with(1), &with(2)), [change]);
    }
}
