//! What VMs of several shapes cost at least, counted anew.
//!
//! Room for a demand costs no less than any price of room at which no shape has more than it costs says.
//! Here the prices of both resources stand in a proportion, tried in many steps; for each, the shape that has
//! the most for its price says how high they can be. That is coarser than what the bound's own method does
//! only where the best proportion lies between two steps, and there the corners are tried as well.

use super::{Question, part};
use crate::instance::Amount;

/// Most shapes of which all pairs are tried: as many as the method does.
const MOST_PAIRED: usize = 40;

/// The least price of VMs with room for all demand, of which at least so many are of one shape; those left alone
/// included. `None` where there are none to be had.
pub fn least(question: &Question<'_>, at_least: Option<(usize, u64)>) -> Option<i64> {
    let demand = [0, 1].map(|r| {
        question
            .tiers
            .iter()
            .map(|(_, t, _)| part(t.demand, r))
            .sum::<u64>()
    });
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
        let left = [0, 1].map(|r| {
            let sums = question.sums.get(r);
            let at = usize::try_from(used).unwrap_or(usize::MAX);
            let has = sums.and_then(|s| s.get(at)).copied().unwrap_or(0);
            let new = of_shape.map_or(0, |shape| part(shape.capacity, r).saturating_mul(count));
            let demand = demand.get(r).copied().unwrap_or(0);
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

/// Proportions in which the prices of the two resources may stand.
fn proportions(question: &Question<'_>) -> Vec<[i128; 2]> {
    let mut list = vec![[1, 0], [0, 1]];
    let of = |amount: Amount| [i128::from(amount.cpu), i128::from(amount.mem)];
    let shapes = &question.shapes;
    for (at, a) in shapes.iter().enumerate().take(MOST_PAIRED) {
        for b in shapes.iter().take(at) {
            // Where both have as much for their price: p·(a/pa − b/pb) = 0.
            let ([a0, a1], [b0, b1]) = (of(a.capacity), of(b.capacity));
            let (pa, pb) = (i128::from(a.price), i128::from(b.price));
            let (x, y) = (a0 * pb - b0 * pa, b1 * pa - a1 * pb);
            if x.signum() * y.signum() > 0 {
                list.push([y.abs(), x.abs()]);
            }
        }
    }
    list
}

/// What `left` is worth at prices of this proportion, as high as the shapes let them be; rounded up.
fn worth(question: &Question<'_>, [p0, p1]: [i128; 2], left: [u64; 2]) -> i64 {
    let value = |cpu: u64, mem: u64| p0 * i128::from(cpu) + p1 * i128::from(mem);
    let [cpu, mem] = left;
    let need = value(cpu, mem);
    let shapes = question.shapes.iter();
    let least = shapes.map(|shape| {
        let has = value(u64::from(shape.capacity.cpu), u64::from(shape.capacity.mem)).max(1);
        // Of this shape alone, in fractions.
        let price = need * i128::from(shape.price);
        price.div_euclid(has) + i128::from(price.rem_euclid(has) > 0)
    });
    i64::try_from(least.min().unwrap_or(0)).unwrap_or(i64::MAX / 8)
}
