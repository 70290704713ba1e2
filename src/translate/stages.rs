//! A sequence folded into stages: as early as the rules allow, so that as much as possible runs at
//! the same time.
//!
//! Each step goes into the first stage where, in the worst interleaving, nothing breaks: what
//! others release in the same stage does not count as free, and what they take counts as taken. The
//! stage after everything that came before in the sequence is always possible, since the sequence
//! itself is safe.

use std::collections::BTreeMap;

use crate::model::Size;

use super::progress::{Part, Step, lack};
use super::table::{OpNo, Table, TierNo, VmNo};
use super::work::{Kind, Op, Work};

/// Folds `steps`. No stage is empty.
pub(super) fn fold(work: &Work, steps: &[Step]) -> Vec<Vec<Step>> {
    let mut folding = Folding {
        work,
        placed: Vec::with_capacity(steps.len()),
        vms: Table::like(&work.vms, |_| BTreeMap::new()),
        tiers: Table::like(&work.tiers, |_| Marks::default()),
        ends: Table::like(&work.ops, |_| 0),
    };
    for step in steps {
        folding.put(*step);
    }
    folding.postpone_dips();
    let mut stages: Vec<Vec<Step>> = Vec::new();
    folding.placed.sort_by_key(|(stage, step)| (*stage, step.op));
    let mut last = None;
    for (stage, step) in folding.placed {
        if last == Some(stage)
            && let Some(open) = stages.last_mut()
        {
            open.push(step);
        } else {
            stages.push(vec![step]);
        }
        last = Some(stage);
    }
    stages
}

/// What a stage takes and releases on one VM.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    takes: Size,
    releases: Size,
}

/// The first stage that comes after all steps of a kind of a tier.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    after_ups: usize,
    /// Creates, and updates that get a container going again.
    after_creates: usize,
    after_deletes: usize,
}

struct Folding<'w> {
    work: &'w Work<'w>,
    placed: Vec<(usize, Step)>,
    /// By stage.
    vms: Table<VmNo, BTreeMap<usize, Flow>>,
    tiers: Table<TierNo, Marks>,
    /// The stage after an operation's last step so far.
    ends: Table<OpNo, usize>,
}

impl Folding<'_> {
    fn put(&mut self, step: Step) {
        let op = &self.work.ops[step.op];
        let flow = flow(op, step.part);
        let first = self.earliest(step);
        let stage = self.with_room(op.vm, first, flow);
        let entry = self.vms[op.vm].entry(stage).or_default();
        entry.takes += flow.takes;
        entry.releases += flow.releases;
        self.ends[step.op] = stage + 1;
        let marks = &mut self.tiers[op.tier];
        if step.part != Part::Down && !op.is_down() {
            marks.after_ups = marks.after_ups.max(stage + 1);
        }
        if op.kind == Kind::Create || op.repairs {
            marks.after_creates = marks.after_creates.max(stage + 1);
        }
        if op.kind == Kind::Delete {
            marks.after_deletes = marks.after_deletes.max(stage + 1);
        }
        self.placed.push((stage, step));
    }

    /// The first stage that everything except room allows.
    fn earliest(&self, step: Step) -> usize {
        let op = &self.work.ops[step.op];
        let tier = &self.work.tiers[op.tier];
        let mut first = self.ends[step.op];
        match op.kind {
            Kind::Create => {
                let needs = tier.needs.iter().map(|other| self.tiers[*other].after_creates);
                let ports = op.blockers.iter().map(|other| self.ends[*other]);
                first = needs.chain(ports).fold(first, usize::max);
            }
            Kind::Delete => {
                let gone = tier
                    .leaves_after
                    .iter()
                    .map(|other| self.tiers[*other].after_deletes);
                first = gone.fold(first, usize::max);
                if step.interrupts {
                    // What started while it ran must not start in the moment when it does not.
                    let users = tier
                        .needed_by
                        .iter()
                        .map(|other| self.tiers[*other].after_creates);
                    first = users.fold(first, usize::max);
                }
            }
            Kind::Update => {}
        }
        if op.is_down() || step.part == Part::Down {
            first = first.max(self.tiers[op.tier].after_ups);
        }
        first
    }

    /// The first stage from `first` on in which the VM has room, also for the stages after it.
    fn with_room(&self, vm: VmNo, first: usize, flow: Flow) -> usize {
        if flow.takes == Size::ZERO {
            return first;
        }
        let flows = &self.vms[vm];
        let capacity = self.work.vms[vm].room;
        let mut best = first;
        let mut used = self.work.vms[vm].used;
        for (stage, there) in flows {
            // From `best` up to this stage the new one's share is in use too.
            let over = lack(used + there.takes, flow.takes, capacity);
            if *stage >= best && over != Size::ZERO {
                best = stage + 1;
            }
            used = used + there.takes - there.releases;
        }
        best
    }

    /// Moves what makes a tier smaller for a while to the last stage in which it still serves its
    /// purpose.
    fn postpone_dips(&mut self) {
        for index in (0..self.placed.len()).rev() {
            let Some((stage, step)) = self.placed.get(index).copied() else {
                continue;
            };
            let op = &self.work.ops[step.op];
            let dips =
                op.is_down() && self.tiers[op.tier].after_ups > stage + 1 && !self.work.tiers[op.tier].leaves;
            if !dips {
                continue;
            }
            let later = self.latest(step.op, stage, flow(op, step.part));
            if later > stage {
                let flow = flow(op, step.part);
                if let Some(entry) = self.vms[op.vm].get_mut(&stage) {
                    entry.releases = entry.releases - flow.releases;
                }
                let entry = self.vms[op.vm].entry(later).or_default();
                entry.releases += flow.releases;
                self.ends[step.op] = later + 1;
                if let Some(place) = self.placed.get_mut(index) {
                    place.0 = later;
                }
            }
        }
    }

    /// The last stage to which something released in `stage` can be moved.
    fn latest(&self, number: OpNo, stage: usize, flow: Flow) -> usize {
        let op = &self.work.ops[number];
        // Not later than the stage after the tier's last growth: then the tier is no longer smaller
        // for a while.
        let mut last = self.tiers[op.tier].after_ups;
        for other in &self.work.vms[op.vm].ops {
            if self.work.ops[*other].blockers.contains(&number) {
                last = last.min(self.ends[*other].saturating_sub(2));
            }
        }
        let capacity = self.work.vms[op.vm].room;
        let mut used = self.work.vms[op.vm].used;
        for (at, there) in &self.vms[op.vm] {
            let held = if *at > stage { flow.releases } else { Size::ZERO };
            if *at > stage && lack(used + held, there.takes, capacity) != Size::ZERO {
                last = last.min(at.saturating_sub(1));
                break;
            }
            used = used + there.takes - there.releases;
        }
        last.max(stage)
    }
}

fn flow(op: &Op, part: Part) -> Flow {
    let takes = if part == Part::Down { Size::ZERO } else { op.gain() };
    let releases = if part == Part::Up { Size::ZERO } else { op.give() };
    Flow { takes, releases }
}
