//! The order in which tiers that move make room for each other.
//!
//! A tier moves when it runs before and after, but on no VM both times: its old containers can be
//! removed only when a new one runs. Everything else can be done earlier or later at will, so
//! whether an order without interruption exists depends only on these tiers, and on new tiers that
//! they depend on. This looks for an order in which each of them gets a first new container
//! ([`Move`]), with everything else assumed out of the way. If there is none, or none is found
//! within the limits, the fewest tiers are interrupted.
//!
//! Moves that leave room for every other that may still come to the VM are made at once. The rest
//! is split into groups that share no VM; in each, every order is tried, depth first, until a
//! budget is used up. The budget counts looks at places, not time: the same input gives the same
//! answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Size;

use super::field::{Field, ItemNo, NewNo, OldNo};
use super::table::OpNo;
use super::work::Work;

/// The first new container of a tier.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) create: OpNo,
    /// Deletes on the same VM that it needs, of containers of tiers that have not moved yet. Where
    /// that is the tier's last, the tier is interrupted.
    pub(super) leaving: Vec<OpNo>,
}

/// An order of moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    pub(super) moves: Vec<Move>,
    /// The search ended before every order was tried, so there may be one with fewer interruptions.
    pub(super) truncated: bool,
}

/// How many looks at a place for a container, with certain others gone, the search of one
/// translation may take.
const BUDGET: usize = 600_000;

/// Most containers on one VM of which every combination is tried to make room there.
const COMBINED: usize = 10;

/// Most interruptions that are compared by what can follow them, if not every order is tried.
const PROBED: usize = 24;

/// An order of the moves, with the fewest interruptions.
pub(super) fn route(work: &Work) -> Route {
    let mut search = Search {
        field: Field::of(work),
        budget: BUDGET,
        capped: false,
        seen: BTreeMap::new(),
    };
    let everyone: Vec<ItemNo> = search.field.items.keys().collect();
    search.settle(&everyone);
    let mut truncated = false;
    let groups = search.field.groups();
    let mut left = groups.len();
    for group in groups {
        // A hard group does not use up the budget of an easy one after it.
        let share = search.budget / left.max(1);
        let rest = search.budget - share;
        search.budget = share;
        truncated |= !search.arrange(&group);
        search.budget += rest;
        left -= 1;
    }
    Route {
        moves: search.field.moves(),
        truncated,
    }
}

/// The result of trying the orders from a position on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Found,
    /// There is none.
    Exhausted,
    /// The budget is used up.
    Cut,
}

/// A move that is possible now, and what it costs.
#[derive(Clone, Debug)]
struct Choice {
    interrupts: usize,
    new: NewNo,
    leaving: Vec<OldNo>,
}

struct Search<'w> {
    field: Field<'w>,
    budget: usize,
    /// Not every combination of leaving containers was looked at.
    capped: bool,
    /// Positions that were tried without success, with the interruptions that were allowed then.
    seen: BTreeMap<Vec<usize>, usize>,
}

