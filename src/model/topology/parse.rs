//! From JSON to a topology.

use crate::model::problem::Warning;

use super::Topology;

/// A valid topology and what its author should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The topology.
    pub topology: Topology,
    /// Fields that are not used, synonyms, near misses.
    pub warnings: Vec<Warning>,
}
