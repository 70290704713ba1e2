//! One safe sequence of all operations.
//!
//! Greedy: at first only what costs nobody anything; then, only as far as it unblocks something,
//! what costs more and more ([`Effort`]). Greed can get stuck, when every VM that could take the
//! next container waits for another to leave. Then the ordering starts again along a [`Route`] that
//! [`super::search`] found, in whose order the moves that compete for room are made.

use std::collections::BTreeSet;

use crate::model::Size;

use super::progress::{Progress, Step};
use super::search::{Move, Route};
use super::table::{OpNo, Table, TierNo};
use super::work::{Kind, Work};

/// What is accepted to get an operation done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effort {
    /// It may take room that others want too.
    Contested,
    /// Others on its VM shrink or are removed although their tiers' new containers do not run yet.
    Dips,
    /// And updates there are split: what they free comes first, what they take later.
    Splits,
    /// And it starts although only some containers of its dependencies run.
    Hasty,
    /// And it may take room that moving tiers want.
    Greedy,
}

const EFFORTS: [Effort; 5] = [
    Effort::Contested,
    Effort::Dips,
    Effort::Splits,
    Effort::Hasty,
    Effort::Greedy,
];

/// A sequence in which no tier is interrupted, unless greed gets stuck.
pub(super) fn freely(work: &Work) -> Option<Vec<Step>> {
    let mut order = Order::start(work, false);
    order.complete().then_some(order.progress.steps)
}

/// The sequence along `route`. Always ends.
pub(super) fn along(work: &Work, route: &Route) -> Vec<Step> {
    let mut order = Order::start(work, true);
    for next in &route.moves {
        order.follow(next);
    }
    order.led = false;
    while !order.complete() {
        // Only a target that does not fit its VMs, which no solver returns, gets here. Then only
        // the end result counts.
        order.force_one();
    }
    order.progress.steps
}

/// An operation's place in the line: moving tiers first, then dependencies first.
type Place = (bool, usize, OpNo);

struct Order<'w> {
    progress: Progress<'w>,
    work: &'w Work<'w>,
    /// Operations that may have become possible since they were last looked at.
    queue: BTreeSet<Place>,
    /// Creates and growing updates that are still to be done.
    ups: BTreeSet<Place>,
    /// Whether a route is being followed: then moving tiers leave only when it says so.
    led: bool,
    /// Deletes that the route has allowed.
    licensed: Table<OpNo, bool>,
}

impl<'w> Order<'w> {
    fn start(work: &'w Work<'w>, led: bool) -> Self {
        let mut order = Self {
            progress: Progress::start(work),
            work,
            queue: BTreeSet::new(),
            ups: BTreeSet::new(),
            led,
            licensed: Table::like(&work.ops, |_| false),
        };
        for op in work.ops.keys() {
            order.queue.insert(order.place(op));
            if !work.ops[op].is_down() {
                order.ups.insert(order.place(op));
            }
        }
        order
    }

    fn place(&self, op: OpNo) -> Place {
        let tier = &self.work.tiers[self.work.ops[op].tier];
        (!tier.moves, tier.rank, op)
    }

    /// Does everything that is left, with as little effort as possible. Returns whether that was
    /// enough.
    fn complete(&mut self) -> bool {
        self.drain();
        while !self.is_complete() {
            if !EFFORTS.iter().any(|effort| self.pass(*effort)) {
                return false;
            }
        }
        true
    }

    fn is_complete(&self) -> bool {
        self.work.ops.keys().all(|op| self.progress.is_done(op))
    }

    /// Tries everything that is left with this effort. Returns whether anything was done.
    fn pass(&mut self, effort: Effort) -> bool {
        let mut any = false;
        let left: Vec<Place> = self.ups.iter().copied().collect();
        for (_, _, op) in left {
            let waits = effort < Effort::Greedy && !self.is_move(op) && self.is_wanted_by_moves(op);
            if !waits && !self.progress.is_done(op) && self.attempt(op, effort) {
                any = true;
                self.drain();
            }
        }
        any
    }

