//! The REST interface of the real program, over real HTTP. No engine runs; `tests/lab` has the
//! tests that need one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../browser/mod.rs"]
mod browser;
#[path = "../patience/mod.rs"]
mod patience;

mod access;
mod agents;
mod apps;
mod auth;
mod aws_docs;
mod bad_input;
mod certificates;
mod cli;
mod cli_connections;
mod cli_offline;
mod cli_seal;
mod command_line;
mod conditional;
mod dashboard;
mod docs;
mod events;
mod history;
mod host;
mod hostile;
mod limits;
mod metrics;
mod nodes;
mod old_clients;
mod openapi;
mod overtaken;
mod registration;
mod requests;
mod secrets;
mod server;
mod solve;
mod state;
mod strict;
mod tls;
