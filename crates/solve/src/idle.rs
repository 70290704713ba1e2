//! VMs that must be there although nothing is on them.
//!
//! There are two kinds: those that exist already, and fresh ones, which are made or taken into use.

use super::answer::VmRef;
use super::problem::Problem;

/// How many there must be, and their cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Idle {
    /// Fewest VMs, used or not.
    pub least: usize,
    /// Existing VMs in use so far.
    pub standing: usize,
    /// Existing VMs that are not in use yet.
    pub spares: usize,
    /// Most new VMs.
    pub max_new: usize,
    /// Price of keeping an existing VM, relative to deleting it.
    pub use_cost: i64,
    /// Price of a fresh one.
    pub new_cost: i64,
    /// The kind of the fresh ones that are made.
    pub kind: usize,
}

impl Idle {
    /// How many VMs, existing and fresh, are kept without containers beside this many used ones:
    /// the cheaper kind first.
    #[must_use]
    pub fn vms(&self, standing: usize, fresh: usize) -> [usize; 2] {
        let missing = self.least.saturating_sub(standing + fresh);
        let left = [
            self.standing.saturating_sub(standing),
            (self.spares + self.max_new).saturating_sub(fresh),
        ];
        if self.use_cost <= self.new_cost {
            let first = missing.min(left[0]);
            [first, (missing - first).min(left[1])]
        } else {
            let first = missing.min(left[1]);
            [(missing - first).min(left[0]), first]
        }
    }

    /// The VM with this number that is made with nothing on it.
    #[must_use]
    pub fn new_vm(&self, problem: &Problem, number: usize) -> VmRef {
        let kind = problem.kinds.get(self.kind);
        VmRef::New {
            number,
            shape: kind.map_or(0, |kind| kind.shape),
        }
    }

    /// Their cost.
    #[must_use]
    pub fn price(&self, standing: usize, fresh: usize) -> i64 {
        if self.least == 0 {
            return 0;
        }
        let [standing, fresh] = self.vms(standing, fresh);
        standing as i64 * self.use_cost + fresh as i64 * self.new_cost
    }

    /// The least cost of them beside this many existing VMs of either kind and this many new ones:
    /// with as few of the existing ones as possible being spares, or as many.
    #[must_use]
    pub fn least_price(&self, existing: usize, news: usize) -> i64 {
        let few = existing.saturating_sub(self.standing);
        let many = existing.min(self.spares);
        let with = |spares: usize| self.price(existing - spares, news + spares);
        with(few).min(with(many))
    }

    /// The least cost of them, however many VMs are used. It is below zero if deleting a VM costs
    /// more than using it.
    #[must_use]
    pub fn floor(&self) -> i64 {
        self.use_cost.min(0) * self.least.min(self.standing) as i64
    }
}