    /// Gets the next tier of a route moved.
    fn follow(&mut self, next: &Move) {
        self.drain();
        for old in &next.leaving {
            self.licensed[*old] = true;
        }
        let tier = self.work.ops[next.create].tier;
        if self.progress.pending(tier).created > 0 {
            return;
        }
        EFFORTS.iter().any(|effort| self.attempt(next.create, *effort));
    }

    /// Does something against the rules: a delete, if there is one.
    fn force_one(&mut self) {
        let left = self.work.ops.keys().filter(|op| !self.progress.is_done(*op));
        if let Some(op) = left.min_by_key(|op| !self.work.ops[*op].is_down()) {
            self.finish(op);
        }
    }

    /// Does everything that costs nobody anything.
    fn drain(&mut self) {
        while let Some((_, _, op)) = self.queue.pop_first() {
            if self.progress.is_done(op) {
                continue;
            }
            let free = if self.work.ops[op].is_down() {
                // The new one runs before the old one is removed.
                let tier = self.work.ops[op].tier;
                self.progress.pending(tier).ups == 0 && self.may_go(op)
            } else {
                self.is_ready(op) && self.has_room(op) && self.progress.is_harmless(op)
            };
            if free {
                self.finish(op);
            }
        }
    }

    fn attempt(&mut self, op: OpNo, effort: Effort) -> bool {
        let possible = match effort {
            Effort::Contested => self.is_ready(op) && self.has_room(op),
            Effort::Dips => self.make_room(op, false, true),
            Effort::Splits => self.make_room(op, true, true),
            Effort::Hasty | Effort::Greedy => self.make_room(op, true, false),
        };
        if possible {
            self.finish(op);
        }
        possible
    }

    /// Whether everything but room is there for a create or a growing update.
    fn is_ready(&self, op: OpNo) -> bool {
        self.progress.has_ports(op) && self.may_start(op, true)
    }

    fn has_room(&self, op: OpNo) -> bool {
        self.progress.lack(op, Size::ZERO) == Size::ZERO
    }

    fn may_start(&self, op: OpNo, patient: bool) -> bool {
        self.work.ops[op].kind != Kind::Create
            || (self.progress.dependencies_run(op) && (!patient || self.progress.dependencies_complete(op)))
    }

    /// Whether it is a create that lets the old containers of its tier go.
    fn is_move(&self, op: OpNo) -> bool {
        let tier = self.work.ops[op].tier;
        self.work.tiers[tier].moves && self.progress.pending(tier).created == 0
    }

    /// Whether a moving tier could go to the VM of `op`.
    fn is_wanted_by_moves(&self, op: OpNo) -> bool {
        let others = &self.work.vms[self.work.ops[op].vm].ops;
        others.iter().any(|other| {
            self.work.ops[*other].kind == Kind::Create
                && !self.progress.is_done(*other)
                && self.is_move(*other)
        })
    }

    /// Whether a container may go or shrink now.
    fn may_go(&self, op: OpNo) -> bool {
        let row = &self.work.ops[op];
        if row.kind != Kind::Delete {
            return true;
        }
        if self.led && self.work.tiers[row.tier].moves && self.progress.pending(row.tier).created == 0 {
            return self.licensed[op];
        }
        self.progress.may_delete(op) || self.licensed[op]
    }

