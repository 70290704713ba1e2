//! The most valuable load of one bin: a table over all amounts of both resources, in whole numbers.

#![allow(clippy::indexing_slicing)] // rows and columns are those of the table made here

use super::repack::Load;

/// Most entries of all tables: 64 MiB.
const ENTRIES: usize = 1 << 24;

/// Tables of one bin's loads, filled again for each set of prices.
#[derive(Debug)]
pub struct Table {
    /// Rows and columns, less one.
    size: [usize; 2],
    items: Vec<[usize; 2]>,
    /// Item by item: the most that the first items are worth in this much room.
    entries: Vec<u32>,
}

impl Table {
    /// A table for these items. `None` if it would be too large.
    #[must_use]
    pub fn new(capacity: Load, items: &[Load]) -> Option<Self> {
        let narrow = |load: Load| Some([usize::try_from(load[0]).ok()?, usize::try_from(load[1]).ok()?]);
        let size = narrow(capacity)?;
        let states = size[0].checked_add(1)?.checked_mul(size[1].checked_add(1)?)?;
        let all = states.checked_mul(items.len() + 1)?;
        if all > ENTRIES {
            return None;
        }
        let items = items
            .iter()
            .map(|&load| narrow(load))
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            size,
            items,
            entries: vec![0; all],
        })
    }

    /// Entries worked out by one [`Table::fill`].
    #[must_use]
    pub fn work(&self) -> u64 {
        self.entries.len() as u64 / 8
    }

    fn states(&self) -> usize {
        (self.size[0] + 1) * (self.size[1] + 1)
    }

    fn at(&self, items: usize, room: [usize; 2]) -> u32 {
        self.entries[items * self.states() + room[0] * (self.size[1] + 1) + room[1]]
    }

    /// Computes the tables for these prices, whose sum over any load must be below 2³², and returns
    /// what the best load is worth.
    pub fn fill(&mut self, prices: &[u32]) -> u32 {
        let states = self.states();
        let columns = self.size[1] + 1;
        for (item, (&[rows, shift], &price)) in self.items.iter().zip(prices).enumerate() {
            let (done, open) = self.entries.split_at_mut((item + 1) * states);
            let (from, to) = (&done[item * states..], &mut open[..states]);
            to.copy_from_slice(from);
            if price == 0 || rows > self.size[0] || shift >= columns {
                continue;
            }
            let pairs = to
                .chunks_exact_mut(columns)
                .skip(rows)
                .zip(from.chunks_exact(columns));
            for (to, from) in pairs {
                for (to, &from) in to[shift..].iter_mut().zip(from) {
                    *to = (*to).max(from + price);
                }
            }
        }
        self.at(self.items.len(), self.size)
    }

    /// For each item the best load that has it and items before it: what it is worth, and the items.
    pub fn loads<'t>(&'t self, prices: &'t [u32]) -> impl Iterator<Item = (u32, usize)> + 't {
        self.items
            .iter()
            .enumerate()
            .filter_map(move |(item, &[rows, shift])| {
                let room = [self.size[0].checked_sub(rows)?, self.size[1].checked_sub(shift)?];
                Some((self.at(item, room) + prices[item], item))
            })
    }

    /// The items of the best load that has `last` and items before it.
    #[must_use]
    pub fn load(&self, last: usize) -> Vec<usize> {
        let mut items = vec![last];
        let take =
            |room: [usize; 2], item: usize| [room[0] - self.items[item][0], room[1] - self.items[item][1]];
        let mut room = take(self.size, last);
        for item in (0..last).rev() {
            if self.at(item + 1, room) > self.at(item, room) {
                items.push(item);
                room = take(room, item);
            }
        }
        items
    }
}
