//! Prices that count actions as well as costs.

use super::Problem;
use crate::instance::MOST_DISLIKED;

/// Sums of prices that count actions stay below this, far from overflow.
const MOST_COUNTED: i64 = i64::MAX / 64;

impl Problem {
    /// The same question at other prices: `scale` times each price, plus one for each action, so
    /// that among placements of equal cost the one with fewer actions is cheaper. `None` if the
    /// price of this many `places` could overflow.
    ///
    /// Like prices, actions are counted relative to deleting every VM and removing every container.
    /// An action counts for more than all dislikes together.
    #[must_use]
    pub fn counting_actions(&self, scale: i64, places: usize) -> Option<Self> {
        let single = [self.create_cost, self.idle.use_cost, self.idle.new_cost];
        let keeps = self.items.iter().map(|it| it.keep_cost);
        let all = single
            .into_iter()
            .chain(keeps)
            .chain(self.kinds.iter().map(|kind| kind.cost))
            .chain(self.use_costs.iter().copied());
        let dearest = all.map(i64::abs).max().unwrap_or(0).saturating_add(1);
        let places = i64::try_from(places).unwrap_or(i64::MAX);
        let fine = i64::from(MOST_DISLIKED).saturating_mul(places).saturating_add(1);
        let fits = |each: i64| {
            let most = scale
                .saturating_mul(each)
                .saturating_mul(dearest)
                .saturating_add(each);
            most.saturating_mul(places) <= MOST_COUNTED
        };
        let dislikes = self.items.iter().any(|it| it.rule.prefers()) && fits(fine);
        let each = if dislikes { fine } else { 1 };
        if !fits(each) {
            return None;
        }
        let scale = scale * each;
        let priced = |price: i64, actions: i64| price * scale + actions * each;
        let mut counting = self.clone();
        for (price, &spare) in counting.use_costs.iter_mut().zip(&self.spare) {
            *price = priced(*price, if spare { 1 } else { -1 });
        }
        counting.use_cost = match counting.use_costs.iter().min() {
            Some(&least) => least,
            None => priced(self.use_cost, -1),
        };
        for kind in &mut counting.kinds {
            kind.cost = priced(kind.cost, 1);
        }
        counting.create_cost = priced(self.create_cost, 1);
        counting.resize_cost = each;
        counting.dislike_cost = i64::from(dislikes);
        for it in &mut counting.items {
            it.keep_cost = priced(it.keep_cost, -1);
        }
        counting.idle.use_cost = priced(self.idle.use_cost, -1);
        counting.idle.new_cost = priced(self.idle.new_cost, 1);
        Some(counting)
    }
}
