//! Carrying out: the record of an execution as a state machine, and the effects.
//!
//! `event`, `state`, `effect`, `record` and `spec` are pure. `perform` turns one action into
//! driver calls, `preflight` looks before anything is done, `runner` goes through the stages.

mod effect;
mod event;
mod fault;
mod perform;
mod preflight;
mod record;
mod runner;
mod spec;
mod state;
#[cfg(test)]
mod tests;
mod world;

pub use effect::{Bindings, confirm, real_name};
pub use event::{Event, Finding, FoundVm, Outcome, Stamped};
pub use preflight::preflight;
pub use record::{Execution, Frozen, Pinned};
pub use runner::{Halt, Ledger, run};
pub use state::{ActionState, Illegal, Progress, Status};
pub use world::{View, World};
