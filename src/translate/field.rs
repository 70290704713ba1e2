//! The position of the search in [`super::search`]: which tiers have moved, and what room that
//! leaves.
//!
//! Everything that need not wait for a move counts as done if it frees room, and as not done if it
//! takes some.

use std::collections::BTreeSet;

use crate::model::Size;

use super::progress;
use super::search::Move;
use super::table::{Key as _, OpNo, Table, TierNo, VmNo, key};
use super::work::{Kind, Work};

key! {
    /// A tier that moves, or a new one that such a tier depends on.
    ItemNo
    /// An old container of a moving tier.
    OldNo
    /// A place where an item gets a container.
    NewNo
}

/// A tier that moves, or a new one that such a tier depends on.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) olds: Vec<OldNo>,
    pub(super) news: Vec<NewNo>,
    /// Other items that have to run before it starts anywhere.
    pub(super) needs: Vec<ItemNo>,
    /// Items that need this one.
    needed_by: Vec<ItemNo>,
}

/// An old container of a moving tier.
#[derive(Clone, Debug, Default)]
pub(super) struct Old {
    pub(super) item: ItemNo,
    pub(super) vm: VmNo,
    pub(super) size: Size,
    op: OpNo,
}

/// A place where an item gets a container.
#[derive(Clone, Debug, Default)]
pub(super) struct New {
    pub(super) item: ItemNo,
    pub(super) vm: VmNo,
    size: Size,
    op: OpNo,
    /// Old containers there that hold a port it needs.
    holders: Vec<OldNo>,
}

/// Old and new containers of one VM.
#[derive(Clone, Debug, Default)]
pub(super) struct Here {
    pub(super) olds: Vec<OldNo>,
    pub(super) news: Vec<NewNo>,
}

/// A move that was made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    new: NewNo,
    /// Old containers of other items that were removed for it.
    leaving: Vec<OldNo>,
    /// Old containers of its own item that were there until then.
    freed: Vec<OldNo>,
}

/// Which items have moved, and what room that leaves.
pub(super) struct Field<'w> {
    work: &'w Work<'w>,
    pub(super) items: Table<ItemNo, Item>,
    pub(super) olds: Table<OldNo, Old>,
    pub(super) news: Table<NewNo, New>,
    pub(super) here: Table<VmNo, Here>,
    there: Table<OldNo, bool>,
    /// Old containers of an item that are there.
    left: Table<ItemNo, usize>,
    at: Table<ItemNo, Option<NewNo>>,
    used: Table<VmNo, Size>,
    /// What all items together that may still come to a VM would take there.
    wanted: Table<VmNo, Size>,
    made: Vec<Made>,
}

impl<'w> Field<'w> {
    pub(super) fn of(work: &'w Work<'w>) -> Self {
        let mut field = Self {
            work,
            items: Table::new(),
            olds: Table::new(),
            news: Table::new(),
            here: Table::like(&work.vms, |_| Here::default()),
            there: Table::new(),
            left: Table::new(),
            at: Table::new(),
            used: Table::like(&work.vms, |vm| vm.used),
            wanted: Table::like(&work.vms, |_| Size::ZERO),
            made: Vec::new(),
        };
        let numbers = field.number_items();
        let mut olds: Table<OpNo, Option<OldNo>> = Table::like(&work.ops, |_| None);
        for (number, op) in work.ops.iter() {
            match numbers[op.tier] {
                Some(item) if op.kind == Kind::Delete => {
                    olds[number] = Some(field.add_old(item, number));
                }
                Some(item) if op.kind == Kind::Create => field.add_new(item, number),
                _ => field.used[op.vm] = field.used[op.vm] - op.give(),
            }
        }
        for new in field.news.keys() {
            let blockers = &work.ops[field.news[new].op].blockers;
            field.news[new].holders = blockers.iter().filter_map(|op| olds[*op]).collect();
        }
        field
    }

