//! The machine under an engine, and what distinguishes an engine from all others.

use serde::{Deserialize, Serialize};

use crate::model::About;

/// What the machine under an engine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its cores.
    pub cores: u32,
    /// Its memory in bytes.
    pub memory: u64,
    /// The engine's version, for people.
    pub version: String,
    /// The address at which containers on the default network reach the machine, if known.
    pub gateway: Option<String>,
    /// What distinguishes this engine from all others.
    pub identity: Identity,
    /// Its labels and its capabilities.
    #[serde(skip)]
    pub about: About,
}

/// What distinguishes an engine from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The id that the engine gave itself when it was installed; empty if it has none.
    pub id: String,
    /// The machine's host name and the engine's data folder. Machines that were copied from one image
    /// may share an id, and differ in these.
    pub home: String,
}

impl Identity {
    /// Whether both are certainly the same engine.
    #[must_use]
    pub fn same_engine(&self, other: &Self) -> bool {
        !self.id.is_empty() && self == other
    }

    /// Whether this is certainly not the engine that had the id `before`. A machine may be renamed,
    /// so only the id counts.
    #[must_use]
    pub fn differs_from(&self, before: &str) -> bool {
        !self.id.is_empty() && !before.is_empty() && self.id != before
    }
}
