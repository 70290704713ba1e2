//! The linear program over patterns: the fewest bins, in fractions, whose patterns contain every
//! item.
//!
//! A revised simplex method with the whole inverse of the basis, for a few hundred rows. Its result
//! is only a suggestion: bounds are proven from its prices in whole numbers, elsewhere.

#![allow(clippy::indexing_slicing)] // rows and columns are numbered here

/// A column: its price, and the rows in which it has ones.
#[derive(Debug, Clone)]
pub struct Column {
    /// What one of it costs.
    pub cost: f64,
    /// Rows, each at most once.
    pub rows: Vec<u32>,
}

/// Reduced prices above this are no improvement.
const NEAR: f64 = 1e-9;
/// Entries of the inverse below this are taken for zero.
const TINY: f64 = 1e-11;
/// Pivots after which the prices are computed again.
const ANEW: usize = 600;

/// The program, with its basis.
#[derive(Debug, Clone)]
pub struct Master {
    rows: usize,
    /// All columns: the first are those of single rows.
    pub columns: Vec<Column>,
    basis: Vec<usize>,
    basic: Vec<bool>,
    inverse: Vec<f64>,
    value: Vec<f64>,
    /// Prices of the rows.
    pub duals: Vec<f64>,
    pivots: usize,
}

impl Master {
    /// A program whose rows are each covered by a column of their own at first, at this cost.
    #[must_use]
    pub fn new(rows: usize, single: f64) -> Self {
        let columns = (0..rows)
            .map(|row| Column {
                cost: single,
                rows: vec![row as u32],
            })
            .collect();
        let mut inverse = vec![0.0; rows * rows];
        for row in 0..rows {
            inverse[row * rows + row] = 1.0;
        }
        // A little more or less of each item, so that no two choices are equally good.
        let value: Vec<f64> = (0..rows)
            .map(|row| 1.0 + 1e-5 * ((row as f64 + 1.0) * 0.618_033_988_75).fract())
            .collect();
        Self {
            rows,
            columns,
            basis: (0..rows).collect(),
            basic: vec![true; rows],
            inverse,
            value,
            duals: vec![single; rows],
            pivots: 0,
        }
    }

    /// Adds a column.
    pub fn add(&mut self, column: Column) {
        self.columns.push(column);
        self.basic.push(false);
    }

    /// Solves over the columns there are, for as long as `spend` allows. False if it does not.
    pub fn solve(&mut self, spend: &dyn Fn(u64) -> bool) -> bool {
        self.price();
        let mut list: Vec<(f64, usize)> = Vec::new();
        loop {
            // The best of a list are taken until none of it is good any more.
            list.clear();
            for (at, column) in self.columns.iter().enumerate() {
                if !self.basic[at] {
                    let reduced = column.cost - self.worth(column);
                    if reduced < -NEAR {
                        list.push((reduced, at));
                    }
                }
            }
            // Surplus columns: a row may have more than is wanted.
            let work = self.columns.len() as u64 * 4;
            if !spend(work) {
                return false;
            }
            list.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            list.truncate(40);
            let surplus = self.duals.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
            if let Some((row, &dual)) = surplus
                && dual < -NEAR
            {
                if !self.enter_surplus(row) || !spend((self.rows * self.rows / 4) as u64) {
                    return false;
                }
                continue;
            }
            if list.is_empty() {
                return true;
            }
            for &(_, at) in &list {
                if self.basic[at] || self.columns[at].cost - self.worth(&self.columns[at]) >= -NEAR {
                    continue;
                }
                if !self.enter(at) || !spend((self.rows * self.rows / 4) as u64) {
                    return false;
                }
            }
        }
    }

    fn cost(&self, at: usize) -> f64 {
        if at == SURPLUS { 0.0 } else { self.columns[at].cost }
    }

    fn worth(&self, column: &Column) -> f64 {
        column.rows.iter().map(|&row| self.duals[row as usize]).sum()
    }

    /// Prices of the rows from the basis.
    fn price(&mut self) {
        let rows = self.rows;
        self.duals.iter_mut().for_each(|dual| *dual = 0.0);
        for (at, line) in self.basis.iter().zip(self.inverse.chunks_exact(rows)) {
            let cost = if *at == SURPLUS {
                0.0
            } else {
                self.columns[*at].cost
            };
            if cost != 0.0 {
                for (dual, entry) in self.duals.iter_mut().zip(line) {
                    *dual += cost * entry;
                }
            }
        }
    }

    fn enter(&mut self, at: usize) -> bool {
        let rows = self.rows;
        let column = &self.columns[at];
        let direction: Vec<f64> = self
            .inverse
            .chunks_exact(rows)
            .map(|line| column.rows.iter().map(|&row| line[row as usize]).sum())
            .collect();
        self.pivot(at, &direction)
    }

    fn enter_surplus(&mut self, row: usize) -> bool {
        let rows = self.rows;
        let direction: Vec<f64> = self.inverse.chunks_exact(rows).map(|line| -line[row]).collect();
        self.pivot(SURPLUS, &direction)
    }

    fn pivot(&mut self, at: usize, direction: &[f64]) -> bool {
        let rows = self.rows;
        let mut leave: Option<(f64, usize)> = None;
        for (row, &d) in direction.iter().enumerate() {
            if d > 1e-9 {
                let ratio = self.value[row].max(0.0) / d;
                let better = leave.is_none_or(|(least, old)| {
                    ratio < least - 1e-12 || (ratio < least + 1e-12 && d > direction[old])
                });
                if better {
                    leave = Some((ratio, row));
                }
            }
        }
        let Some((step, out)) = leave else { return false };
        let by = 1.0 / direction[out];
        let line: Vec<f64> = self.inverse[out * rows..(out + 1) * rows]
            .iter()
            .map(|entry| entry * by)
            .collect();
        for (row, &d) in direction.iter().enumerate() {
            if row != out && d.abs() > TINY {
                for (entry, new) in self.inverse[row * rows..(row + 1) * rows].iter_mut().zip(&line) {
                    *entry -= d * new;
                }
                self.value[row] -= step * d;
            }
        }
        self.inverse[out * rows..(out + 1) * rows].copy_from_slice(&line);
        self.value[out] = step;
        let old = self.basis[out];
        if old != SURPLUS {
            self.basic[old] = false;
        }
        // The change of the prices is the new line times the reduced price of what came in.
        let reduced = if at == SURPLUS { 0.0 } else { self.columns[at].cost }
            - self
                .basis
                .iter()
                .zip(direction)
                .enumerate()
                .map(|(row, (&b, d))| {
                    let cost = if row == out { self.cost(old) } else { self.cost(b) };
                    cost * d
                })
                .sum::<f64>();
        self.basis[out] = at;
        if at != SURPLUS {
            self.basic[at] = true;
        }
        for (dual, new) in self.duals.iter_mut().zip(&line) {
            *dual += reduced * new;
        }
        self.pivots += 1;
        if self.pivots.is_multiple_of(ANEW) {
            self.price();
        }
        true
    }

    /// How much of each basic column there is when exactly what is wanted is taken.
    #[must_use]
    pub fn solution(&self) -> Vec<(usize, f64)> {
        let rows = self.rows;
        let values = self
            .inverse
            .chunks_exact(rows)
            .map(|line| line.iter().sum::<f64>());
        self.basis
            .iter()
            .copied()
            .zip(values)
            .filter(|(at, _)| *at != SURPLUS)
            .collect()
    }
}

/// The column of a surplus, which costs nothing.
const SURPLUS: usize = usize::MAX;
