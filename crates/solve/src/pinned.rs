//! Plans whose tiers are each on one VM still to be made, as vector packing.
//!
//! Between the problem and [`super::vector_packing`], which knows neither prices nor ports, and
//! only two sizes. The fewest VMs are the cheapest if all VMs cost the same and each tier has one
//! container in any case. If tiers ask for more than two resources, the two of which most is asked
//! for are packed.

#![allow(clippy::indexing_slicing)] // items are those of the problem

use std::cell::RefCell;

use super::evidence::{Bound, Certificate, Prover};
use super::knapsack;
use super::meter::Meter;
use super::packing::Packing;
use super::problem::Problem;
use super::resources::{Amounts, within};
use super::rules::Origin;
use super::vector_packing::{self, Question};

/// Ticks for each tier: some 30 ms. Beyond that, the time is better shared with other methods.
const TICKS: u64 = 10_000_000;

/// The result.
pub struct Packed {
    /// A placement, unless it would need more VMs than there may be, or ports clash in it, or
    /// another resource is not enough.
    pub packing: Option<Packing>,
    /// What was proven on the way.
    pub bound: Bound,
}

/// How much work the packing of a problem is worth.
#[must_use]
pub const fn allowance(problem: &Problem) -> u64 {
    TICKS.saturating_mul(problem.items.len() as u64)
}

/// Packs. `None` if tiers may be divided, if VMs exist, or if sizes or prices are not of the kind
/// that this is for.
#[must_use]
pub fn pack(problem: &Problem, seed: u64, meter: &mut Meter<'_>) -> Option<Packed> {
    let kind = problem.only_kind()?;
    let new_only = problem.existing.is_empty() && kind.cost > 0 && kind.max > 0;
    if !new_only || !knapsack::applies(problem) {
        return None;
    }
    let resources = problem.tightest();
    let size = |amounts: Amounts| {
        let [first, second] = resources.map(|r| u64::try_from(amounts[r]).ok());
        Some([first?, second?])
    };
    let items = problem
        .items
        .iter()
        .map(|it| size(it.demand))
        .collect::<Option<Vec<_>>>()?;
    let question = Question {
        capacity: size(kind.capacity)?,
        items,
    };
    let meter = RefCell::new(meter);
    let outcome = vector_packing::solve(&question, seed, &|ticks| meter.borrow_mut().spend(ticks))?;
    let packing = (outcome.packing.len() <= problem.max_new.min(problem.max_vms))
        .then(|| placed(problem, &outcome.packing))
        .flatten();
    let scale = i64::try_from(outcome.certificate.bin).ok()?;
    // An item's share of a VM's price, in addition to its container: a full VM's items cost what
    // the VM does.
    let value = |price: u64| {
        let share = kind.cost.checked_mul(i64::try_from(price).ok()?)?;
        problem.create_cost.checked_mul(scale)?.checked_add(share)
    };
    let values = outcome
        .certificate
        .prices
        .iter()
        .map(|&p| value(p))
        .collect::<Option<Vec<_>>>()?;
    let bins = i64::try_from(outcome.certificate.bins).ok()?;
    let containers = problem.create_cost * problem.items.len() as i64;
    Some(Packed {
        packing,
        bound: Bound {
            value: containers + kind.cost.checked_mul(bins)?,
            by: Prover::ColumnGeneration,
            // There can be no more VMs than one for each item; none of them is worth more than it
            // costs.
            certificate: Certificate::Values {
                resources,
                scale,
                values,
                news: vec![problem.items.len()],
            },
        },
    })
}

/// The placement of a packing; `None` if tiers that publish the same port share a VM, if one may
/// not be on such VMs, or if there is not enough of a resource that was not packed.
fn placed(problem: &Problem, bins: &[Vec<usize>]) -> Option<Packing> {
    let mut packing = Packing::empty(problem);
    for bin in bins {
        let slot = packing.add_new(problem, 0);
        for (at, &item) in bin.iter().enumerate() {
            if !problem.allows(item, Origin::New(0)) {
                return None;
            }
            if bin[..at].iter().any(|&other| problem.conflict(item, other)) {
                return None;
            }
            if !within(problem.items[item].demand, packing.slots[slot].free) {
                return None;
            }
            packing.put(problem, slot, item, problem.items[item].demand);
        }
    }
    Some(packing)
}
