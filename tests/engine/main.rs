//! The Docker driver, the hosts and the hooks against real Docker engines in the lab's sandbox,
//! and against sockets that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(missing_docs)]

#[allow(dead_code)]
#[path = "../patience/mod.rs"]
mod patience;

// The lab's parts, of which this binary uses some.
#[macro_use]
#[path = "../lab/sandbox.rs"]
mod sandbox;
#[allow(dead_code)]
#[path = "../lab/daemons.rs"]
mod daemons;
#[allow(dead_code)]
#[path = "../lab/git.rs"]
mod git;
#[allow(dead_code)]
#[path = "../lab/images.rs"]
mod images;
#[allow(dead_code)]
#[path = "../lab/kernel.rs"]
mod kernel;
#[allow(dead_code)]
#[path = "../lab/keys.rs"]
mod keys;
#[allow(dead_code)]
#[path = "../lab/network.rs"]
mod network;
#[allow(dead_code)]
#[path = "../lab/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../lab/registry.rs"]
mod registry;

mod fake;
mod helpers;

// The tests.
mod commands;
mod containers;
mod hooks;
mod hosts;
mod limits;
mod options;
mod probes;
mod pulling;
mod remote;
mod trouble;
