//! Names of VMs that are still to be made. Pure.

use crate::model::{Allocation, VmId};

/// Names for VMs that are still to be made, which no VM has yet: an allocation may be an earlier
/// answer, which already has some of them.
pub(super) struct FreeNames {
    /// Numbers of those that are taken, ascending.
    taken: Vec<usize>,
}

impl FreeNames {
    pub(super) fn beside(allocation: &Allocation) -> Self {
        let number = |id: &VmId| {
            let number = id.as_str().strip_prefix("new_vm")?.parse().ok()?;
            (VmId::new_vm(number) == *id).then_some(number)
        };
        let mut taken: Vec<usize> = allocation.vms.keys().filter_map(number).collect();
        taken.sort_unstable();
        Self { taken }
    }

    pub(super) fn nth(&self, index: usize) -> VmId {
        let skip = |number, &taken: &usize| if taken <= number { number + 1 } else { number };
        VmId::new_vm(self.taken.iter().fold(index, skip))
    }
}