    /// Moving tiers, and the new ones that they depend on, directly or not.
    fn number_items(&mut self) -> Table<TierNo, Option<ItemNo>> {
        let work = self.work;
        let mut numbers: Table<TierNo, Option<ItemNo>> = Table::like(&work.tiers, |_| None);
        let mut tiers: Vec<TierNo> = Vec::new();
        let mut open: Vec<TierNo> = work
            .tiers
            .iter()
            .filter_map(|(tier, row)| row.moves.then_some(tier))
            .collect();
        open.reverse();
        while let Some(tier) = open.pop() {
            if numbers[tier].is_some() {
                continue;
            }
            numbers[tier] = Some(self.items.push(Item::default()));
            self.left.push(0);
            self.at.push(None);
            tiers.push(tier);
            let needs = work.tiers[tier].needs.iter();
            open.extend(needs.filter(|other| work.tiers[**other].running == 0));
        }
        for tier in tiers {
            if let Some(item) = numbers[tier] {
                let needs = work.tiers[tier].needs.iter();
                let needs: Vec<ItemNo> = needs.filter_map(|other| numbers[*other]).collect();
                for other in &needs {
                    self.items[*other].needed_by.push(item);
                }
                self.items[item].needs = needs;
            }
        }
        numbers
    }

    fn add_old(&mut self, item: ItemNo, number: OpNo) -> OldNo {
        let op = &self.work.ops[number];
        let old = self.olds.push(Old {
            item,
            vm: op.vm,
            size: op.before,
            op: number,
        });
        self.there.push(true);
        self.left[item] += 1;
        self.items[item].olds.push(old);
        self.here[op.vm].olds.push(old);
        old
    }

    fn add_new(&mut self, item: ItemNo, number: OpNo) {
        let op = &self.work.ops[number];
        let new = self.news.push(New {
            item,
            vm: op.vm,
            size: op.after,
            op: number,
            holders: Vec::new(),
        });
        self.items[item].news.push(new);
        self.here[op.vm].news.push(new);
        self.wanted[op.vm] += op.after;
    }

    pub(super) fn is_moved(&self, item: ItemNo) -> bool {
        self.at[item].is_some()
    }

    pub(super) fn is_there(&self, old: OldNo) -> bool {
        self.there[old]
    }

    /// Whether nothing of its tier runs once `old` is removed.
    pub(super) fn is_last(&self, old: OldNo) -> bool {
        let item = self.olds[old].item;
        self.there[old] && self.left[item] == 1 && !self.is_moved(item)
    }

    /// Whether what the item depends on runs.
    pub(super) fn may_start(&self, item: ItemNo) -> bool {
        let mut needs = self.items[item].needs.iter();
        needs.all(|other| self.is_moved(*other) || self.left[*other] > 0)
    }

    /// Whether what the item depends on still runs once `leaving` are removed.
    pub(super) fn keeps_dependencies(&self, item: ItemNo, leaving: &[OldNo]) -> bool {
        let needs = &self.items[item].needs;
        leaving
            .iter()
            .all(|old| !self.is_last(*old) || !needs.contains(&self.olds[*old].item))
    }

    /// Old containers that hold a port which `new` needs.
    pub(super) fn port_holders(&self, new: NewNo) -> Vec<OldNo> {
        let holders = self.news[new].holders.iter().copied();
        holders.filter(|old| self.there[*old]).collect()
    }

    /// What its VM lacks for `new` once `leaving` are removed.
    pub(super) fn lack(&self, new: NewNo, leaving: &[OldNo]) -> Size {
        let new = &self.news[new];
        let freed: Size = leaving.iter().map(|old| self.olds[*old].size).sum();
        let capacity = self.work.vms[new.vm].room;
        progress::lack(self.used[new.vm] - freed, new.size, capacity)
    }

    /// A place that `item` can take without taking it from anyone.
    pub(super) fn harmless(&self, item: ItemNo) -> Option<NewNo> {
        if self.is_moved(item) || !self.may_start(item) {
            return None;
        }
        let mut news = self.items[item].news.iter().copied();
        news.find(|new| {
            let vm = self.news[*new].vm;
            let all = self.used[vm] + self.wanted[vm];
            all.fits(self.work.vms[vm].room) && self.port_holders(*new).is_empty()
        })
    }

