//! A moment on the way: what has been done, and what is in use and running because of it.
//!
//! Knows what may be done next without breaking a rule; [`super::order`] decides which of it is
//! wise.

use crate::model::Size;

use super::table::{OpNo, Table, TierNo, VmNo};
use super::work::{Kind, Work};

/// How much of an operation a step does. Only an update that grows in one respect and shrinks in
/// the other comes in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// What it frees.
    Down,
    /// What else it takes.
    Up,
}

/// One step of a sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) op: OpNo,
    pub(super) part: Part,
    /// Takes the last running container from a tier that stays.
    pub(super) interrupts: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Todo,
    /// The down part is done.
    Half,
    Done,
}

/// What has been done, and what follows from it.
pub(super) struct Progress<'w> {
    pub(super) work: &'w Work<'w>,
    /// What has been done, in this order.
    pub(super) steps: Vec<Step>,
    phase: Table<OpNo, Phase>,
    used: Table<VmNo, Size>,
    /// What operations that are still to be done on a VM will take in addition.
    wanted: Table<VmNo, Size>,
    running: Table<TierNo, usize>,
    pending: Table<TierNo, Pending>,
}

/// How many operations of a tier are still to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    /// Creates and growing updates.
    pub(super) ups: usize,
    pub(super) creates: usize,
    pub(super) deletes: usize,
    /// Updates that get a container going again.
    pub(super) repairs: usize,
    /// Creates that have been done.
    pub(super) created: usize,
}

impl<'w> Progress<'w> {
    pub(super) fn start(work: &'w Work<'w>) -> Self {
        let mut wanted: Table<VmNo, Size> = Table::like(&work.vms, |_| Size::ZERO);
        let mut pending: Table<TierNo, Pending> = Table::like(&work.tiers, |_| Pending::default());
        for (_, op) in work.ops.iter() {
            wanted[op.vm] += op.gain();
            let tier = &mut pending[op.tier];
            tier.ups += usize::from(!op.is_down());
            tier.creates += usize::from(op.kind == Kind::Create);
            tier.deletes += usize::from(op.kind == Kind::Delete);
            tier.repairs += usize::from(op.repairs);
        }
        Self {
            work,
            steps: Vec::with_capacity(work.ops.len()),
            phase: Table::like(&work.ops, |_| Phase::Todo),
            used: Table::like(&work.vms, |vm| vm.used),
            wanted,
            running: Table::like(&work.tiers, |tier| tier.running),
            pending,
        }
    }

    pub(super) fn is_done(&self, op: OpNo) -> bool {
        self.phase[op] == Phase::Done
    }

    /// Whether nothing of it is done yet.
    pub(super) fn is_untouched(&self, op: OpNo) -> bool {
        self.phase[op] == Phase::Todo
    }

    pub(super) fn pending(&self, tier: TierNo) -> Pending {
        self.pending[tier]
    }

    pub(super) fn running(&self, tier: TierNo) -> usize {
        self.running[tier]
    }

    /// What its VM lacks for `op`, if `freed` were free in addition.
    pub(super) fn lack(&self, op: OpNo, freed: Size) -> Size {
        let op = &self.work.ops[op];
        lack(self.used[op.vm] - freed, op.gain(), self.work.vms[op.vm].room)
    }

    /// Whether its VM has room for `op` and for everything else that is still to grow or start
    /// there: then doing it takes nothing from anyone.
    pub(super) fn is_harmless(&self, op: OpNo) -> bool {
        let op = &self.work.ops[op];
        let all = self.used[op.vm] + self.wanted[op.vm];
        exceeds(all, op.gain(), self.work.vms[op.vm].room) == Size::ZERO
    }

    /// Whether no container that is still there holds a port that `op` needs.
    pub(super) fn has_ports(&self, op: OpNo) -> bool {
        self.work.ops[op]
            .blockers
            .iter()
            .all(|other| self.is_done(*other))
    }

    /// Whether all that its tier depends on runs.
    pub(super) fn dependencies_run(&self, op: OpNo) -> bool {
        let needs = &self.work.tiers[self.work.ops[op].tier].needs;
        needs.iter().all(|tier| self.running[*tier] > 0)
    }

    /// Whether all containers that its tier's dependencies get have been started, and all that did
    /// not run are running again.
    pub(super) fn dependencies_complete(&self, op: OpNo) -> bool {
        let needs = &self.work.tiers[self.work.ops[op].tier].needs;
        needs
            .iter()
            .all(|tier| self.pending[*tier].creates == 0 && self.pending[*tier].repairs == 0)
    }

    /// Whether a delete leaves the tier running, if it stays, or comes after those of its
    /// dependents, if it is removed.
    pub(super) fn may_delete(&self, op: OpNo) -> bool {
        let tier = self.work.ops[op].tier;
        let row = &self.work.tiers[tier];
        if row.leaves {
            let first = &row.leaves_after;
            first.iter().all(|other| self.pending[*other].deletes == 0)
        } else {
            self.running[tier] > 1
        }
    }

    /// Does what is left of `op`.
    pub(super) fn finish(&mut self, op: OpNo) {
        let part = match self.phase[op] {
            Phase::Todo => Part::Whole,
            Phase::Half => Part::Up,
            Phase::Done => return,
        };
        self.take(op, part);
    }

    /// Does only the part of a mixed update that frees something.
    pub(super) fn halve(&mut self, op: OpNo) {
        if self.is_untouched(op) && self.work.ops[op].is_mixed() {
            self.take(op, Part::Down);
        }
    }

    /// Does a step of a sequence that is known to be in order.
    pub(super) fn repeat(&mut self, step: Step) {
        self.take(step.op, step.part);
    }

    fn take(&mut self, number: OpNo, part: Part) {
        let op = &self.work.ops[number];
        let running = &mut self.running[op.tier];
        let pending = &mut self.pending[op.tier];
        let mut interrupts = false;
        match op.kind {
            Kind::Create => {
                *running += 1;
                pending.creates -= 1;
                pending.created += 1;
            }
            Kind::Delete => {
                *running -= 1;
                pending.deletes -= 1;
                interrupts = *running == 0 && self.work.tiers[op.tier].stays;
            }
            Kind::Update => pending.repairs -= usize::from(op.repairs && part != Part::Up),
        }
        if part != Part::Up {
            self.used[op.vm] = self.used[op.vm] - op.give();
        }
        if part != Part::Down {
            self.used[op.vm] += op.gain();
            self.wanted[op.vm] = self.wanted[op.vm] - op.gain();
            self.pending[op.tier].ups -= usize::from(!op.is_down());
        }
        self.phase[number] = match part {
            Part::Down => Phase::Half,
            Part::Whole | Part::Up => Phase::Done,
        };
        self.steps.push(Step {
            op: number,
            part,
            interrupts,
        });
    }
}

/// By how much `used` and `gain` together exceed `capacity`, in what is gained.
pub(super) fn lack(used: Size, gain: Size, capacity: Size) -> Size {
    exceeds(used + gain, gain, capacity)
}

/// By how much `total` exceeds `capacity`, where `gain` has any.
fn exceeds(total: Size, gain: Size, capacity: Size) -> Size {
    let mut over = total - capacity;
    if gain.cpu == crate::model::Cpu::ZERO {
        over.cpu = crate::model::Cpu::ZERO;
    }
    for (over, gain) in [
        (&mut over.mem, gain.mem),
        (&mut over.disk_gb, gain.disk_gb),
        (&mut over.gpus, gain.gpus),
    ] {
        if gain == 0 {
            *over = 0;
        }
    }
    over
}
