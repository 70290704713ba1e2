//! The confirmed allocation, compared with the VMs that the cloud has now. Pure.

use std::collections::BTreeMap;

use crate::cloud::{CloudVm, More, Offer, Standing};
use crate::model::{Allocation, Size, Vm, VmId};

/// What is there, according to the cloud.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    /// The allocation with the VMs that are there: none that left, and those that hold nothing.
    pub allocation: Allocation,
    /// VMs of the allocation that are gone or about to be taken away, and why.
    pub gone: Vec<(VmId, String)>,
    /// VMs that exist and were not in the allocation.
    pub idle: Vec<VmId>,
}

/// Takes VMs that left out of the allocation, and adds those that exist and can be used. VMs with
/// names of their own, such as hosts, are in it while they are in use, and are added and removed
/// only by a plan. `shape` is what a VM has.
#[must_use]
pub fn members(allocation: &Allocation, offer: &Offer, shape: Size) -> Membership {
    let mut found = Membership {
        allocation: allocation.clone(),
        ..Membership::default()
    };
    let known: BTreeMap<&VmId, &CloudVm> = offer.vms.iter().map(|vm| (&vm.name, vm)).collect();
    let anonymous = matches!(offer.more, More::Anonymous { .. });
    let gone = &mut found.gone;
    found.allocation.vms.retain(|id, vm| {
        let why = match known.get(id).map(|vm| &vm.standing) {
            Some(Standing::Ready | Standing::Aside(_) | Standing::Silent(_) | Standing::Departing(_)) => {
                return true;
            }
            Some(Standing::Leaving(why)) => why.clone(),
            None => "the cloud does not have it any more".to_owned(),
        };
        if !anonymous && !vm.used.is_empty() {
            return true;
        }
        gone.push((id.clone(), why));
        false
    });
    for vm in &offer.vms {
        if let Some(held) = found.allocation.vms.get_mut(&vm.name) {
            held.ip = vm.ip.clone().or(held.ip.take());
        } else if anonymous && vm.standing == Standing::Ready {
            found
                .allocation
                .vms
                .insert(vm.name.clone(), Vm::empty(vm.ip.clone(), shape));
            found.idle.push(vm.name.clone());
        }
    }
    found
}

/// An allocation with the addresses that its VMs have by now, as far as their cloud knows them.
#[must_use]
pub fn at_their_addresses(allocation: &Allocation, known: &BTreeMap<VmId, CloudVm>) -> Allocation {
    let mut now = allocation.clone();
    for (id, vm) in &mut now.vms {
        let ip = known.get(id).and_then(|known| known.ip.clone());
        vm.ip = ip.or(vm.ip.take());
    }
    now
}

