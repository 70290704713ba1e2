//! The lab: `mapek` against real Docker engines, each one VM with an address of its own.
//!
//! Every test runs itself again in a sandbox of Linux namespaces ([`sandbox`]) with no route out.
//! In it, [`daemons`] starts one `dockerd` for each VM on a small network ([`network`]), and
//! [`service`] the real `mapek` binary. However the test ends, the sandbox's first process ends
//! with it, and then every daemon, container, mount and interface.
//!
//! `make test` installs what the lab needs. If something is missing, a lab test fails and says
//! what; it is never skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(missing_docs)]

#[macro_use]
mod sandbox;

#[path = "../browser/mod.rs"]
mod browser;
#[path = "../patience/mod.rs"]
mod patience;

// What the lab is made of.
mod apps;
mod aws;
mod aws_proxy;
mod daemons;
mod fault_http;
mod fault_lab;
mod fault_proxy;
mod git;
mod http;
mod images;
mod kernel;
mod keys;
mod last_look;
mod network;
mod process;
mod registry;
mod service;
mod topologies;
mod traffic;

// The tests, from the lab itself to the whole service in it.
mod smoke;

mod example_hooks;

mod addresses;
mod agents;
mod aws_access;
mod aws_cancel;
mod aws_crash;
mod aws_faults;
mod aws_scaling;
mod aws_shortage;
mod cli;
mod containers;
mod crash;
mod crash_failures;
mod crash_moments;
mod crash_scene;
mod crash_truth;
mod dashboard;
mod disk;
mod disk_upkeep;
mod draining;
mod drift;
mod engines;
mod fault_lasting;
mod fault_transient;
mod healing;
mod hooks;
mod hooks_cut_off;
mod hooks_tried;
mod identity;
mod leaving;
mod leftovers;
mod limits;
mod metrics;
mod nodes;
mod package;
mod planner;
mod pulling;
mod rollouts;
mod rollouts_under_load;
mod sample;
mod schemathesis;
mod sealed;
mod soak;
mod taken_ports;
mod three_tiers;
mod traces;
mod troubles;
mod wishes;
