//! Carrying out: the record of an execution as a state machine, and the effects.
//!
//! `event`, `state`, `effect`, `record`, `seal` and `spec` are pure. `perform` turns one action into
//! driver calls, `preflight` looks before anything is done, `runner` goes through the stages.

mod consequence;
mod effect;
mod event;
mod fault;
mod last_look;
mod page;
mod perform;
mod preflight;
mod reality;
mod record;
mod retry;
mod runner;
mod seal;
mod spec;
mod stages;
mod state;
#[cfg(test)]
mod tests;
mod world;

pub use effect::{Bindings, confirm, real_name, settle};
pub use event::{Event, Finding, FoundVm, Left, Lost, Outcome, Stamped};
pub use preflight::{preflight, remarks};
pub use reality::{held, overlay};
pub use record::{By, Execution, Frozen, Pinned};
pub use runner::{Direction, Ending, Halt, Ledger, RETRY_FOR, run};
pub use seal::{Basis, Held, Moved, Seal};
pub use state::{ActionState, Back, Illegal, Progress, Status};
pub use world::{View, World};
