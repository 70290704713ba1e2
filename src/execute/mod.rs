//! Carrying out: the record of an execution as a state machine, and the effects.
//!
//! `event`, `state`, `effect`, `frozen`, `record`, `failure`, `summary`, `details`, `basis`, `seal` and `spec` are pure. `perform` turns one action into
//! driver calls, `preflight` looks before anything is done, `first_look` at a VM that was made, `runner` goes through the stages.

mod asked;
mod basis;
mod beside;
mod clean_up;
mod confirmed;
mod consequence;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod course;
mod dependency;
mod details;
mod drain;
mod effect;
mod event;
mod failure;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
mod fake;
mod fault;
mod first_look;
mod frozen;
mod illegal;
mod last_look;
mod owed;
mod page;
mod perform;
mod pinned;
mod preflight;
mod pull;
mod reality;
mod record;
mod retry;
mod room;
mod runner;
mod seal;
mod settle;
mod spec;
mod stages;
mod state;
mod status;
mod summary;
#[cfg(test)]
mod tests;
mod world;

pub use asked::{By, Reconcile};
pub use basis::{Basis, Held, Moved};
pub use confirmed::{Confirmed, confirmed};
pub use details::Details;
pub use effect::{Bindings, confirm, real_name, settle};
pub use event::{Direction, Event, Finding, FoundVm, HookRun, Left, Lost, Outcome, Stamped};
pub use frozen::Frozen;
pub use illegal::Illegal;
pub use owed::untold;
pub use pinned::Pinned;
pub use preflight::{preflight, remarks};
pub use reality::{as_seen, foreign, held, lacking, no_limits, others, overlay};
pub use record::Execution;
pub use room::without_room;
pub use runner::{Ending, Halt, RETRY_FOR, Recorder, run};
pub use seal::Seal;
pub use spec::login;
pub use state::{Back, Progress};
pub use status::{ActionState, Status};
pub use summary::{Standing, Summary};
pub use world::{View, World};
