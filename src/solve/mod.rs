//! Placement: which containers on which VMs, at the least price, with a proof of how good.
//!
//! ```text
//! instance ─> problem ─> bound ┐
//!                construct ─> improve ─> exact ─> verify ─> answer
//!                                            └──> explain (no solution)
//! ```
//!
//! A pure room: time comes in as a clock to ask, randomness from a fixed seed, and nothing here
//! knows of clouds, engines or files. The one thing it does to the outside is to use threads.

pub mod answer;
pub mod instance;
pub mod pose;
pub mod verify;

mod amounts;
mod bound;
mod chunks;
mod cluster;
mod construct;
mod course;
mod exact;
mod explain;
mod highs;
mod improve;
mod knapsack;
mod loads;
mod mip;
mod neighbourhood;
mod options;
mod packing;
mod parts;
mod problem;
mod program;
mod relax;
mod repair;
mod rng;
mod search;
mod starts;
mod team;
mod terms;
#[cfg(test)]
mod tests;
mod watch;

pub use answer::{Answer, Counters, EndedBy, PlacedVm, VmRef};
pub use explain::{Infeasible, Reason, ReasonCode};
pub use instance::{Amount, HostPort, Instance, Protocol, Tier, TierIx, Vm, Weights};
pub use repair::{Change, Repair};
pub use search::solve;
pub use terms::{Limits, SolveError};
