//! What asking nodes takes. It is done before the search, which alone has a deadline, so it needs a bound of its
//! own. Pure.

use crate::fault::{Code, Fault};
use crate::model::topology::Tier;
use crate::require::{Prefers, Requires};

/// The effort of asking nodes for one plan. It is spent before the search, and only the search has
/// a deadline, so it needs limits of its own, in time and in memory.
#[derive(Default)]
pub(super) struct Spent {
    answers: usize,
    steps: f64,
}

impl Spent {
    /// Answers of nodes, one for each node and each kind of tier.
    pub(super) const MOST_ANSWERS: usize = 1_000_000;
    /// Steps of expressions; a second or two.
    pub(super) const MOST_STEPS: f64 = 50_000_000.0;

    /// Counts that this many nodes are asked something that takes this many steps for each.
    pub(super) fn ask(&mut self, nodes: usize, steps: f64) -> Result<(), Fault> {
        #[expect(clippy::cast_precision_loss)]
        let steps = nodes as f64 * steps;
        self.answers = self.answers.saturating_add(nodes);
        self.steps += steps;
        if self.answers <= Self::MOST_ANSWERS && self.steps <= Self::MOST_STEPS {
            return Ok(());
        }
        let message = format!(
            "it takes too long to find out which of {nodes} nodes the tiers may be on: write simpler \
             expressions, or let more tiers have the same requires, prefers and spread"
        );
        Err(Fault::new(Code::PlanTooLarge, message))
    }
}

/// Whether it would take too long to ask this many nodes something that takes this many steps for
/// each.
#[must_use]
pub fn takes_too_long(nodes: usize, steps: f64) -> bool {
    Spent::default().ask(nodes, steps).is_err()
}

/// The most steps that a tier's conditions take for one node.
#[must_use]
pub fn steps_of(tier: &Tier) -> f64 {
    let requires = tier.requires.as_ref().map_or(0.0, Requires::steps);
    requires + tier.prefers.as_ref().map_or(0.0, Prefers::steps)
}
