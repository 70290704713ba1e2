//! Which part of an earlier allocation still has room beside what others run by now. Pure.

use crate::model::{Allocation, Container, TierId, VmId};

/// Takes out of an earlier allocation what no longer has room because of what others have started
/// since: such containers stay as they are `now`. Returns them.
pub fn without_room(was: &mut Allocation, now: &Allocation) -> Vec<(VmId, TierId)> {
    let mut out = Vec::new();
    for (name, vm) in &mut was.vms {
        let there = now.vms.get(name);
        if let Some(there) = there {
            vm.foreign.size = vm.foreign.size.max(there.foreign.size);
        }
        while !vm.held().fits(vm.room()) {
            let present = |tier: &TierId| there.and_then(|there| there.used.get(tier));
            let changed = |tier: &&TierId| {
                // One of another revision, or image, would have to be started, which takes room as well.
                let held = |held: Option<&Container>| held.map(|held| (held.size, held.revision.clone()));
                let (was, is) = (vm.used.get(*tier), present(tier));
                let other_image = was.zip(is).is_some_and(|(was, is)| is.is_of_other_image(was));
                other_image || held(was) != held(is)
            };
            let Some(tier) = vm.used.keys().rev().find(changed).cloned() else {
                break;
            };
            match present(&tier).cloned() {
                Some(held) => drop(vm.used.insert(tier.clone(), held)),
                None => drop(vm.used.remove(&tier)),
            }
            out.push((name.clone(), tier));
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::model::{Size, Vm};

    #[test]
    fn what_has_no_room_beside_others_is_not_brought_back() {
        let vm = |tiers: &[(&str, u64)]| {
            let mut vm = Vm::empty(None, Size::new(4, 4));
            for (tier, mem) in tiers {
                vm.used.insert(TierId::new(tier), Size::new(1, *mem).into());
            }
            vm
        };
        let of = |vm: Vm| Allocation {
            vms: [(VmId::new("vm1"), vm)].into(),
        };
        let mut was = of(vm(&[("a_x", 1), ("a_y", 3)]));
        let mut now = vm(&[("a_x", 1)]);
        assert_eq!(without_room(&mut was.clone(), &of(now.clone())), []);
        now.foreign.size = Size::new(1, 2);
        let out = without_room(&mut was, &of(now));
        assert_eq!(out, [(VmId::new("vm1"), TierId::new("a_y"))]);
        let left: Vec<&str> = was.vms[&VmId::new("vm1")]
            .used
            .keys()
            .map(TierId::as_str)
            .collect();
        assert_eq!(left, ["a_x"]);
    }
}
