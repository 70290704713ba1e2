//! First placements: in chunks, by construction, or, where that takes too long, the quickest way.

use crate::chunks;
use crate::construct;
use crate::emptiest;
use crate::evidence::Finder;
use crate::meter::UNLIMITED;
use crate::packing::Packing;
use crate::problem::Problem;
use crate::starts::starts;
use crate::watch::Watch;

/// Tiers times VMs that construction may look at, eight times over, before something quicker is tried:
/// some tenths of a second's work.
const LONG_WAY: usize = 2_000_000;

/// First placements, cheapest first.
#[must_use]
pub fn placements(problem: &Problem, watch: &Watch<'_>) -> Vec<(Packing, Finder)> {
    let mut begun: Vec<(Packing, Finder)> = Vec::new();
    if problem.items.len() >= chunks::WORTH {
        let chunked = chunks::construct(problem, watch);
        begun.extend(chunked.map(|packing| (packing, Finder::Chunks)));
    }
    // Without chunks, each tier looks at each VM. Where that takes long, there is one quick way
    // to have anything at all.
    let slots = problem.existing.len() + problem.max_new.min(problem.items.len());
    let pairs = problem.items.len().saturating_mul(slots);
    let mut meter = watch.grace().meter(UNLIMITED);
    if begun.is_empty() && pairs > LONG_WAY {
        let emptiest = emptiest::place(problem, &mut meter);
        begun.extend(emptiest.map(|packing| (packing, Finder::Emptiest)));
    }
    if begun.is_empty() || pairs > LONG_WAY && begun.iter().all(|b| b.1 == Finder::Emptiest) {
        for start in starts(problem, &mut meter) {
            if !begun.is_empty() && watch.cut().is_some() {
                break;
            }
            let found = construct::construct(problem, &start, &mut meter);
            begun.extend(found.map(|packing| (packing, Finder::Construct)));
        }
    }
    if begun.is_empty() && pairs <= LONG_WAY {
        let emptiest = emptiest::place(problem, &mut meter);
        begun.extend(emptiest.map(|packing| (packing, Finder::Emptiest)));
    }
    begun.sort_by_key(|(packing, _)| (packing.cost, packing.actions(problem)));
    begun
}
