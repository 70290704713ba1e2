//! Lagrange's bound where every tier is on one VM, from the values of the tiers.
//!
//! Every tier is somewhere, so a placement costs all values, less what each VM's tiers are worth beyond
//! what they and the VM cost. No VM is worth more than its most valuable load.

use super::question::{Question, part};
use crate::instance::{Amount, Resource};

/// Entries of the table for one VM, times tiers, times VMs: a tenth of a second's work at most.
const MOST_ENTRIES: u64 = 20_000_000;

/// Whether `bound` (relative to deleting everything) follows from values of one over `scale` each, and
/// from there being no more than `news` new VMs. Where the tables would be too large, the bound is
/// taken as it is.
pub fn founded(
    question: &Question<'_>,
    resources: [usize; 2],
    (scale, values): (i64, &[i64]),
    news: &[usize],
    bound: i64,
) -> bool {
    let [Some(&first), Some(&second)] = resources.map(|r| Resource::ALL.get(r)) else {
        return false;
    };
    let counted = [first, second];
    let instance = question.instance;
    let pinned = |n: u32| n <= 1;
    let tiers = &question.tiers;
    let on_one = tiers.iter().all(|(_, t, _)| {
        pinned(t.min_node) && pinned(t.max_node.unwrap_or(u32::MAX).min(t.demand.most_parts()))
    });
    if !on_one || scale < 1 || values.len() != tiers.len() || question.shapes.len() > 1 {
        return false;
    }
    let new = question.shapes.first();
    let new_vm = new.map_or(Amount::default(), |shape| shape.capacity);
    let news = news.first().copied().unwrap_or(0);
    // Rounding sizes down leaves more room than there is, so it only lowers the bound.
    let largest = counted.map(|r| question.largest(r));
    let unit = counted.map(|r| {
        let sizes = tiers.iter().map(|(_, t, _)| part(t.demand, r));
        let rooms = question.rooms.iter().map(|room| part(*room, r));
        sizes.chain(rooms).chain([part(new_vm, r)]).fold(0, gcd).max(1)
    });
    let states = largest
        .iter()
        .zip(unit)
        .fold(1u64, |n, (l, u)| n.saturating_mul(l / u + 1));
    let vms = instance.vms.len() as u64 + 1;
    if states.saturating_mul(vms).saturating_mul(tiers.len() as u64) > MOST_ENTRIES {
        return true;
    }
    let w = question.weights;
    let create = i64::from(w.container_create);
    let worth = |room: [u64; 2], price: i64, cost: &dyn Fn(usize) -> i64| {
        let items = tiers
            .iter()
            .zip(values)
            .enumerate()
            .map(|(at, ((_, t, _), value))| {
                let size = [(first, 0), (second, 1)].map(|(r, nth)| {
                    usize::try_from(part(t.demand, r) / nonzero(unit, nth)).unwrap_or(usize::MAX)
                });
                (size, value - cost(at) * scale)
            });
        let room = [0, 1]
            .map(|r| usize::try_from(room.get(r).copied().unwrap_or(0) / nonzero(unit, r)).unwrap_or(0));
        (best_load(items, room) - price * scale).max(0)
    };
    let mut proven: i64 = values.iter().sum();
    let room = counted.map(|r| part(new_vm, r));
    if news > 0 {
        proven -= worth(room, question.make_price(), &|_| create) * news as i64;
    }
    let vms = instance.vms.iter().zip(&question.rooms);
    for ((vm, has), use_price) in vms.zip(question.use_prices()) {
        let kept = |at: usize| {
            let Some((ix, tier, _)) = tiers.get(at) else {
                return create;
            };
            if vm.held.iter().any(|h| h.0 == *ix) {
                i64::from(w.container_set) - question.removal(tier)
            } else {
                create
            }
        };
        proven -= worth(counted.map(|r| part(*has, r)), use_price, &kept);
    }
    let keep = i64::from(w.vm_use) - i64::from(w.vm_delete);
    let standing = instance.vms.iter().filter(|vm| !vm.spare).count() as i64;
    let kept_idle = keep.min(0) * i64::from(instance.min_vms).min(standing);
    // All prices are a constant and multiples of this, so a bound between two of them is as good as
    // the higher one.
    let mut step = question.make_price().unsigned_abs();
    for price in question.use_prices() {
        step = gcd(step, price.unsigned_abs());
    }
    for (_, tier, _) in tiers.iter().filter(|t| t.2 > 0) {
        let kept = i64::from(w.container_set) - question.removal(tier);
        step = gcd(step, (create - kept).unsigned_abs());
    }
    let step = i64::try_from(step.max(1)).unwrap_or(1);
    let constant = create * tiers.len() as i64;
    let above = proven - constant * scale;
    let steps = above.div_euclid(step * scale) + i64::from(above.rem_euclid(step * scale) > 0);
    bound <= constant + steps * step + kept_idle
}

/// The most that a choice of items is worth in so much room.
fn best_load(items: impl Iterator<Item = ([usize; 2], i64)>, room: [usize; 2]) -> i64 {
    let [rows, columns] = room.map(|r| r + 1);
    let mut table = vec![0i64; rows * columns];
    for ([high, wide], value) in items {
        if value <= 0 || high >= rows || wide >= columns {
            continue;
        }
        for row in (high..rows).rev() {
            for column in (wide..columns).rev() {
                let from = table
                    .get((row - high) * columns + column - wide)
                    .copied()
                    .unwrap_or(0);
                if let Some(to) = table.get_mut(row * columns + column) {
                    *to = (*to).max(from + value);
                }
            }
        }
    }
    table.last().copied().unwrap_or(0)
}

fn nonzero(unit: [u64; 2], r: usize) -> u64 {
    unit.get(r).copied().unwrap_or(1).max(1)
}

const fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
