//! What tiers' prices for room prove: no VM has more than it costs, so all together cost no less than the tiers pay.

use super::question::{Question, part};
use crate::instance::{Amount, PerVm, Resource, Tier};

/// Tiers times VMs that are looked at: a tenth of a second's work. A bound on more is refused.
const MOST_PAIRS: usize = 20_000_000;

/// Whether `bound`, relative to deleting everything, follows from a price of each tier for a step of each resource, in
/// steps of one over `scale`.
pub fn founded(question: &Question<'_>, (scale, prices): (i64, &[[i64; 4]]), bound: i64) -> bool {
    let tiers = &question.tiers;
    let sites = question.rooms.len() + question.shapes.len();
    let fine = scale >= 1 && prices.iter().flatten().all(|&price| price >= 0);
    if !fine || prices.len() != tiers.len() || tiers.len().saturating_mul(sites) > MOST_PAIRS {
        return false;
    }
    let worth = |amount: Amount, prices: [i64; 4]| -> i128 {
        let parts = Resource::ALL.into_iter().zip(prices);
        parts
            .map(|(r, price)| i128::from(part(amount, r)) * i128::from(price))
            .sum()
    };
    // The most that anybody pays who may be there.
    let dearest = |may: &dyn Fn(&Tier) -> bool| {
        let mut most = [0; 4];
        for (_, prices) in tiers.iter().zip(prices).filter(|(t, _)| may(t.1)) {
            for (most, price) in most.iter_mut().zip(prices) {
                *most = (*most).max(*price);
            }
        }
        most
    };
    let scaled = |price: i64| i128::from(price) * i128::from(scale);
    for shape in &question.shapes {
        let most = dearest(&|tier| allowed(tier, false, shape.at));
        if worth(shape.capacity, most) > scaled(shape.price) {
            return false;
        }
    }
    let mut proven: i128 = tiers
        .iter()
        .zip(prices)
        .map(|((_, tier, _), prices)| worth(tier.demand, *prices))
        .sum();
    for ((at, room), price) in question.rooms.iter().enumerate().zip(question.use_prices()) {
        let most = dearest(&|tier| allowed(tier, true, at));
        proven -= (worth(*room, most) - scaled(price)).max(0);
    }
    let whole = proven.div_euclid(i128::from(scale)) + i128::from(proven.rem_euclid(i128::from(scale)) > 0);
    let w = question.weights;
    let keep = i64::from(w.vm_use) - i64::from(w.vm_delete);
    let standing = question.instance.vms.iter().filter(|vm| !vm.spare).count() as i64;
    let idle = keep.min(0) * i64::from(question.instance.min_vms).min(standing);
    let vms = i64::try_from(whole).unwrap_or(i64::MAX / 8) + question.left_alone() + idle;
    bound + question.delete_all() <= question.all_containers() + vms
}

/// Whether a tier's rules let it be on an existing VM, or on one of a shape.
fn allowed(tier: &Tier, existing: bool, at: usize) -> bool {
    fn said<T: Copy>(all: &PerVm<T>, existing: bool, at: usize) -> Option<T> {
        let list = if existing { &all.vms } else { &all.shapes };
        list.get(at).copied()
    }
    let may = tier.rules.allowed.as_deref();
    let domains = tier.rules.domains.as_deref();
    may.is_none_or(|all| said(all, existing, at).unwrap_or(false))
        && domains.is_none_or(|all| said(all, existing, at).flatten().is_some())
}
