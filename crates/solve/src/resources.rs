//! The resources that VMs have and containers take, and sums over all of them at once.
//!
//! Every container has some processor and memory. The further resources are optional: a tier may
//! ask for none, and a container of one that does may have none.

use super::instance::{Amount, Resource};

/// How many resources there are.
pub const RESOURCES: usize = Resource::ALL.len();

/// An amount of each resource, in the order of [`Resource::ALL`], wide enough for any sum of `u32`.
pub type Amounts = [i64; RESOURCES];

/// None of any.
pub const NOTHING: Amounts = [0; RESOURCES];

/// The least that a container has of each.
pub const LEAST: Amounts = {
    let mut least = [0; RESOURCES];
    let mut at = 0;
    while at < RESOURCES {
        #[allow(clippy::indexing_slicing)] // below its length
        {
            least[at] = Resource::ALL[at].least() as i64;
        }
        at += 1;
    }
    least
};

impl From<Amount> for Amounts {
    fn from(amount: Amount) -> Self {
        Resource::ALL.map(|resource| i64::from(amount.of(resource)))
    }
}

/// The amount in the caller's terms. An amount that is too large, as no part of a demand is,
/// becomes the largest possible.
#[must_use]
pub fn narrow(amounts: Amounts) -> Amount {
    let mut narrow = Amount::default();
    for (resource, amount) in Resource::ALL.into_iter().zip(amounts) {
        narrow.set(resource, u32::try_from(amount.max(0)).unwrap_or(u32::MAX));
    }
    narrow
}

/// Both together.
#[inline]
#[must_use]
pub fn plus<const R: usize>(a: [i64; R], b: [i64; R]) -> [i64; R] {
    combined(a, b, |a, b| a + b)
}

/// What is left of `a`.
#[inline]
#[must_use]
pub fn minus<const R: usize>(a: [i64; R], b: [i64; R]) -> [i64; R] {
    combined(a, b, |a, b| a - b)
}

/// The smaller of each.
#[inline]
#[must_use]
pub fn smaller<const R: usize>(a: [i64; R], b: [i64; R]) -> [i64; R] {
    combined(a, b, i64::min)
}

/// The larger of each.
#[inline]
#[must_use]
pub fn larger<const R: usize>(a: [i64; R], b: [i64; R]) -> [i64; R] {
    combined(a, b, i64::max)
}

/// Whether there is room for all of `load`.
#[inline]
#[must_use]
pub fn within<const R: usize>(load: [i64; R], room: [i64; R]) -> bool {
    load.iter().zip(&room).all(|(load, room)| load <= room)
}

#[inline]
fn combined<const R: usize>(mut a: [i64; R], b: [i64; R], one: impl Fn(i64, i64) -> i64) -> [i64; R] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = one(*a, b);
    }
    a
}

/// The sum of all.
#[must_use]
pub fn sum(all: impl Iterator<Item = Amounts>) -> Amounts {
    all.fold(NOTHING, plus)
}
