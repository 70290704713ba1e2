//! Placement for the service. The solver is a crate of its own, `crates/solve`, which knows only
//! numbers; [`pose`] translates topologies, plans and allocations into its questions, and its
//! answers back.

pub mod conditions;
pub mod pose;
#[cfg(test)]
mod tests;

pub use mapek_solve::*;