/// Keeps idle VMs in the target that can't be deleted: the cloud lets only `removable` of them go,
/// plus as many as are made. Returns those that are kept.
pub fn keep_unremovable(from: &Allocation, target: &mut Allocation, removable: Option<u32>) -> Vec<VmId> {
    let Some(removable) = removable else {
        return Vec::new();
    };
    let made = target.vms.keys().filter(|id| !from.vms.contains_key(*id)).count();
    let may_go = usize::try_from(removable)
        .unwrap_or(usize::MAX)
        .saturating_add(made);
    let going: Vec<(VmId, Vm)> = from
        .vms
        .iter()
        .filter(|(id, _)| !target.vms.contains_key(*id))
        .map(|(id, vm)| (id.clone(), vm.emptied()))
        .collect();
    let stay = going.len().saturating_sub(may_go);
    let kept = going.into_iter().take(stay);
    kept.map(|(id, vm)| {
        target.vms.insert(id.clone(), vm);
        id
    })
    .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Container, TierId};

    fn shape() -> Size {
        Size::new(2, 8)
    }

    fn vm(name: &str, standing: Standing) -> CloudVm {
        CloudVm {
            name: VmId::new(name),
            ip: Some("10.0.0.1".to_owned()),
            endpoint: "tcp://10.0.0.1:2375".to_owned(),
            standing,
            about: crate::model::About::default(),
        }
    }

    fn holding(names: &[(&str, bool)]) -> Allocation {
        let mut allocation = Allocation::default();
        for (name, holds) in names {
            let mut vm = Vm::empty(None, shape());
            if *holds {
                let held = Container {
                    size: Size::new(1, 1),
                    cores: crate::model::CoreSet::default(),
                    owed: crate::model::Owed::default(),
                    revision: None,
                    addresses: None,
                    digest: None,
                };
                vm.used.insert(TierId::new("shop_one"), held);
            }
            allocation.vms.insert(VmId::new(name), vm);
        }
        allocation
    }

    fn group(vms: Vec<CloudVm>) -> Offer {
        Offer {
            more: More::Anonymous { at_most: None },
            ..Offer::of_named(vms)
        }
    }

    #[test]
    fn members_come_and_go_with_their_group() {
        let offer = group(vec![
            vm("i-used", Standing::Ready),
            vm("i-idle", Standing::Ready),
            vm("i-coming", Standing::Aside("Pending".to_owned())),
            vm("i-aside", Standing::Aside("Standby".to_owned())),
            vm("i-leaving", Standing::Leaving("Terminating".to_owned())),
        ]);
        let before = holding(&[
            ("i-used", true),
            ("i-aside", true),
            ("i-leaving", true),
            ("i-gone", true),
        ]);
        let found = members(&before, &offer, shape());
        let names: Vec<&str> = found.allocation.vms.keys().map(VmId::as_str).collect();
        assert_eq!(names, ["i-aside", "i-idle", "i-used"]);
        assert_eq!(found.idle, [VmId::new("i-idle")]);
        assert_eq!(found.allocation.vms["i-used"].used.len(), 1);
        assert_eq!(found.allocation.vms["i-used"].ip.as_deref(), Some("10.0.0.1"));
        let gone: Vec<&str> = found.gone.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(gone, ["i-gone", "i-leaving"]);
    }

    #[test]
    fn hosts_come_and_go_with_plans_only() {
        let before = holding(&[("vm1", true), ("vm2", false)]);
        let offer = Offer::of_named(vec![
            vm("vm1", Standing::Ready),
            vm("vm2", Standing::Ready),
            vm("vm3", Standing::Ready),
        ]);
        // They have the addresses that the topology gives them by now.
        let now = |mut allocation: Allocation| {
            for vm in allocation.vms.values_mut() {
                vm.ip = Some("10.0.0.1".to_owned());
            }
            allocation
        };
        let found = members(&before, &offer, shape());
        assert_eq!(found.allocation, now(before.clone()));
        // What an empty group left behind when the driver was changed is not a host.
        let other = members(
            &before,
            &Offer::of_named(vec![vm("vm1", Standing::Ready)]),
            shape(),
        );
        assert_eq!(other.allocation, now(holding(&[("vm1", true)])));
    }

    proptest! {
        #[test]
        fn no_more_vms_go_than_may(from in 0_usize..6, stay in 0_usize..6, made in 0_usize..3, removable in 0_u32..5) {
            let name = |number: usize| VmId::new(&format!("i-{number}"));
            let mut allocation = Allocation::default();
            let mut target = Allocation::default();
            for number in 0..from {
                allocation.vms.insert(name(number), Vm::empty(None, shape()));
                if number >= stay {
                    target.vms.insert(name(number), Vm::empty(None, shape()));
                }
            }
            for number in 0..made {
                target.vms.insert(VmId::new_vm(number), Vm::empty(None, shape()));
            }
            let before = target.clone();
            let kept = keep_unremovable(&allocation, &mut target, Some(removable));
            let going = allocation.vms.keys().filter(|id| !target.vms.contains_key(*id)).count();
            prop_assert!(going <= removable as usize + made);
            prop_assert!(kept.is_empty() || going == removable as usize + made, "no more is kept than must be");
            prop_assert!(before.vms.keys().all(|id| target.vms.contains_key(id)));
            prop_assert_eq!(keep_unremovable(&allocation, &mut before.clone(), None).len(), 0);
        }
    }
}
