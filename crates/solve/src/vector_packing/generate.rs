//! A lower bound by column generation: patterns are added to the linear program for as long as a
//! bin can hold a load that is worth more than one bin at the program's prices.

#![allow(clippy::indexing_slicing)] // items are numbered here

use super::master::{Column, Master};
use super::repack::Load;
use super::table::Table;

/// Prices are multiples of one over this.
const SCALE: f64 = (1u32 << 26) as f64;
/// Most patterns added in one round.
const ADDED: usize = 60;

/// Column generation under way.
pub struct Generator {
    /// The linear program, a row for each item.
    pub master: Master,
    table: Table,
    /// The best bound so far: bins, and the prices that prove it.
    pub bound: usize,
    /// Prices that prove the bound, and the dearest load of one bin.
    pub prices: (Vec<u64>, u64),
    /// Whether the linear program is solved over all patterns there are.
    pub complete: bool,
    /// Columns that it was given.
    given: usize,
}

impl Generator {
    /// Begins with the bins of a packing. `None` if the tables would be too large.
    #[must_use]
    pub fn new(capacity: Load, items: &[Load], packing: &[Vec<usize>]) -> Option<Self> {
        let table = Table::new(capacity, items)?;
        let mut master = Master::new(items.len(), 1.0);
        for bin in packing.iter().filter(|bin| bin.len() > 1) {
            master.add(Column {
                cost: 1.0,
                rows: bin.iter().map(|&i| i as u32).collect(),
            });
        }
        let given = master.columns.len();
        Some(Self {
            master,
            table,
            bound: 0,
            prices: (vec![0; items.len()], 0),
            complete: false,
            given,
        })
    }

    /// Adds a pattern that is already known.
    pub fn add(&mut self, load: Vec<usize>) {
        if load.len() > 1 {
            self.master.add(Column {
                cost: 1.0,
                rows: load.into_iter().map(|i| i as u32).collect(),
            });
        }
        self.given = self.master.columns.len();
    }

    /// Patterns that were found here.
    pub fn fresh(&self) -> impl Iterator<Item = &[u32]> {
        self.master
            .columns
            .iter()
            .skip(self.given)
            .map(|column| column.rows.as_slice())
    }

    /// Patterns that the program takes, and how much of each.
    #[must_use]
    pub fn solution(&self) -> Vec<(Vec<usize>, f64)> {
        let rows = |at: usize| {
            self.master.columns[at]
                .rows
                .iter()
                .map(|&row| row as usize)
                .collect()
        };
        let taken = self
            .master
            .solution()
            .into_iter()
            .filter(|(_, much)| *much > 1e-6);
        taken.map(|(at, much)| (rows(at), much)).collect()
    }

    /// One round. False if there is nothing more to gain.
    pub fn round(&mut self, spend: &dyn Fn(u64) -> bool) -> bool {
        if self.complete || !self.master.solve(spend) || !spend(self.table.work()) {
            return false;
        }
        let prices: Vec<u32> = self
            .master
            .duals
            .iter()
            .map(|dual| (dual.clamp(0.0, 1.0) * SCALE) as u32)
            .collect();
        let worth = self.table.fill(&prices);
        let sum: u64 = prices.iter().map(|&p| u64::from(p)).sum();
        let bins = usize::try_from(sum.div_ceil(u64::from(worth).max(1))).unwrap_or(usize::MAX);
        if bins > self.bound {
            self.bound = bins;
            self.prices = (prices.iter().map(|&p| u64::from(p)).collect(), u64::from(worth));
        }
        let one = SCALE as u32;
        // What rounding leaves is not worth another pattern.
        let margin = prices.len() as u32 + 64;
        let mut good: Vec<(u32, usize)> = self
            .table
            .loads(&prices)
            .filter(|load| load.0 > one + margin)
            .collect();
        if good.is_empty() {
            self.complete = true;
            return false;
        }
        good.sort_unstable_by(|a, b| b.cmp(a));
        for &(_, last) in good.iter().take(ADDED) {
            let rows = self.table.load(last).into_iter().map(|i| i as u32).collect();
            self.master.add(Column { cost: 1.0, rows });
        }
        true
    }
}
