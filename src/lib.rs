//! The Execute stage of a MAPE-K loop.
//!
//! ```text
//! topology ─┐
//! plan ─────┼─> solve ──> translate ──> execute ──> allocation
//! what is ──┘  placement   stages        effects    what is, confirmed
//! ```
//!
//! | module | purpose | pure |
//! |---|---|---|
//! | [`model`] | topology, plan, allocation as valid types | yes |
//! | [`translate`] | two allocations to stages of actions | yes |
//! | [`cloud`] | where VMs come from | |
//! | [`engine`] | what runs containers | |
//! | [`hooks`] | scripts run inside containers | |

pub mod cloud;
pub mod engine;
pub mod hooks;
pub mod model;
pub mod solve;
pub mod translate;
