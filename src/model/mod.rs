//! The terms of the field as types: topology, plan, allocation and their units.
//!
//! Everything here is pure. JSON is parsed into these types once, at the edge, and a value of one
//! of these types is valid: whoever has a [`Topology`] need not check it again. Nothing in here may
//! know of HTTP, Docker, a cloud, a clock or the file system.

pub mod addresses;
pub mod allocation;
mod allocation_parse;
pub mod app;
pub mod by_hand;
mod change;
pub mod compose;
mod further;
pub mod ids;
pub mod intent;
pub mod json;
pub mod node;
pub mod plan;
pub mod problem;
mod reader;
pub mod registration;
pub mod revision;
pub mod topology;
pub mod units;

pub use addresses::{Addresses, StaleAddress, Whereabouts};
pub use allocation::{Allocation, Container, CoreSet, Foreign, Owed, Since, Vm};
pub use allocation_parse::VmGiven;
pub use change::Change;
pub use ids::{RevisionId, TierId, VmId};
pub use node::{About, Node};
pub use plan::Plan;
pub use problem::{Problem, Problems, Warning};
#[cfg(test)]
pub(crate) use reader::known_fields;
pub use reader::{alternatives, join as path, nearest};
pub use registration::{Refresh, Registration, Registrations};
pub use revision::{Handover, RevisionKey, Revisions};
pub use topology::Topology;
pub use units::{Cpu, Size, mib};
