//! Items in groups that have nothing to do with each other, so that each is searched by itself.

use std::collections::BTreeMap;

use super::field::{Field, ItemNo};
use super::table::{Key as _, Table};

impl Field<'_> {
    /// Items that have not moved, in groups that share no VM and do not depend on each other's
    /// first containers.
    pub(super) fn groups(&self) -> Vec<Vec<ItemNo>> {
        let mut parent: Table<ItemNo, usize> = Table::like(&self.items, |_| 0);
        for item in self.items.keys() {
            parent[item] = item.row();
        }
        let unmoved = |item: &ItemNo| !self.is_moved(*item);
        for vm in self.here.keys() {
            let olds = self.here[vm].olds.iter().filter(|old| self.is_there(**old));
            let news = self.here[vm].news.iter();
            let mut all = olds
                .map(|old| self.olds[*old].item)
                .chain(news.map(|new| self.news[*new].item))
                .filter(unmoved);
            if let Some(first) = all.next() {
                all.for_each(|other| join(&mut parent, first, other));
            }
        }
        for item in self.items.keys().filter(unmoved) {
            for other in self.items[item].needs.iter().filter(|other| unmoved(other)) {
                join(&mut parent, item, *other);
            }
        }
        let mut groups: BTreeMap<usize, Vec<ItemNo>> = BTreeMap::new();
        for item in self.items.keys().filter(unmoved) {
            groups.entry(root(&parent, item).row()).or_default().push(item);
        }
        groups.into_values().collect()
    }
}

fn root(parent: &Table<ItemNo, usize>, item: ItemNo) -> ItemNo {
    let mut item = item;
    while parent[item] != item.row() {
        item = ItemNo::of(parent[item]);
    }
    item
}

fn join(parent: &mut Table<ItemNo, usize>, one: ItemNo, other: ItemNo) {
    let (one, other) = (root(parent, one), root(parent, other));
    let (low, high) = (one.min(other), one.max(other));
    parent[high] = low.row();
}