    /// Whether the item leaves a VM on which another waits for room.
    pub(super) fn helps(&self, item: ItemNo) -> bool {
        let olds = self.items[item].olds.iter().filter(|old| self.there[**old]);
        let mut vms = olds.map(|old| self.olds[*old].vm);
        vms.any(|vm| {
            let mut news = self.here[vm].news.iter();
            news.any(|new| !self.is_moved(self.news[*new].item) && self.lack(*new, &[]) != Size::ZERO)
        })
    }

    /// Which items of a group have moved where, and which of their old containers are there.
    pub(super) fn fingerprint(&self, group: &[ItemNo]) -> Vec<usize> {
        let of_item = |item: &ItemNo| {
            let olds = self.items[*item].olds.iter();
            let there: Vec<usize> = olds
                .filter(|old| self.there[**old])
                .map(|old| old.row() + 2)
                .collect();
            let place = self.at[*item].map_or(0, |new| new.row() + 2);
            there.into_iter().chain([1, place])
        };
        group.iter().flat_map(of_item).collect()
    }

    /// How many moves have been made.
    pub(super) fn position(&self) -> usize {
        self.made.len()
    }

    /// Makes a move: `leaving` are removed, `new` starts, and its item's old containers are
    /// removed.
    pub(super) fn advance(&mut self, new: NewNo, leaving: Vec<OldNo>) {
        for old in &leaving {
            self.remove(*old);
        }
        let item = self.news[new].item;
        self.used[self.news[new].vm] += self.news[new].size;
        self.at[item] = Some(new);
        for other in &self.items[item].news {
            let other = &self.news[*other];
            self.wanted[other.vm] = self.wanted[other.vm] - other.size;
        }
        let mut freed = self.items[item].olds.clone();
        freed.retain(|old| self.there[*old]);
        for old in &freed {
            self.remove(*old);
        }
        self.made.push(Made { new, leaving, freed });
    }

    /// Takes back all moves after `position`, and returns them in the order in which they were
    /// made.
    pub(super) fn undo(&mut self, position: usize) -> Vec<Made> {
        let undone = self.made.split_off(position.min(self.made.len()));
        for made in undone.iter().rev() {
            let item = self.news[made.new].item;
            for old in made.freed.iter().chain(&made.leaving) {
                self.restore(*old);
            }
            for other in &self.items[item].news {
                let other = &self.news[*other];
                self.wanted[other.vm] += other.size;
            }
            self.at[item] = None;
            let vm = self.news[made.new].vm;
            self.used[vm] = self.used[vm] - self.news[made.new].size;
        }
        undone
    }

    /// Makes moves again that were taken back.
    pub(super) fn redo(&mut self, undone: Vec<Made>) {
        for made in undone {
            self.advance(made.new, made.leaving);
        }
    }

    /// Items that the last move may have made a place for, or that may start because of it.
    pub(super) fn concerned_by_last(&self) -> BTreeSet<ItemNo> {
        let Some(made) = self.made.last() else {
            return BTreeSet::new();
        };
        let item = self.news[made.new].item;
        let left = made
            .leaving
            .iter()
            .chain(&made.freed)
            .map(|old| self.olds[*old].vm);
        let passed_over = self.items[item].news.iter().map(|new| self.news[*new].vm);
        let news = left.chain(passed_over).flat_map(|vm| &self.here[vm].news);
        let others = news.map(|new| self.news[*new].item);
        others
            .chain(self.items[item].needed_by.iter().copied())
            .filter(|other| !self.is_moved(*other))
            .collect()
    }

    fn remove(&mut self, old: OldNo) {
        let row = &self.olds[old];
        self.there[old] = false;
        self.left[row.item] -= 1;
        self.used[row.vm] = self.used[row.vm] - row.size;
    }

    fn restore(&mut self, old: OldNo) {
        let row = &self.olds[old];
        self.there[old] = true;
        self.left[row.item] += 1;
        self.used[row.vm] += row.size;
    }

    /// All moves that were made, as operations.
    pub(super) fn moves(&self) -> Vec<Move> {
        self.made
            .iter()
            .map(|made| Move {
                create: self.news[made.new].op,
                leaving: made.leaving.iter().map(|old| self.olds[*old].op).collect(),
            })
            .collect()
    }
}