    /// Gets room and ports for `op` by doing what frees some on its VM, as little as possible. Does
    /// nothing if that is not enough.
    fn make_room(&mut self, op: OpNo, split: bool, patient: bool) -> bool {
        if !self.may_start(op, patient) {
            return false;
        }
        let held = self.work.ops[op].blockers.iter().copied();
        let mut chosen: Vec<OpNo> = held.filter(|other| !self.progress.is_done(*other)).collect();
        if !chosen
            .iter()
            .all(|other| self.may_go(*other) && !self.stops_need(op, *other))
        {
            return false;
        }
        let bound = chosen.len();
        for other in self.sources(op, split) {
            let lack = self.lack_after(op, &chosen);
            if lack == Size::ZERO {
                break;
            }
            if !chosen.contains(&other) && self.work.ops[other].give().min(lack) != Size::ZERO {
                chosen.push(other);
            }
        }
        if self.lack_after(op, &chosen) != Size::ZERO {
            return false;
        }
        // A later one may have made an earlier one unnecessary.
        for index in (bound..chosen.len()).rev() {
            let mut fewer = chosen.clone();
            fewer.remove(index);
            if self.lack_after(op, &fewer) == Size::ZERO {
                chosen = fewer;
            }
        }
        for other in chosen {
            if self.work.ops[other].is_mixed() {
                self.progress.halve(other);
                self.announce_room(other);
            } else {
                self.finish(other);
            }
        }
        true
    }

    /// Whether `other` would stop the last container of what the tier of `op` depends on.
    fn stops_need(&self, op: OpNo, other: OpNo) -> bool {
        let other = &self.work.ops[other];
        let needs = &self.work.tiers[self.work.ops[op].tier].needs;
        other.kind == Kind::Delete && self.progress.running(other.tier) < 2 && needs.contains(&other.tier)
    }

    fn lack_after(&self, op: OpNo, chosen: &[OpNo]) -> Size {
        let freed = chosen.iter().map(|other| self.work.ops[*other].give()).sum();
        self.progress.lack(op, freed)
    }

    /// What could free something on the VM of `op`: what hurts least comes first.
    fn sources(&self, op: OpNo, split: bool) -> Vec<OpNo> {
        let others = self.work.vms[self.work.ops[op].vm].ops.iter().copied();
        let mut sources: Vec<(u8, OpNo)> = others
            .filter(|other| *other != op && self.progress.is_untouched(*other))
            .filter(|other| !self.stops_need(op, *other))
            .filter_map(|other| {
                let row = &self.work.ops[other];
                let stops = row.kind == Kind::Delete && self.progress.running(row.tier) < 2;
                let cost = match row.kind {
                    Kind::Delete if stops && self.work.tiers[row.tier].stays => 3,
                    Kind::Update if row.is_mixed() => 2,
                    Kind::Delete => 1,
                    Kind::Create | Kind::Update => 0,
                };
                let possible = if row.is_mixed() {
                    split
                } else {
                    row.is_down() && self.may_go(other)
                };
                possible.then_some((cost, other))
            })
            .collect();
        sources.sort_unstable();
        sources.into_iter().map(|(_, other)| other).collect()
    }

    /// Does the rest of `op`, and looks again at what that may have made possible.
    fn finish(&mut self, op: OpNo) {
        let row = &self.work.ops[op];
        let tier = row.tier;
        let was_running = self.progress.running(tier);
        self.progress.finish(op);
        self.ups.remove(&self.place(op));
        let pending = self.progress.pending(tier);
        if row.kind == Kind::Delete || row.give() != Size::ZERO {
            self.announce_room(op);
        }
        if pending.ups == 0 || (row.kind == Kind::Create && pending.created == 1) {
            self.announce(tier);
        }
        let starts = row.kind == Kind::Create || row.repairs;
        if starts && (pending.creates == 0 || was_running == 0) {
            for other in &self.work.tiers[tier].needed_by {
                self.announce(*other);
            }
        }
        if row.kind == Kind::Delete && pending.deletes == 0 {
            for other in &self.work.tiers[tier].leaves_before {
                self.announce(*other);
            }
        }
    }

    fn announce(&mut self, tier: TierNo) {
        for op in &self.work.tiers[tier].ops {
            self.queue.insert(self.place(*op));
        }
    }

    fn announce_room(&mut self, op: OpNo) {
        for other in &self.work.vms[self.work.ops[op].vm].ops {
            self.queue.insert(self.place(*other));
        }
    }
}