impl Search<'_> {
    /// Moves every tier of a group. Whether with provably fewest interruptions.
    fn arrange(&mut self, group: &[ItemNo]) -> bool {
        let start = self.field.position();
        let most = self.dive(group);
        if most == 0 {
            return true;
        }
        let fallback = self.field.undo(start);
        self.capped = false;
        // With no free move at all, one tier has to be interrupted.
        self.settle(group);
        let fewest = usize::from(self.choices(group, 0).is_empty());
        self.field.undo(start);
        for allowed in fewest..most {
            if group.len().saturating_mul(group.len()) > self.budget {
                // Not one order could be tried to its end.
                self.capped = true;
                break;
            }
            self.seen.clear();
            match self.descend(group, allowed) {
                Outcome::Found => return !self.capped,
                Outcome::Exhausted => {}
                Outcome::Cut => {
                    self.capped = true;
                    break;
                }
            }
        }
        self.field.redo(fallback);
        !self.capped
    }

    /// Moves that cost nobody anything.
    fn settle(&mut self, group: &[ItemNo]) {
        loop {
            let mut any = false;
            for item in group {
                let harmless = self.field.harmless(*item);
                if let Some(new) = harmless {
                    self.field.advance(new, Vec::new());
                    any = true;
                }
            }
            if !any {
                return;
            }
        }
    }

    /// Goes forward without ever taking a move back for good. Returns the interruptions that it
    /// costs.
    fn dive(&mut self, group: &[ItemNo]) -> usize {
        let mut interrupts = 0;
        self.cascade(group.iter().copied().collect());
        loop {
            // No move is free: of the cheapest, the one that most others can follow.
            let choices = self.choices(group, usize::MAX);
            let price = choices.first().map(|choice| choice.interrupts);
            let mut best: Option<(usize, Choice)> = None;
            for choice in choices.into_iter().take(PROBED) {
                if Some(choice.interrupts) != price {
                    break;
                }
                let here = self.field.position();
                self.take(choice.clone());
                let gain = self.field.undo(here).len();
                if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                    best = Some((gain, choice));
                }
            }
            let Some((_, choice)) = best else {
                return interrupts;
            };
            interrupts += choice.interrupts;
            self.take(choice);
        }
    }

    /// Makes a move, and those that have become free by it.
    fn take(&mut self, choice: Choice) {
        self.field.advance(choice.new, choice.leaving);
        let concerned = self.field.concerned_by_last();
        self.cascade(concerned);
    }

    /// Makes moves that interrupt nobody, harmless ones first, as long as there are any; looks
    /// only at `open` and at those that a move concerns.
    fn cascade(&mut self, mut open: BTreeSet<ItemNo>) {
        while !open.is_empty() {
            let harmless = open.iter().find_map(|item| self.field.harmless(*item));
            let next = harmless.map(|new| (new, Vec::new())).or_else(|| {
                let all: Vec<ItemNo> = open.iter().copied().collect();
                let choices = self.choices(&all, 0);
                // What has no free move now has none before another move concerns it.
                let able: BTreeSet<ItemNo> = choices
                    .iter()
                    .map(|choice| self.field.news[choice.new].item)
                    .collect();
                open.retain(|item| able.contains(item));
                choices
                    .into_iter()
                    .next()
                    .map(|choice| (choice.new, choice.leaving))
            });
            let Some((new, leaving)) = next else { return };
            self.field.advance(new, leaving);
            open.extend(self.field.concerned_by_last());
        }
    }

    /// Tries every order with at most `allowed` interruptions.
    fn descend(&mut self, group: &[ItemNo], allowed: usize) -> Outcome {
        let start = self.field.position();
        self.settle(group);
        self.budget = self.budget.saturating_sub(group.len());
        if group.iter().all(|item| self.field.is_moved(*item)) {
            return Outcome::Found;
        }
        let key = self.field.fingerprint(group);
        let tried = self.seen.get(&key).is_some_and(|before| *before >= allowed);
        let mut outcome = Outcome::Exhausted;
        if !tried {
            self.seen.insert(key, allowed);
            for choice in self.choices(group, allowed) {
                let here = self.field.position();
                let left = allowed - choice.interrupts;
                self.field.advance(choice.new, choice.leaving);
                outcome = self.descend(group, left);
                if outcome == Outcome::Found {
                    return outcome;
                }
                self.field.undo(here);
                if outcome == Outcome::Cut {
                    break;
                }
            }
            if self.budget == 0 {
                outcome = Outcome::Cut;
            }
        }
        self.field.undo(start);
        outcome
    }

    /// All moves possible now, the promising ones first.
    fn choices(&mut self, group: &[ItemNo], allowed: usize) -> Vec<Choice> {
        let mut choices = Vec::new();
        for item in group {
            if self.field.is_moved(*item) || !self.field.may_start(*item) {
                continue;
            }
            for new in self.field.items[*item].news.clone() {
                self.budget = self.budget.saturating_sub(1);
                for leaving in self.ways(new) {
                    let interrupts = leaving.iter().filter(|old| self.field.is_last(**old)).count();
                    if interrupts <= allowed && self.field.keeps_dependencies(*item, &leaving) {
                        choices.push(Choice {
                            interrupts,
                            new,
                            leaving,
                        });
                    }
                }
            }
        }
        choices.sort_by_cached_key(|choice| {
            let item = self.field.news[choice.new].item;
            let helps = self.field.helps(item);
            (choice.interrupts, choice.leaving.len(), !helps, choice.new)
        });
        if self.budget == 0 && allowed != usize::MAX {
            choices.clear();
        }
        choices
    }

    /// Sets of containers, none with one too many, that make room for `new` by leaving.
    fn ways(&mut self, new: NewNo) -> Vec<Vec<OldNo>> {
        let bound = self.field.port_holders(new);
        let lack = self.field.lack(new, &bound);
        if lack == Size::ZERO {
            return vec![bound];
        }
        let vm = self.field.news[new].vm;
        let mut others: Vec<OldNo> = self.field.here[vm].olds.clone();
        others.retain(|old| self.field.is_there(*old) && !bound.contains(old));
        others.retain(|old| self.field.olds[*old].size.min(lack) != Size::ZERO);
        // Those that cost nothing come first, so that the first way found is a cheap one.
        others.sort_by_key(|old| (self.field.is_last(*old), *old));
        let every = others.len() <= COMBINED;
        self.capped |= !every;
        let mut ways = Vec::new();
        let mut chosen = bound;
        self.combine(new, &others, &mut chosen, every, &mut ways);
        ways.retain(|way| self.is_tight(new, way));
        ways
    }

    /// Adds to `ways` each subset of `others` that, with `chosen`, is enough: every one, or only
    /// the first.
    fn combine(
        &mut self,
        new: NewNo,
        others: &[OldNo],
        chosen: &mut Vec<OldNo>,
        every: bool,
        ways: &mut Vec<Vec<OldNo>>,
    ) {
        self.budget = self.budget.saturating_sub(1);
        if self.field.lack(new, chosen) == Size::ZERO {
            ways.push(chosen.clone());
            return;
        }
        let Some((first, rest)) = others.split_first() else {
            return;
        };
        chosen.push(*first);
        self.combine(new, rest, chosen, every, ways);
        chosen.pop();
        if every {
            self.combine(new, rest, chosen, every, ways);
        }
    }

    /// Whether every one of `way` has to leave, for its room or for its port.
    fn is_tight(&self, new: NewNo, way: &[OldNo]) -> bool {
        let bound = self.field.port_holders(new);
        way.iter().all(|old| {
            let fewer: Vec<OldNo> = way.iter().copied().filter(|other| other != old).collect();
            bound.contains(old) || self.field.lack(new, &fewer) != Size::ZERO
        })
    }
}
