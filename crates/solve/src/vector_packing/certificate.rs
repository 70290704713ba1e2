//! What proves a number of bins, and the check of it, which shares no code with the search.

/// Prices that prove a lower bound: the items of any one bin cost at most `bin`, and all together
/// cost more than one bin fewer could hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// A price for each item, in the order of the question.
    pub prices: Vec<u64>,
    /// The price of the most expensive load of one bin.
    pub bin: u64,
    /// Bins that are needed at least.
    pub bins: usize,
}

/// Most entries of the table of the check.
const ENTRIES: usize = 1 << 26;

impl Certificate {
    /// Whether it proves its bound for these items and bins: computes the most expensive load of
    /// one bin, with a table over all amounts of both resources. Also false if that table would be
    /// too large.
    #[must_use]
    pub fn holds(&self, capacity: [u64; 2], items: &[[u64; 2]]) -> bool {
        let Some(dearest) = self.dearest(capacity, items) else {
            return false;
        };
        let sum: u128 = self.prices.iter().map(|&price| u128::from(price)).sum();
        let fewer = u128::try_from(self.bins.saturating_sub(1)).unwrap_or(u128::MAX);
        let enough = u128::from(self.bin).saturating_mul(fewer);
        dearest <= self.bin && (self.bins == 0 || sum > enough)
    }

    fn dearest(&self, capacity: [u64; 2], items: &[[u64; 2]]) -> Option<u64> {
        if self.prices.len() != items.len() {
            return None;
        }
        let narrow = |[a, b]: [u64; 2]| Some((usize::try_from(a).ok()?, usize::try_from(b).ok()?));
        let (rows, columns) = narrow(capacity)?;
        let width = columns.checked_add(1)?;
        let entries = rows.checked_add(1)?.checked_mul(width)?;
        if entries > ENTRIES {
            return None;
        }
        let mut table = vec![0u64; entries];
        for (&item, &price) in items.iter().zip(&self.prices) {
            let (down, right) = narrow(item)?;
            if down > rows || right > columns {
                continue;
            }
            // From the end, so that no item is counted twice.
            for row in (down..=rows).rev() {
                for column in (right..=columns).rev() {
                    let without = table.get((row - down) * width + column - right)?;
                    let with = without.checked_add(price)?;
                    let entry = table.get_mut(row * width + column)?;
                    *entry = (*entry).max(with);
                }
            }
        }
        table.last().copied()
    }
}
