//! The REST interface of the real program, over real HTTP. No engine runs: what needs one is
//! tested in `tests/lab`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod access;
mod auth;
mod bad_input;
mod command_line;
mod conditional;
mod events;
mod hostile;
mod old_clients;
mod openapi;
mod requests;
mod server;
mod solve;
mod state;
mod tls;
