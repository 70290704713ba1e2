//! Placement: which containers on which VMs, at the least price, with a proof of how good.
//!
//! ```text
//! instance ─> problem ─> bound ┐
//!                construct ─> improve ─> exact ─> verify ─> answer
//!                                            └──> explain (no solution)
//! ```
//!
//! A pure room: time comes from a clock that is passed in, random numbers from a fixed seed, and
//! nothing here knows of clouds, engines or files. The only thing it uses from outside is threads.

pub mod answer;
pub mod instance;
pub mod verify;

mod amounts;
mod bound;
mod chunks;
mod cluster;
mod conflicts;
mod construct;
mod course;
mod emptiest;
mod evidence;
mod exact;
mod explain;
mod highs;
mod idle;
mod improve;
mod knapsack;
mod loads;
mod meter;
mod mip;
mod neighbourhood;
mod options;
mod packing;
mod parts;
mod pinned;
mod portfolio;
mod problem;
mod program;
mod relax;
mod repair;
mod resizes;
mod resources;
mod rng;
mod rules;
mod search;
mod starts;
mod tally;
mod tariff;
mod team;
mod terms;
#[cfg(test)]
mod tests;
mod ties;
pub mod vector_packing;
mod watch;

pub use answer::{Answer, Counters, EndedBy, PlacedVm, Progress, Step, VmRef};
pub use evidence::{Finder, Prover};
pub use explain::{Infeasible, Reason, ReasonCode};
pub use instance::{
    Amount, HostPort, Instance, MOST_DISLIKED, PerVm, Protocol, Resource, Rules, Shape, Tier, TierIx, Vm,
    Weights,
};
pub use repair::{Change, Repair};
pub use search::solve;
pub use terms::{Limits, SolveError};
