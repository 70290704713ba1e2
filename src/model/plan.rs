//! The plan: what each tier should hold in all.

use std::collections::BTreeMap;

use super::ids::TierId;
use super::units::Size;

/// The whole desired state: a tier that is left out is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Total of each tier; never zero in either.
    pub tiers: BTreeMap<TierId, Size>,
}
