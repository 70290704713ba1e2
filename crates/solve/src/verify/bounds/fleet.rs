//! The least that VMs cost which have room for everything.

use super::mixture;
use super::question::{Question, RESOURCES, part};
use crate::instance::{Amount, Resource};

/// Counting more than this is left out: it would take longer than some tenths of a second.
const MOST_STEPS: u64 = 2_000_000;

impl Question<'_> {
    /// The least price of a placement with `from` new VMs or more, by what must be and what there is
    /// room for. `None` if there is none, or if counting takes too long.
    pub(super) fn least(&self, from: u64) -> Option<i64> {
        let w = self.weights;
        let containers = self.all_containers();
        let new = match self.shapes.as_slice() {
            [] => None,
            [shape] => Some(*shape),
            // Which of them are made is not said: with all of them, it costs no less.
            _ => return mixture::least(self, None).map(|vms| vms + containers),
        };
        let capacity = new.map_or(Amount::default(), |shape| shape.capacity);
        let one_more = self
            .tiers
            .iter()
            .filter(|t| t.2 > 0)
            .map(|(_, t, _)| i64::from(w.container_set) - self.removal(t));
        let one_more = one_more.fold(i64::from(w.container_create), i64::min).max(0);
        let demand = self.demand();
        let wastes = Resource::ALL.map(|r| self.wastes(r));
        let left = wastes.each_ref().map(|wastes| {
            let mut left = vec![wastes.iter().sum::<u64>()];
            for waste in wastes {
                left.push(left.last().copied().unwrap_or(0) - waste);
            }
            left
        });
        let most_vms = self.instance.max_vms.map_or(u64::MAX, u64::from);
        let cheapest = self.use_prices().min().unwrap_or(0);
        let mut best: Option<i64> = None;
        let mut steps = 0u64;
        for used in 0..=self.vms().min(most_vms) {
            let most = if from == 0 { self.news } else { self.most_news() };
            let most = most.min(most_vms - used);
            let mut news = from;
            while news <= most {
                steps += 1;
                if steps > MOST_STEPS {
                    return None;
                }
                let vms = self.vm_price(used, news, cheapest);
                let spread = Resource::ALL.map(|r| {
                    let sums = self.sums.get(r as usize)?;
                    let has = sums.get(usize::try_from(used).ok()?)? + part(capacity, r).saturating_mul(news);
                    let room = has.checked_sub(*demand.get(r as usize)?)?;
                    left.get(r as usize)
                        .map(|left| left.partition_point(|&waste| waste > room))
                });
                let spread: Option<Vec<usize>> = spread.into_iter().collect();
                let Some(spread) = spread.and_then(|spread| spread.into_iter().max()) else {
                    // Not enough room yet: at least as many more as the demand needs.
                    news += self.missing(used, news, demand, capacity).max(1);
                    continue;
                };
                let price = vms + spread as i64 * one_more;
                best = Some(best.map_or(price, |best| best.min(price)));
                let idle = u64::from(self.instance.min_vms) > used + news;
                if spread == 0 && !idle || self.make_price() > 0 && !idle && Some(vms) >= best {
                    break;
                }
                news += 1;
            }
        }
        best.map(|vms| vms + containers)
    }

    /// How many new VMs more the demand needs.
    pub(super) fn missing(&self, used: u64, news: u64, demand: [u64; RESOURCES], new: Amount) -> u64 {
        Resource::ALL
            .into_iter()
            .zip(demand)
            .map(|(r, demand)| {
                let new = part(new, r);
                let used = usize::try_from(used).unwrap_or(usize::MAX);
                let has = self
                    .sums
                    .get(r as usize)
                    .and_then(|s| s.get(used))
                    .copied()
                    .unwrap_or(0);
                let lacks = demand.saturating_sub(has.saturating_add(new.saturating_mul(news)));
                match (lacks, new) {
                    (0, _) => 0,
                    (_, 0) => self.news,
                    _ => lacks.div_ceil(new),
                }
            })
            .max()
            .unwrap_or(0)
    }

    /// The least that so many VMs cost, those left alone and idle ones kept included. `cheapest` is the
    /// least price of using an existing one.
    pub(super) fn vm_price(&self, used: u64, news: u64, cheapest: i64) -> i64 {
        let w = self.weights;
        let spares = self.instance.vms.iter().filter(|vm| vm.spare).count() as u64;
        let standing = self.vms() - spares;
        let make = self.make_price();
        let usual = make == i64::from(w.vm_create);
        // Where VMs are made at another price, spares are not kept for nothing.
        let spares = if usual { spares } else { 0 };
        let most = self.instance.max_vms.map_or(u64::MAX, u64::from);
        let missing = u64::from(self.instance.min_vms)
            .min(most)
            .saturating_sub(used + news);
        let keep = i64::from(w.vm_use) - i64::from(w.vm_delete);
        // Of those used, some are spares: few or many of them, as leaves the cheaper kind for the idle.
        let idle = |used_spares: u64| {
            let old = standing.saturating_sub(used - used_spares);
            let fresh = (spares + self.news).saturating_sub(news + used_spares);
            let (kept, made) = if keep <= make {
                (missing.min(old), missing.saturating_sub(old).min(fresh))
            } else {
                (missing.saturating_sub(fresh).min(old), missing.min(fresh))
            };
            kept as i64 * keep + made as i64 * make
        };
        let idle = idle(used.saturating_sub(standing)).min(idle(used.min(spares)));
        self.left_alone() + used as i64 * cheapest + news as i64 * make + idle
    }

    /// What it costs to make the one kind of VM there is.
    pub(super) fn make_price(&self) -> i64 {
        let usual = i64::from(self.weights.vm_create);
        self.shapes.first().map_or(usual, |shape| shape.price)
    }
}
