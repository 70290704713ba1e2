//! What VMs of several shapes cost at least, counted anew.
//!
//! Room for a demand costs no less than any price of room at which no shape has more than it costs says.
//! Here the prices of two resources stand in a proportion: that at which two shapes have as much for their price. For
//! each, the shape that has the most for its price says how high they can be.

use super::question::{Made, Question, RESOURCES, part};
use crate::instance::Resource;

/// Most shapes of which all pairs are tried: as many as the method does.
const MOST_PAIRED: usize = 40;

/// The least price of VMs with room for all demand, of which at least so many are of one shape; those left alone
/// included. `None` where there are none to be had.
pub fn least(question: &Question<'_>, at_least: Option<(usize, u64)>) -> Option<i64> {
    let demand = question.demand();
    let weights = question.weights;
    let most_vms = question.instance.max_vms.map_or(u64::MAX, u64::from);
    let proportions = proportions(question);
    let cheapest = question.use_prices().min();
    let keep = i64::from(weights.vm_use) - i64::from(weights.vm_delete);
    let make = question.shapes.iter().map(|shape| shape.price).min().unwrap_or(0);
    let (of_shape, count) = match at_least {
        Some((at, count)) => (question.shapes.get(at).copied(), count),
        None => (None, 0),
    };
    let existing = question.vms();
    let there = question.news.saturating_add(existing).min(most_vms);
    let floor = cheapest.unwrap_or(keep).min(keep).min(make);
    let used = 0..=existing.min(most_vms);
    let prices = used.map(|used| {
        let left = Resource::ALL.map(|r| {
            let sums = question.sums.get(r as usize);
            let at = usize::try_from(used).unwrap_or(usize::MAX);
            let has = sums.and_then(|s| s.get(at)).copied().unwrap_or(0);
            let new = of_shape.map_or(0, |shape| part(shape.capacity, r).saturating_mul(count));
            let demand = demand.get(r as usize).copied().unwrap_or(0);
            demand.saturating_sub(has).saturating_sub(new)
        });
        let room = proportions
            .iter()
            .map(|p| worth(question, *p, left))
            .max()
            .unwrap_or(0);
        let missing = u64::from(question.instance.min_vms)
            .min(there)
            .saturating_sub(used + count) as i64;
        let more = if floor > 0 {
            room.max(missing * floor)
        } else {
            let standing = question.instance.vms.iter().filter(|vm| !vm.spare).count() as i64;
            room + keep.min(0) * i64::from(question.instance.min_vms).min(standing)
        };
        let own = of_shape.map_or(0, |shape| shape.price) * count as i64;
        used as i64 * cheapest.unwrap_or(0) + own + more
    });
    prices.min().map(|least| least + question.left_alone())
}

/// Proportions in which the prices of resources may stand.
fn proportions(question: &Question<'_>) -> Vec<[i128; RESOURCES]> {
    let asked = Resource::ALL
        .into_iter()
        .filter(|&r| question.tiers.iter().any(|(_, t, _)| part(t.demand, r) > 0));
    let asked: Vec<Resource> = asked.collect();
    let of = |r: Resource, price: i128| Resource::ALL.map(|other| if other == r { price } else { 0 });
    let mut list: Vec<[i128; RESOURCES]> = asked.iter().map(|&r| of(r, 1)).collect();
    let shapes = &question.shapes;
    for (at, a) in shapes.iter().enumerate().take(MOST_PAIRED) {
        for b in shapes.iter().take(at) {
            for (nth, &second) in asked.iter().enumerate() {
                for &first in asked.iter().take(nth) {
                    let prices = meet(a, b, first, second);
                    list.extend(prices.map(|(x, y)| {
                        Resource::ALL.map(|r| match r {
                            _ if r == first => x,
                            _ if r == second => y,
                            _ => 0,
                        })
                    }));
                }
            }
        }
    }
    list
}

/// The proportion at which both shapes have as much for their price: p·(a/pa − b/pb) = 0.
fn meet(a: &Made, b: &Made, first: Resource, second: Resource) -> Option<(i128, i128)> {
    let of = |shape: &Made, r: Resource| i128::from(part(shape.capacity, r));
    let (pa, pb) = (i128::from(a.price), i128::from(b.price));
    let x = of(a, first) * pb - of(b, first) * pa;
    let y = of(b, second) * pa - of(a, second) * pb;
    (x.signum() * y.signum() > 0).then_some((y.abs(), x.abs()))
}

/// What `left` is worth at prices of this proportion, as high as the shapes let them be; rounded up. Nothing, where
/// none of the shapes has anything that is priced.
fn worth(question: &Question<'_>, prices: [i128; RESOURCES], left: [u64; RESOURCES]) -> i64 {
    let value = |amounts: [u64; RESOURCES]| {
        let parts = prices
            .iter()
            .zip(amounts)
            .map(|(price, amount)| price * i128::from(amount));
        parts.sum::<i128>()
    };
    let need = value(left);
    let least = question.shapes.iter().filter_map(|shape| {
        let has = value(Resource::ALL.map(|r| part(shape.capacity, r)));
        // Of this shape alone, in fractions.
        let price = need * i128::from(shape.price);
        (has > 0).then(|| price.div_euclid(has) + i128::from(price.rem_euclid(has) > 0))
    });
    i64::try_from(least.min().unwrap_or(0)).unwrap_or(i64::MAX / 8)
}
