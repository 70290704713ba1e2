//! From what is to what should be: the actions, in stages that are safe at every instant.
//!
//! Pure: allocations in, stages out.

mod action;

pub use action::Action;

use serde::Serialize;

use crate::model::TierId;

/// Actions that may run at the same time.
pub type Stage = Vec<Action>;

/// The way from one allocation to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Translation {
    /// Stages, to be run one after the other.
    pub stages: Vec<Stage>,
    /// Tiers that run before and after, but cannot be kept running on the way.
    pub interrupts: Vec<Interrupt>,
}

/// A tier that is down for a moment on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interrupt {
    /// The tier.
    pub tier: TierId,
    /// Why no order of the actions avoids it.
    pub reason: String,
}
