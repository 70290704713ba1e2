//! Placement as the service asks for it: the solver is a crate of its own, `crates/solve`, which knows
//! numbers only; [`pose`] turns topologies, plans and allocations into its questions, and back.

pub mod conditions;
pub mod pose;
#[cfg(test)]
mod tests;

pub use mapek_solve::*;
